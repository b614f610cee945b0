import type { HostRequest } from '../../bus/contracts/scheduler.ts';
import type { Query } from '../../db/engine.ts';
import { lastChange, readChanges } from '../../db/tables/compute/changes.ts';
import { COMPUTE_BINARY, listHostFacts } from '../../db/tables/compute/hosts.ts';
import type { Clock, Micros } from '../../lib/clock.ts';
import type { Amounts } from '../../model/resources.ts';
import { addPending, emptyColumns, type HostColumns, putHost, setUsed, withoutPending } from './host-columns.ts';
import type { Host } from './live-host.ts';

/** What happens to a server after which a choice for it is settled one way or the other. */
const ENDS = ['placed', 'unplaced', 'deleted', 'build-failed'];

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
  /** Which services are enabled and alive: that is not in the feed. */
  readServices(): Promise<void>;
  consume(request: HostRequest, host: Host): void;
  forget(serverUuid: string): void;
  /** Members of a group by host; own choices included unless `claimed` only. */
  groupHosts(request: HostRequest, claimed?: true): ReadonlyMap<string, number>;
  /** The columns as if none of our own choices were pending: only what is claimed counts. */
  claimedColumns(): HostColumns;
  dropOld(): void;
}

export function createHostMemory(parts: { db: Query; clock: Clock; pendingMs: number }): HostMemory {
  const { db, clock, pendingMs } = parts;
  let columns = emptyColumns();
  let byName = new Map<string, Host>();
  const pending = new Map<string, Pending>();
  let cursor = -1;

  const forget = (uuid: string) => {
    const old = pending.get(uuid);
    if (!old) return;
    pending.delete(uuid);
    addPending(columns, old.host.index, old.amounts, -1);
  };
  const listAll = async () => {
    const from = await lastChange(db);
    const facts = await listHostFacts(db);
    const next = { columns: emptyColumns(), byName: new Map<string, Host>() };
    for (const one of facts) putHost(next.columns, next.byName, one);
    ({ columns, byName } = next);
    cursor = from;
    const kept = [...pending];
    pending.clear();
    for (const [uuid, one] of kept) {
      const host = byName.get(one.host.facts.host);
      if (!host) continue;
      pending.set(uuid, { ...one, host });
      addPending(columns, host.index, one.amounts, 1);
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
        const hosts = new Set<string>();
        for (const change of changes) {
          if (change.noun === 'host' || change.noun === 'service') hosts.add(change.key);
          else if (change.noun === 'server' && ENDS.includes(change.what)) {
            forget(change.key);
            apply(change.body);
          }
        }
        for (const facts of await listHostFacts(db, [...hosts])) putHost(columns, byName, facts);
        cursor = last;
        if (changes.length < 1000) return;
      }
    },
    async refresh() {
      if (cursor < 0) return listAll();
      const known = await db.selectFrom('hypervisors').select(['host', 'uuid']).execute();
      if (known.length !== columns.hosts.length || known.some((row) => byName.get(row.host)?.facts.uuid !== row.uuid)) return listAll();
      const byProvider = new Map(columns.hosts.map((host) => [host.facts.uuid, host]));
      const rows = await db.selectFrom('inventories').select(['provider_uuid', 'resource_class', 'capacity', 'used']).execute();
      for (const row of rows) {
        const host = byProvider.get(row.provider_uuid);
        const name = row.resource_class;
        if (!host || (name !== 'VCPU' && name !== 'MEMORY_MB' && name !== 'DISK_GB')) continue;
        columns.capacity[name][host.index] = row.capacity;
        columns.used[name][host.index] = row.used;
      }
      await dropKnown();
      await memory.readServices();
    },
    async readServices() {
      const rows = await db
        .selectFrom('services')
        .select(['host', 'disabled', 'forced_down', 'last_seen_at'])
        .where('binary', '=', COMPUTE_BINARY)
        .execute();
      for (const row of rows) {
        const host = byName.get(row.host);
        if (!host) continue;
        host.disabled = row.disabled !== 0;
        host.forcedDown = row.forced_down !== 0;
        host.lastSeenAt = row.last_seen_at;
      }
    },
    consume(request, host) {
      forget(request.serverUuid);
      addPending(columns, host.index, request.amounts, 1);
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
