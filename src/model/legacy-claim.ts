import type { ClaimClass } from './resources.ts';

const classes: Readonly<Record<string, ClaimClass>> = {
  RamFilter: 'MEMORY_MB',
  DiskFilter: 'DISK_GB',
  CoreFilter: 'VCPU',
  AggregateRamFilter: 'MEMORY_MB',
  AggregateDiskFilter: 'DISK_GB',
  AggregateCoreFilter: 'VCPU',
};

/** The classes that a claim caps when a config asks for filters of older releases: exactly those whose filter is enabled, as the old scheduler did. Null:
 *  none of these filters is enabled, and every class is capped.  Spec: Nova before 2019, RamFilter, DiskFilter, CoreFilter. */
export function enforcedClasses(enabledFilters: readonly string[]): ReadonlySet<ClaimClass> | null {
  const enforced = new Set(enabledFilters.flatMap((name) => classes[name.slice(name.lastIndexOf('.') + 1)] ?? []));
  return enforced.size > 0 ? enforced : null;
}
/** Ratios of those releases, where the config sets none. */
export const legacyRatios = { vcpu: 16, memory: 1.5, disk: 1 } as const;
