import type { HostRequest } from '../../bus/contracts/scheduler.ts';
import type { Query } from '../../db/engine.ts';
import { type AggregateFacts, listAggregateFacts } from '../../db/tables/compute/aggregate-facts.ts';
import { type Change, lastChange, readChanges, unnumberedChanges } from '../../db/tables/compute/changes.ts';
import { allHostServers, findHostServers, type HostServer } from '../../db/tables/compute/host-servers.ts';
import { COMPUTE_BINARY, listHostFacts } from '../../db/tables/compute/hosts.ts';
import { listPartClaims, partVersions } from '../../db/tables/placement/parts.ts';
import type { Clock, Micros } from '../../lib/clock.ts';
import type { Amounts } from '../../model/resources.ts';
import {
  addPending,
  capacityIn,
  type Enforced,
  emptyColumns,
  type HostColumns,
  putHost,
  setInventory,
  setUsed,
  withoutPending,
} from './host-columns.ts';
import type { Host } from './live-host.ts';
import { chosenServer, type LiveServer, serverReader } from './live-server.ts';
import type { Wish } from './wish.ts';

/** What happens to a server after which a choice for it is settled one way or the other. */
const ENDS = ['placed', 'unplaced', 'deleted', 'build-failed'];
/** News of servers that are nothing to a host, and those that tell the new states themselves; after any other the server is read again. */
const NO_NEWS = ['created', 'metadata', 'tags', 'properties', 'progress'];
const STATES = ['active', 'power', 'task', 'task-ended', 'action-failed', 'deleting', 'delete-failed', 'build-failed'];

type News = Pick<Change, 'noun' | 'key' | 'what'> & Partial<Pick<Change, 'body'>>;

interface Pending {
  readonly host: Host;
  readonly amounts: Amounts;
  readonly group: string | null;
  readonly until: Micros;
}

/** Everything the scheduler knows of hosts: what the database told, in columns, and its own choices that the database does not show yet. */
export interface HostMemory {
  readonly columns: HostColumns;
  /** Number of the newest line of the change feed that is in here. */
  readonly position: () => number;
  /** Reads on in the change feed; lists everything again when the feed has gone on without us. */
  follow(): Promise<void>;
  /** Reads every number anew, past the feed: before anything is refused. */
  refresh(): Promise<void>;
  /** Whether an operator did something to services or aggregates that is not in here yet: what was answered to them holds for the very next choice. */
  hasOperatorNews(): Promise<boolean>;
  /** Which services are enabled and alive: that is not in the feed. */
  readServices(): Promise<void>;
  /** Counts a choice in; with the wish also what it takes of cells and devices. */
  consume(request: HostRequest, host: Host, wish?: Wish): void;
  /** All aggregates, in the order of their keys. */
  readonly aggregates: readonly AggregateFacts[];
  forget(serverUuid: string): void;
  /** Members of a group by host; own choices included unless `claimed` only. */
  groupHosts(request: HostRequest, claimed?: true): ReadonlyMap<string, number>;
  /** The columns as if none of our own choices were pending: only what is claimed counts. */
  claimedColumns(): HostColumns;
  dropOld(): void;
}

export function createHostMemory(parts: { db: Query; clock: Clock; pendingMs: number; enforced?: Enforced }): HostMemory {
  const { db, clock, pendingMs, enforced = null } = parts;
  const toServer = serverReader();
  let columns = emptyColumns();
  let byName = new Map<string, Host>();
  const pending = new Map<string, Pending>();
  let cursor = -1;
  let aggregates: readonly AggregateFacts[] = [];
  /** Where each server that stands somewhere stands. */
  let standing = new Map<string, Host>();
  /** Of hosts where cells or devices were ever claimed, by provider: the version that `held` is of, or an older one. */
  let versions = new Map<string, number>();

  const forget = (uuid: string) => {
    const old = pending.get(uuid);
    if (!old) return;
    pending.delete(uuid);
    addPending(columns, old.host.index, old.amounts, -1);
    old.host.take('chosen', uuid);
  };
  const listAll = async () => {
    const from = await lastChange(db);
    const claimed = { versions: await partVersions(db), held: await listPartClaims(db) };
    const facts = await listHostFacts(db);
    const groups = await listAggregateFacts(db);
    const next = { columns: emptyColumns(), byName: new Map<string, Host>() };
    for (const one of facts) putHost(next.columns, next.byName, one, enforced);
    const places = new Map<string, Host>();
    for await (const rows of allHostServers(db)) {
      for (const row of rows) {
        const host = row.host === null ? undefined : next.byName.get(row.host);
        if (!host || row.host === null) continue;
        host.put('servers', toServer({ ...row, host: row.host }));
        places.set(row.uuid, host);
      }
    }
    ({ columns, byName } = next);
    standing = places;
    ({ versions } = claimed);
    for (const host of columns.hosts) {
      const held = claimed.held.get(host.facts.uuid);
      if (held) host.hold(held);
    }
    join(groups);
    cursor = from;
    const kept = [...pending];
    pending.clear();
    for (const [uuid, one] of kept) {
      const host = byName.get(one.host.facts.host);
      if (!host) continue;
      pending.set(uuid, { ...one, host });
      addPending(columns, host.index, one.amounts, 1);
      const server = one.host.chosen.get(uuid);
      if (server) host.put('chosen', server);
    }
    await dropKnown();
  };
  /** Choices that became claims are in `used` now and must not count twice. */
  const dropKnown = async () => {
    const uuids = [...pending.keys()];
    for (let at = 0; at < uuids.length; at += 500) {
      const rows = await db
        .selectFrom('consumers')
        .select('uuid')
        .where('uuid', 'in', uuids.slice(at, at + 500))
        .execute();
      for (const row of rows) forget(row.uuid);
    }
  };
  const join = (groups: readonly AggregateFacts[]) => {
    aggregates = groups;
    const byHost = new Map<string, AggregateFacts[]>();
    for (const group of groups) for (const name of group.hosts) byHost.set(name, [...(byHost.get(name) ?? []), group]);
    for (const host of columns.hosts) host.join(byHost.get(host.facts.host) ?? []);
  };
  const leave = (uuid: string) => {
    standing.get(uuid)?.take('servers', uuid);
    standing.delete(uuid);
  };
  const stand = (server: LiveServer) => {
    leave(server.uuid);
    const host = byName.get(server.host);
    if (!host) return;
    host.put('servers', server);
    standing.set(server.uuid, host);
  };
  const putServer = (row: HostServer) => (row.deleted || row.host === null ? leave(row.uuid) : stand(toServer({ ...row, host: row.host })));

  /** What must be read again after these changes. */
  const stale = (changes: readonly News[], known: (change: News) => boolean) => {
    const [hosts, servers] = [new Set<string>(), new Set<string>()];
    let groups = false;
    const holders = new Set<string>();
    for (const change of changes) {
      const at = change.noun === 'host' ? change.key : change.body?.host;
      if (typeof at === 'string' && (change.body?.parts !== undefined || (byName.get(at)?.held.length ?? 0) > 0)) holders.add(at);
      if (change.noun === 'host' || change.noun === 'service') hosts.add(change.key);
      else if (change.noun === 'aggregate') groups = true;
      else if (change.noun === 'server' && !NO_NEWS.includes(change.what) && !known(change)) servers.add(change.key);
    }
    return { hosts: [...hosts], servers: [...servers], groups, holders: [...holders] };
  };
  const read = async ({ hosts, servers, groups, holders }: ReturnType<typeof stale>) => {
    const facts = await listHostFacts(db, hosts);
    // A host that is new here may be in aggregates already, and its servers may have been heard of before it.
    const fresh = facts.flatMap(({ host }) => (byName.has(host) ? [] : [host]));
    return {
      facts,
      // With an aggregate the zone of its hosts' services may have changed too.
      zones: groups ? await db.selectFrom('services').select(['host', 'zone']).where('binary', '=', COMPUTE_BINARY).execute() : [],
      rows: [...(await findHostServers(db, 'host', fresh)), ...(await findHostServers(db, 'uuid', servers))],
      groups: groups || fresh.length > 0 ? await listAggregateFacts(db) : null,
      held: await readHeld([
        ...holders.flatMap((name) => byName.get(name)?.facts.uuid ?? []),
        ...facts.flatMap(({ host, uuid }) => (byName.has(host) ? [] : [uuid])),
      ]),
    };
  };
  const readHeld = async (providers: readonly string[]) => {
    const held = await listPartClaims(db, providers);
    return providers.map((provider) => ({ provider, held: held.get(provider) ?? [] }));
  };
  const hold = (found: Awaited<ReturnType<typeof readHeld>>) => {
    if (found.length === 0) return;
    const byProvider = new Map(columns.hosts.map((host) => [host.facts.uuid, host]));
    for (const { provider, held } of found) byProvider.get(provider)?.hold(held);
  };
  const put = ({ facts, rows, groups, zones, held }: Awaited<ReturnType<typeof read>>) => {
    for (const one of facts) putHost(columns, byName, one, enforced);
    hold(held);
    for (const row of rows) putServer(row);
    for (const { host, zone } of zones) byName.get(host)?.setZone(zone);
    if (groups) join(groups);
  };
  /** What a change of a server does to our memory, where the change itself or our own choice says it all; null: the server must be read. */
  const told = ({ key, what, body }: Change): (() => void) | null => {
    const text = (value: unknown) => (typeof value === 'string' ? value : null);
    if (what === 'unplaced' || what === 'deleted') return () => leave(key);
    if (what === 'placed') {
      const one = pending.get(key);
      const server = one?.host.facts.host === body.host ? one?.host.chosen.get(key) : undefined;
      return server ? () => stand(server) : null;
    }
    if (!STATES.includes(what)) return null;
    return () =>
      standing.get(key)?.setState(key, {
        ...(typeof body.vmState === 'string' ? { vmState: body.vmState } : {}),
        ...('taskState' in body ? { taskState: text(body.taskState) } : {}),
      });
  };
  const apply = (body: Readonly<Record<string, unknown>>) => {
    const host = typeof body.host === 'string' ? byName.get(body.host) : undefined;
    if (host && body.used !== null && typeof body.used === 'object') setUsed(columns, host.index, body.used as Record<string, unknown>); // written by placing.ts
  };

  const memory: HostMemory = {
    get columns() {
      return columns;
    },
    position: () => cursor,
    async follow() {
      if (cursor < 0) return listAll();
      for (;;) {
        const { changes, last, gone } = await readChanges(db, cursor);
        if (gone) return listAll();
        const own = new Map<unknown, () => void>();
        for (const change of changes) {
          const does = change.noun === 'server' ? told(change) : null;
          if (does) own.set(change, does);
        }
        const found = await read(stale(changes, (change) => own.has(change)));
        for (const change of changes) {
          if (change.noun !== 'server') continue;
          own.get(change)?.();
          if (!ENDS.includes(change.what)) continue;
          forget(change.key);
          apply(change.body);
        }
        put(found);
        cursor = last;
        if (changes.length < 1000) return;
      }
    },
    async refresh() {
      if (cursor < 0) return listAll();
      // Cells and devices have versions of their own. They are read first: what is claimed meanwhile is another version then.
      const now = await partVersions(db);
      // Then what has no number yet: whatever gets one meanwhile is in the feed then.
      const news = await unnumberedChanges(db);
      await memory.follow();
      const known = await db.selectFrom('hypervisors').select(['host', 'uuid']).execute();
      if (known.length !== columns.hosts.length || known.some((row) => byName.get(row.host)?.facts.uuid !== row.uuid)) return listAll();
      const byProvider = new Map(columns.hosts.map((host) => [host.facts.uuid, host]));
      const rows = await db.selectFrom('inventories').selectAll().execute();
      for (const row of rows) {
        const host = byProvider.get(row.provider_uuid);
        const name = row.resource_class;
        if (!host || (name !== 'VCPU' && name !== 'MEMORY_MB' && name !== 'DISK_GB')) continue;
        setInventory(columns, host.index, name, capacityIn(enforced, name, { ...row, ratio: row.allocation_ratio }), row.used);
      }
      hold(await readHeld([...now].flatMap(([provider, version]) => (versions.get(provider) === version ? [] : [provider]))));
      versions = now;
      await dropKnown();
      // Placed and gone again before the feed told of either.
      for (const { noun, key, what } of news) if (noun === 'server' && (what === 'deleted' || what === 'build-failed')) forget(key);
      put(await read(stale(news, () => false)));
      await memory.readServices();
    },
    async hasOperatorNews() {
      const news = await db
        .selectFrom('changes')
        .select('id')
        .where('noun', 'in', ['service', 'aggregate'])
        .where((eb) => eb.or([eb('seq', 'is', null), eb('seq', '>', cursor)]))
        .limit(1)
        .executeTakeFirst();
      return news !== undefined;
    },
    async readServices() {
      const rows = await db
        .selectFrom('services')
        .select(['host', 'zone', 'disabled', 'forced_down', 'last_seen_at'])
        .where('binary', '=', COMPUTE_BINARY)
        .execute();
      for (const row of rows) {
        const host = byName.get(row.host);
        if (!host) continue;
        host.disabled = row.disabled !== 0;
        host.forcedDown = row.forced_down !== 0;
        host.lastSeenAt = row.last_seen_at;
        host.setZone(row.zone);
      }
      columns.changes.services++;
    },
    get aggregates() {
      return aggregates;
    },
    consume(request, chosen, wish) {
      forget(request.serverUuid);
      const host = byName.get(chosen.facts.host) ?? chosen; // everything may have been listed anew since it was chosen
      addPending(columns, host.index, request.amounts, 1);
      if (wish) host.put('chosen', chosenServer(wish, host.facts.host));
      const until = clock.now() + pendingMs * 1000;
      pending.set(request.serverUuid, { host, amounts: request.amounts, group: request.group?.uuid ?? null, until });
    },
    forget,
    groupHosts(request, claimed) {
      const hosts = new Map<string, number>();
      if (!request.group) return hosts;
      for (const [host, members] of Object.entries(request.group.hosts)) if (members > 0) hosts.set(host, members);
      if (claimed) return hosts;
      for (const [uuid, one] of pending) {
        if (one.group !== request.group.uuid || uuid === request.serverUuid) continue;
        hosts.set(one.host.facts.host, (hosts.get(one.host.facts.host) ?? 0) + 1);
      }
      return hosts;
    },
    claimedColumns: () => withoutPending(columns),
    dropOld() {
      const now = clock.now();
      for (const [uuid, one] of pending) if (one.until < now) forget(uuid);
    },
  };
  return memory;
}
