import type { HostFacts } from '../../db/tables/compute/hosts.ts';
import type { Amounts, ClaimClass } from '../../model/resources.ts';
import { Host } from './live-host.ts';

/** All hosts, their numbers in columns by the host's index. Free amounts are what placement would still give (capacity - used); a `Host` reads the rest. */
export interface HostColumns {
  readonly hosts: Host[];
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
  const size = columns.memoryTotal.length * 2;
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

/** Writes a host's facts into the columns, at its old place or at the end. */
export function putHost(columns: HostColumns, byName: Map<string, Host>, facts: HostFacts, enforced: Enforced = null): Host {
  let host = byName.get(facts.host);
  const state = { facts, disabled: facts.disabled, forcedDown: facts.forcedDown, lastSeenAt: facts.lastSeenAt };
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
  return host;
}

export function setUsed(columns: HostColumns, at: number, used: Readonly<Record<string, unknown>>): void {
  for (const name of names) {
    const value = used[name];
    if (typeof value === 'number') columns.used[name][at] = value;
  }
}

export function addPending(columns: HostColumns, at: number, amounts: Amounts, sign: 1 | -1): void {
  for (const name of names) columns.pending[name][at] = (columns.pending[name][at] ?? 0) + sign * amounts[name];
}

export const freeOf = (columns: HostColumns, name: keyof Amounts, at: number) =>
  (columns.capacity[name][at] ?? 0) - (columns.used[name][at] ?? 0) - (columns.pending[name][at] ?? 0);

/** The same hosts as if nothing were pending. */
export function withoutPending(columns: HostColumns): HostColumns {
  const clean: HostColumns = { ...columns, hosts: [], pending: three(columns.memoryTotal.length) };
  for (const host of columns.hosts) clean.hosts.push(host.withoutChosen(clean));
  return clean;
}
