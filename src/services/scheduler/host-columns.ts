import type { HostFacts } from '../../db/tables/compute/hosts.ts';
import type { Amounts, ClaimClass } from '../../model/resources.ts';
import { type HostChanges, noChanges, touch } from './fast/host-changes.ts';
import { Host } from './live-host.ts';

/** All hosts, their numbers in columns by the host's index. Free amounts are what placement would still give (capacity - used); a `Host` reads the rest. */
export interface HostColumns {
  readonly hosts: Host[];
  readonly byName: Map<string, Host>;
  /** Which hosts changed: whoever writes into the columns says so. */
  readonly changes: HostChanges;
  /** Parts that many hosts have in common are kept once: what a machine is, its sizes. */
  readonly common: Map<string, unknown>;
  capacity: { VCPU: Float64Array; MEMORY_MB: Float64Array; DISK_GB: Float64Array };
  /** As the database last told. */
  used: { VCPU: Float64Array; MEMORY_MB: Float64Array; DISK_GB: Float64Array };
  /** Chosen here, not yet seen in the database. */
  pending: { VCPU: Float64Array; MEMORY_MB: Float64Array; DISK_GB: Float64Array };
  /** total - reserved, without ratios. */
  memoryTotal: Float64Array;
  diskTotal: Float64Array;
  diskFree: Float64Array;
}

const three = (size: number) => ({ VCPU: new Float64Array(size), MEMORY_MB: new Float64Array(size), DISK_GB: new Float64Array(size) });
const names = ['VCPU', 'MEMORY_MB', 'DISK_GB'] as const;

export const emptyColumns = (): HostColumns => ({
  hosts: [],
  byName: new Map(),
  changes: noChanges(),
  common: new Map(),
  capacity: three(16),
  used: three(16),
  pending: three(16),
  memoryTotal: new Float64Array(16),
  diskTotal: new Float64Array(16),
  diskFree: new Float64Array(16),
});

const grown = (old: Float64Array, size: number) => {
  const next = new Float64Array(size);
  next.set(old);
  return next;
};
function grow(columns: HostColumns): void {
  const size = Math.ceil(columns.memoryTotal.length * 1.25);
  for (const table of [columns.capacity, columns.used, columns.pending]) for (const name of names) table[name] = grown(table[name], size);
  columns.memoryTotal = grown(columns.memoryTotal, size);
  columns.diskTotal = grown(columns.diskTotal, size);
  columns.diskFree = grown(columns.diskFree, size);
}

export type Enforced = ReadonlySet<ClaimClass> | null;
/** What of a class servers may take of a host in all. With the rules of older releases (`enforced`): total times ratio, what is reserved counting as
 *  used; a class that claims do not cap has no end. */
export function capacityIn(
  enforced: Enforced,
  name: ClaimClass,
  inventory: { readonly total: number; readonly reserved: number; readonly ratio: number; readonly capacity: number },
): number {
  if (enforced === null) return inventory.capacity;
  return enforced.has(name) ? inventory.total * inventory.ratio - inventory.reserved : Number.POSITIVE_INFINITY;
}

/** Facts without what the columns hold and with the common parts shared: ten thousand hosts of one make differ in name and use alone. */
function lean(common: Map<string, unknown>, facts: HostFacts): HostFacts {
  const once = <T>(key: string, value: T): T => {
    const known = common.get(key);
    if (known !== undefined) return known as T; // the key holds the whole value
    if (common.size < COMMON) common.set(key, value);
    return value;
  };
  const { VCPU, MEMORY_MB, DISK_GB } = facts.inventories;
  const sizes = { VCPU: { ...VCPU, used: 0 }, MEMORY_MB: { ...MEMORY_MB, used: 0 }, DISK_GB: { ...DISK_GB, used: 0 } };
  return {
    ...facts,
    zone: once(`zone ${facts.zone}`, facts.zone),
    node: facts.node === facts.host ? facts.host : facts.node,
    hypervisorType: once(`type ${facts.hypervisorType}`, facts.hypervisorType),
    cpuInfo: once(`cpu ${facts.cpuInfo}`, facts.cpuInfo),
    supportedInstances: once(`runs ${JSON.stringify(facts.supportedInstances)}`, facts.supportedInstances),
    ...(facts.traits ? { traits: once(`traits ${facts.traits}`, facts.traits) } : {}),
    stats: once(`stats ${JSON.stringify(facts.stats)}`, facts.stats),
    inventories: once(`sizes ${JSON.stringify(sizes)}`, sizes),
  };
}
/** Hosts that have nothing in common must not be kept here a second time. */
const COMMON = 1000;

/** Writes a host's facts into the columns, at its old place or at the end. */
export function putHost(columns: HostColumns, byName: Map<string, Host>, facts: HostFacts, enforced: Enforced = null): Host {
  let host = byName.get(facts.host);
  const state = {
    facts: lean(columns.common, facts),
    disabled: facts.disabled,
    forcedDown: facts.forcedDown,
    lastSeenAt: facts.lastSeenAt,
  };
  if (host) {
    Object.assign(host, state);
    host.changed();
  } else {
    if (columns.hosts.length === columns.memoryTotal.length) grow(columns);
    host = new Host(columns, columns.hosts.length, state);
    columns.hosts.push(host);
    byName.set(facts.host, host);
  }
  const at = host.index;
  for (const name of names) {
    columns.capacity[name][at] = capacityIn(enforced, name, facts.inventories[name]);
    columns.used[name][at] = facts.inventories[name].used;
  }
  const { MEMORY_MB: memory, DISK_GB: disk } = facts.inventories;
  columns.memoryTotal[at] = memory.total - memory.reserved;
  columns.diskTotal[at] = disk.total - disk.reserved;
  columns.diskFree[at] = facts.diskFreeGiB;
  columns.byName.set(facts.host, host);
  touch(columns.changes, at, 'facts');
  return host;
}

export function setUsed(columns: HostColumns, at: number, used: Readonly<Record<string, unknown>>): void {
  for (const name of names) {
    const value = used[name];
    if (typeof value === 'number') columns.used[name][at] = value;
  }
  touch(columns.changes, at, 'amounts');
}

/** Writes what the database has now; a line of changes only where it differs. */
export function setInventory(columns: HostColumns, at: number, name: keyof Amounts, capacity: number, used: number): void {
  if (columns.capacity[name][at] === capacity && columns.used[name][at] === used) return;
  columns.capacity[name][at] = capacity;
  columns.used[name][at] = used;
  touch(columns.changes, at, 'amounts');
}

export function addPending(columns: HostColumns, at: number, amounts: Amounts, sign: 1 | -1): void {
  for (const name of names) columns.pending[name][at] = (columns.pending[name][at] ?? 0) + sign * amounts[name];
  touch(columns.changes, at, 'amounts');
}

export const freeOf = (columns: HostColumns, name: keyof Amounts, at: number) =>
  (columns.capacity[name][at] ?? 0) - (columns.used[name][at] ?? 0) - (columns.pending[name][at] ?? 0);

/** The same hosts as if nothing were pending. */
export function withoutPending(columns: HostColumns): HostColumns {
  const clean: HostColumns = { ...columns, hosts: [], byName: new Map(), changes: noChanges(), pending: three(columns.memoryTotal.length) };
  for (const host of columns.hosts) {
    const copy = host.withoutChosen(clean);
    clean.hosts.push(copy);
    clean.byName.set(host.facts.host, copy);
  }
  return clean;
}
