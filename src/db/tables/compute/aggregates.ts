import type { Selectable } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import { newUuid } from '../../../lib/ids.ts';
import { DEFAULT_ZONE } from '../../../model/server.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore, insertReturningId } from '../../statements.ts';
import { writeChange } from './changes.ts';
import { COMPUTE_BINARY } from './hosts.ts';
import type { AggregatesTable } from './tables.ts';

/** A set of hosts with metadata. A host's zone is the `availability_zone` of its aggregates, which all agree. */
export interface Aggregate {
  readonly id: number;
  readonly uuid: string;
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly hosts: readonly string[];
  readonly createdAt: Micros;
  readonly updatedAt: Micros | null;
}

const ZONE = 'availability_zone';
export const zoneOf = (aggregate: Pick<Aggregate, 'metadata'>): string | null =>
  Object.hasOwn(aggregate.metadata, ZONE) ? (aggregate.metadata[ZONE] ?? null) : null;

const aggregateOf = (row: Selectable<AggregatesTable>, hosts: readonly string[]): Aggregate => ({
  id: row.id,
  uuid: row.uuid,
  name: row.name,
  metadata: JSON.parse(row.metadata) as Record<string, string>, // written here only
  hosts,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

/** All aggregates in the order of their keys; with `hosts`: only those that hold one of them. */
export async function listAggregates(q: Query, hosts?: readonly string[]): Promise<Aggregate[]> {
  if (hosts?.length === 0) return [];
  let rows = q.selectFrom('aggregates').selectAll().orderBy('id');
  if (hosts) rows = rows.where('id', 'in', (eb) => eb.selectFrom('aggregate_hosts').select('aggregate_id').where('host', 'in', hosts));
  const found = await rows.execute();
  if (found.length === 0) return [];
  const members = await q.selectFrom('aggregate_hosts').selectAll().orderBy('host').execute();
  const byAggregate = new Map<number, string[]>();
  for (const { aggregate_id: id, host } of members) byAggregate.set(id, [...(byAggregate.get(id) ?? []), host]);
  return found.map((row) => aggregateOf(row, byAggregate.get(row.id) ?? []));
}

export async function findAggregate(q: Query, id: number): Promise<Aggregate | undefined> {
  const row = await q.selectFrom('aggregates').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) return undefined;
  const hosts = await q.selectFrom('aggregate_hosts').select('host').where('aggregate_id', '=', id).orderBy('host').execute();
  return aggregateOf(
    row,
    hosts.map(({ host }) => host),
  );
}

/** Makes an aggregate; undefined when the name is taken. */
export async function insertAggregate(
  tx: Query,
  wish: { name: string; metadata: Readonly<Record<string, string>>; now: Micros },
): Promise<Aggregate | undefined> {
  if (await nameTaken(tx, wish.name, null)) return undefined;
  const row = { uuid: newUuid(), name: wish.name, metadata: JSON.stringify(wish.metadata), created_at: wish.now, updated_at: null };
  const id = await insertReturningId(tx, 'aggregates', row);
  return aggregateOf({ id, ...row }, []);
}

/** Whether another aggregate than `except` has the name. Two that take one name at once are told apart by the table's unique key. */
export async function nameTaken(tx: Query, name: string, except: number | null): Promise<boolean> {
  let rows = tx.selectFrom('aggregates').select('id').where('name', '=', name);
  if (except !== null) rows = rows.where('id', '<>', except);
  return (await rows.executeTakeFirst()) !== undefined;
}

/** Takes the aggregate for this transaction and reads it: changes of one aggregate follow each other. */
export async function lockAggregate(tx: Query, id: number): Promise<Aggregate | undefined> {
  const { numUpdatedRows } = await tx
    .updateTable('aggregates')
    .set((eb) => ({ name: eb.ref('name') }))
    .where('id', '=', id)
    .executeTakeFirst();
  return numUpdatedRows === 0n ? undefined : findAggregate(tx, id);
}

/** Takes hosts for this transaction, so that their zone and their aggregates stay what they are. Answers those that exist. */
export async function lockComputeHosts(tx: Query, hosts: readonly string[]): Promise<string[]> {
  const found: string[] = [];
  for (const host of [...hosts].sort()) {
    const { numUpdatedRows } = await tx
      .updateTable('services')
      .set((eb) => ({ zone: eb.ref('zone') }))
      .where('host', '=', host)
      .where('binary', '=', COMPUTE_BINARY)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) found.push(host);
  }
  return found;
}

export async function saveAggregate(tx: Query, aggregate: Pick<Aggregate, 'id' | 'name' | 'metadata'>, now: Micros): Promise<void> {
  await tx
    .updateTable('aggregates')
    .set({ name: aggregate.name, metadata: JSON.stringify(aggregate.metadata), updated_at: now })
    .where('id', '=', aggregate.id)
    .execute();
}

/** False when it is a member already. */
export const addAggregateHost = (tx: Query, kind: EngineKind, id: number, host: string): Promise<boolean> =>
  insertIgnore(tx, kind, 'aggregate_hosts', { aggregate_id: id, host });

export async function removeAggregateHost(tx: Query, id: number, host: string): Promise<boolean> {
  const gone = await tx.deleteFrom('aggregate_hosts').where('aggregate_id', '=', id).where('host', '=', host).executeTakeFirst();
  return gone.numDeletedRows > 0n;
}

export async function deleteAggregate(tx: Query, id: number): Promise<void> {
  await tx.deleteFrom('aggregate_hosts').where('aggregate_id', '=', id).execute();
  await tx.deleteFrom('aggregates').where('id', '=', id).execute();
}

/** How many living servers stand on these hosts. */
export async function serversOn(q: Query, hosts: readonly string[]): Promise<number> {
  if (hosts.length === 0) return 0;
  const row = await q
    .selectFrom('servers')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('host', 'in', hosts)
    .where('deleted', '=', 0)
    .executeTakeFirst();
  return Number(row?.n ?? 0);
}

/** Writes into the hosts' services which zone their aggregates give them; a host that moved to another zone gets a line in the change feed. */
export async function settleZones(tx: Query, hosts: readonly string[], now: Micros): Promise<void> {
  if (hosts.length === 0) return;
  const zones = new Map<string, string>();
  for (const aggregate of await listAggregates(tx, hosts)) {
    const zone = zoneOf(aggregate);
    if (zone !== null) for (const host of aggregate.hosts) if (!zones.has(host)) zones.set(host, zone);
  }
  for (const host of [...hosts].sort()) {
    const zone = zones.get(host) ?? DEFAULT_ZONE;
    const { numUpdatedRows } = await tx
      .updateTable('services')
      .set({ zone })
      .where('host', '=', host)
      .where('binary', '=', COMPUTE_BINARY)
      .where('zone', '<>', zone)
      .executeTakeFirst();
    if (numUpdatedRows === 0n) continue;
    await writeChange(tx, { noun: 'service', key: host, what: 'updated', projectId: null, body: { host, zone }, at: now });
  }
}
