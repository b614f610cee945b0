import type { Query } from '../../db/engine.ts';
import {
  type Aggregate,
  addAggregateHost,
  deleteAggregate,
  findAggregate,
  insertAggregate,
  listAggregates,
  lockAggregate,
  lockComputeHosts,
  nameTaken,
  removeAggregateHost,
  saveAggregate,
  serversOn,
  settleZones,
  zoneOf,
} from '../../db/tables/compute/aggregates.ts';
import { writeChanges } from '../../db/tables/compute/changes.ts';
import { isUniqueViolation } from '../../db/unique.ts';
import type { Call, Reply } from '../../http/call.ts';
import type { Micros } from '../../lib/clock.ts';
import { invalidInput } from '../../model/errors.ts';
import {
  aggregateChangeRefused,
  aggregateHasHost,
  aggregateHasNoHost,
  aggregateHostRefused,
  aggregateNameTaken,
  aggregateNotEmpty,
  aggregateNotFound,
  computeHostNotFound,
} from '../../model/errors-compute-admin.ts';
import { aggregatePayload, notice } from '../../model/notices.ts';
import type { AdminParts } from './admin-parts.ts';
import { publisherOf } from './parts.ts';
import type {
  AggregateAddHost,
  AggregateCreate,
  AggregateImages,
  AggregateRemoveHost,
  AggregateSetMetadata,
  AggregateUpdate,
} from './shapes/aggregates.ts';
import { aggregateMade, aggregateView } from './views/aggregates.ts';

const answer = (aggregate: Aggregate): Reply => ({ status: 200, body: { aggregate: aggregateView(aggregate) } });

/** The number that the URL names. Throws invalidInput (400) for what is no whole number. */
function idOf(call: Call<unknown>): number {
  const id = call.params.id ?? '';
  if (!/^-?\d+$/.test(id)) throw invalidInput({ why: 'id must be an integer' });
  const number = Number(id);
  if (!Number.isSafeInteger(number)) throw aggregateNotFound({ id: number });
  return number;
}

type Deed = 'create' | 'delete' | 'update_prop' | 'update_metadata' | 'add_host' | 'remove_host';
const WHAT: Readonly<Record<Deed, string>> = {
  ...{ create: 'created', delete: 'deleted', update_prop: 'updated', update_metadata: 'updated' },
  ...{ add_host: 'updated', remove_host: 'updated' },
};

/** Schedulers and listeners outside hear of it by the change feed: how it began, and how it ended. */
const tell = (parts: AdminParts, tx: Query, deed: Deed, before: Parameters<typeof aggregatePayload>[0], after: Aggregate, at: Micros) => {
  const row = (phase: 'start' | 'end', payload: object, body: object) => ({
    noun: 'aggregate' as const,
    key: after.uuid,
    what: phase === 'start' ? 'begun' : WHAT[deed],
    projectId: null,
    body: { ...body, notice: notice(publisherOf(parts), `aggregate.${deed}.${phase}`, payload) },
    at,
  });
  return writeChanges(tx, [
    row('start', aggregatePayload(before), {}),
    row('end', aggregatePayload(after), { id: after.id, name: after.name, metadata: after.metadata, hosts: after.hosts }),
  ]);
};

/** Lists aggregates.  Spec: compute api-ref "List Aggregates". */
export async function listAllAggregates(parts: AdminParts, _call: Call): Promise<Reply> {
  return { status: 200, body: { aggregates: (await listAggregates(parts.db.read)).map(aggregateView) } };
}

/** Shows an aggregate.  Throws aggregateNotFound (404).  Spec: compute api-ref "Show Aggregate Details". */
export async function showAggregate(parts: AdminParts, call: Call): Promise<Reply> {
  const id = idOf(call);
  const aggregate = await findAggregate(parts.db.read, id);
  if (!aggregate) throw aggregateNotFound({ id });
  return answer(aggregate);
}

/** Makes an aggregate.  Throws aggregateNameTaken (409).  Spec: compute api-ref "Create Aggregate". */
export async function createAggregate(parts: AdminParts, call: Call<AggregateCreate>): Promise<Reply> {
  const { name: given, availability_zone: zone } = call.body.aggregate;
  const [name, now] = [given.trim(), parts.clock.now()];
  const metadata: Record<string, string> = zone ? { availability_zone: zone.trim() } : {};
  const made = await unlessTaken(name, () =>
    parts.db.transaction(async (tx) => {
      const aggregate = await insertAggregate(tx, { name, metadata, now });
      if (!aggregate) throw aggregateNameTaken({ name });
      await tell(parts, tx, 'create', { ...aggregate, id: null, hosts: null }, aggregate, now);
      return aggregate;
    }),
  );
  return { status: 200, body: { aggregate: aggregateMade(made) } };
}

async function unlessTaken<T>(name: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (isUniqueViolation(cause)) throw aggregateNameTaken({ name }, { cause });
    throw cause;
  }
}

/** Changes one aggregate in one transaction; `plan` answers it as it shall be. */
async function change(
  parts: AdminParts,
  deed: 'update_prop' | 'update_metadata',
  id: number,
  plan: (tx: Query, aggregate: Aggregate) => Promise<{ name?: string; metadata?: Record<string, string> }>,
): Promise<Reply> {
  const now = parts.clock.now();
  const changed = await parts.db.transaction(async (tx) => {
    const aggregate = await lockAggregate(tx, id);
    if (!aggregate) throw aggregateNotFound({ id });
    const wish = await plan(tx, aggregate);
    const after = { ...aggregate, ...wish, updatedAt: now };
    await saveAggregate(tx, after, now);
    await settleZones(tx, aggregate.hosts, now);
    await tell(parts, tx, deed, aggregate, after, now);
    return after;
  });
  return answer(changed);
}

/** Renames an aggregate, or gives it another zone.  Throws aggregateNotFound (404), aggregateNameTaken (409), aggregateChangeRefused (400).
 *  Spec: compute api-ref "Update Aggregate". */
export function updateAggregate(parts: AdminParts, call: Call<AggregateUpdate>): Promise<Reply> {
  const id = idOf(call);
  const { name: given, availability_zone: zone } = call.body.aggregate;
  const name = given?.trim();
  return unlessTaken(name ?? '', () =>
    change(parts, 'update_prop', id, async (tx, aggregate) => {
      if (name !== undefined && (await nameTaken(tx, name, id))) throw aggregateNameTaken({ name });
      const refuse = (why: string) => aggregateChangeRefused({ id, what: 'update', why });
      if (zone !== undefined) await mayHaveZone(tx, aggregate, zone, refuse);
      const metadata: Record<string, string> = zone ? { ...aggregate.metadata, availability_zone: zone } : { ...aggregate.metadata };
      return { ...(name === undefined ? {} : { name }), metadata };
    }),
  );
}

/** Sets metadata; null takes a key away. An aggregate with servers on it keeps its zone.  Throws aggregateNotFound (404), aggregateChangeRefused (400).
 *  Spec: compute api-ref "Create Or Update Aggregate Metadata". */
export function setAggregateMetadata(parts: AdminParts, call: Call<AggregateSetMetadata>): Promise<Reply> {
  const wish = call.body.set_metadata.metadata;
  const id = idOf(call);
  return change(parts, 'update_metadata', id, async (tx, aggregate) => {
    const refuse = (why: string) => aggregateChangeRefused({ id, what: 'update metadata of', why });
    if (Object.hasOwn(wish, 'availability_zone')) await mayHaveZone(tx, aggregate, wish.availability_zone ?? null, refuse);
    const metadata = new Map(Object.entries(aggregate.metadata));
    for (const [key, value] of Object.entries(wish)) {
      if (value === null) metadata.delete(key);
      else metadata.set(key, value);
    }
    return { metadata: Object.fromEntries(metadata) };
  });
}

/** Throws unless the hosts of the aggregate may be in that zone: no other aggregate puts one of them elsewhere, and no server would change zones. */
async function mayHaveZone(tx: Query, aggregate: Aggregate, zone: string | null, refuse: (why: string) => Error): Promise<void> {
  if (!zone) throw refuse(`Aggregate ${aggregate.name} does not support empty named availability zone`);
  await lockComputeHosts(tx, aggregate.hosts);
  await mustNotConflict(tx, aggregate, aggregate.hosts, zone, refuse);
  if (zoneOf(aggregate) !== zone && (await serversOn(tx, aggregate.hosts)) > 0)
    throw refuse('One or more hosts contain instances in this zone');
}

async function mustNotConflict(tx: Query, aggregate: Aggregate, hosts: readonly string[], zone: string, refuse: (why: string) => Error) {
  const others = (await listAggregates(tx, hosts)).flatMap((other) => (other.id === aggregate.id ? [] : (zoneOf(other) ?? [])));
  const elsewhere = others.filter((other) => other !== zone);
  if (elsewhere.length > 0)
    throw refuse(`One or more hosts already in availability zone(s) [${elsewhere.map((other) => `'${other}'`).join(', ')}]`);
}

/** Puts a host into an aggregate. A host is in one zone at most, and does not change zones while servers are on it.
 *  Throws aggregateNotFound, computeHostNotFound (404), aggregateHasHost, aggregateHostRefused (409).  Spec: compute api-ref "Add Host". */
export async function addHost(parts: AdminParts, call: Call<AggregateAddHost>): Promise<Reply> {
  const { host } = call.body.add_host;
  const id = idOf(call);
  const now = parts.clock.now();
  const changed = await parts.db.transaction(async (tx) => {
    const aggregate = await lockAggregate(tx, id);
    if (!aggregate) throw aggregateNotFound({ id });
    const known = await lockComputeHosts(tx, [host]);
    if (known.length === 0) throw computeHostNotFound({ host });
    const refuse = (why: string) => aggregateHostRefused({ id, deed: 'add host to', why });
    const zone = zoneOf(aggregate);
    if (zone !== null) {
      await mustNotConflict(tx, aggregate, [host], zone, refuse);
      const before = (await listAggregates(tx, [host])).map(zoneOf).find((one) => one !== null) ?? null;
      const servers = before === zone ? 0 : await serversOn(tx, [host]);
      if (servers > 0) throw refuse(wouldMove('added to', before, zone, servers));
    }
    if (!(await addAggregateHost(tx, parts.db.kind, id, host))) throw aggregateHasHost({ id, host });
    return hostsChanged(parts, tx, 'add_host', aggregate, host, now);
  });
  return answer(changed);
}

/** Takes a host out of an aggregate.  Throws aggregateNotFound, aggregateHasNoHost (404), aggregateHostRefused (409).
 *  Spec: compute api-ref "Remove Host". */
export async function removeHost(parts: AdminParts, call: Call<AggregateRemoveHost>): Promise<Reply> {
  const { host } = call.body.remove_host;
  const id = idOf(call);
  const now = parts.clock.now();
  const changed = await parts.db.transaction(async (tx) => {
    const aggregate = await lockAggregate(tx, id);
    if (!aggregate) throw aggregateNotFound({ id });
    await lockComputeHosts(tx, [host]);
    if (!(await removeAggregateHost(tx, id, host))) throw aggregateHasNoHost({ id, host });
    const zone = zoneOf(aggregate);
    if (zone !== null) {
      const then = (await listAggregates(tx, [host])).map(zoneOf).find((one) => one !== null) ?? null;
      const servers = then === zone ? 0 : await serversOn(tx, [host]);
      if (servers > 0) throw aggregateHostRefused({ id, deed: 'remove host from', why: wouldMove('removed from', zone, then, servers) });
    }
    return hostsChanged(parts, tx, 'remove_host', aggregate, host, now);
  });
  return answer(changed);
}

const wouldMove = (deed: 'added to' | 'removed from', from: string | null, to: string | null, servers: number) =>
  `The host cannot be ${deed} the aggregate: its availability zone would change from '${from ?? 'None'}' to '${to ?? 'None'}' but the host already has ${servers} instance(s). Move them away first, by shelve_offload and unshelve if they shall change zones`;

async function hostsChanged(
  parts: AdminParts,
  tx: Query,
  deed: 'add_host' | 'remove_host',
  aggregate: Aggregate,
  host: string,
  now: Micros,
): Promise<Aggregate> {
  await saveAggregate(tx, aggregate, now);
  await settleZones(tx, [host], now);
  const after = (await findAggregate(tx, aggregate.id)) ?? aggregate;
  await tell(parts, tx, deed, aggregate, after, now);
  return after;
}

/** Deletes an aggregate without hosts.  Throws aggregateNotFound (404), aggregateNotEmpty (400).  Spec: compute api-ref "Delete Aggregate". */
export async function removeAggregate(parts: AdminParts, call: Call): Promise<Reply> {
  const id = idOf(call);
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    const aggregate = await lockAggregate(tx, id);
    if (!aggregate) throw aggregateNotFound({ id });
    if (aggregate.hosts.length > 0) throw aggregateNotEmpty({ id });
    await deleteAggregate(tx, id);
    await tell(parts, tx, 'delete', aggregate, aggregate, now);
  });
  return { status: 200 };
}

/** Has every host of an aggregate fetch images before a server needs them: a conductor sees to it, and tells listeners how it goes.
 *  Throws aggregateNotFound (404), invalidInput (400).  Spec: compute api-ref "Request Image Pre-caching for Aggregate". */
export async function cacheAggregateImages(parts: AdminParts, call: Call<AggregateImages>): Promise<Reply> {
  const id = idOf(call);
  const images = call.body.cache.map((image) => image.id);
  if (new Set(images).size < images.length) throw invalidInput({ why: 'Duplicate images in request' });
  const aggregate = await findAggregate(parts.db.read, id);
  if (!aggregate) throw aggregateNotFound({ id });
  await parts.agents
    .cacheImages(id, images)
    .catch((cause) => call.log.warn({ err: cause, aggregate: id }, 'nobody could be asked to cache images'));
  return { status: 202 };
}
