import { pythonFloat } from '../../../model/python.ts';
import { aggregateNumber } from '../aggregates.ts';
import { type Ask, type Filter, no, ok, type Verdict } from '../filter.ts';
import { type HostView, known } from '../host-view.ts';

/** Filters of older releases that reckon with legacy ratios themselves. A server may overcommit a host against others, never against itself. */

function judgeMemory(host: HostView, { wish }: Ask, ratioOfHost: () => number): Verdict {
  const { memoryMiB: wanted } = wish.flavor;
  const short = no(`not enough free MiB of memory for ${wanted}`);
  if (!(host.memoryTotalMiB >= wanted)) return short;
  const limit = host.memoryTotalMiB * ratioOfHost();
  if (!(limit - (host.memoryTotalMiB - host.memoryFreeMiB) >= wanted)) return short;
  return { ok: true, limits: { memory_mb: limit } };
}
function judgeDisk(host: HostView, { wish }: Ask, ratioOfHost: () => number): Verdict {
  const wanted = diskMiB(wish.flavor);
  const short = no(`not enough free MiB of disk for ${wanted}`);
  const total = host.diskTotalGiB * 1024;
  if (total < wanted) return short;
  const limit = total * ratioOfHost();
  if (!(limit - (total - host.diskFreeMiB) >= wanted)) return short;
  return { ok: true, limits: { disk_gb: limit / 1024 } };
}
const diskMiB = (flavor: Ask['wish']['flavor']) => 1024 * (flavor.rootGiB + flavor.ephemeralGiB) + flavor.swapMiB;

function judgeCores(host: HostView, { wish }: Ask, ratioOfHost: () => number): Verdict {
  if (!host.vcpusTotal) return ok; // a hypervisor that does not count its CPUs
  const { vcpus: wanted } = wish.flavor;
  const short = `not enough free VCPU for ${wanted}`;
  const limit = host.vcpusTotal * ratioOfHost();
  const limits = limit > 0 ? { vcpu: limit } : {};
  if (limit > 0 && wanted > host.vcpusTotal) return { ...no(short), limits };
  return limit - host.vcpusUsed < wanted ? { ...no(short), limits } : { ok: true, limits };
}
/** The least ratio that the host's aggregates give, or its own. */
function aggregate(host: HostView, key: string, own: number | null): number {
  const ratio = aggregateNumber(host, key, own, pythonFloat);
  return ratio === null ? known(own) : ratio;
}

export const RamFilter: Filter = { name: 'RamFilter', judge: (host, ask) => judgeMemory(host, ask, () => known(host.ramRatio)) };
export const AggregateRamFilter: Filter = {
  name: 'AggregateRamFilter',
  judge: (host, ask) => judgeMemory(host, ask, () => aggregate(host, 'ram_allocation_ratio', host.ramRatio)),
};
export const DiskFilter: Filter = { name: 'DiskFilter', judge: (host, ask) => judgeDisk(host, ask, () => known(host.diskRatio)) };
export const AggregateDiskFilter: Filter = {
  name: 'AggregateDiskFilter',
  judge: (host, ask) => judgeDisk(host, ask, () => aggregate(host, 'disk_allocation_ratio', host.diskRatio)),
};
export const CoreFilter: Filter = { name: 'CoreFilter', judge: (host, ask) => judgeCores(host, ask, () => known(host.cpuRatio)) };
export const AggregateCoreFilter: Filter = {
  name: 'AggregateCoreFilter',
  judge: (host, ask) => judgeCores(host, ask, () => aggregate(host, 'cpu_allocation_ratio', host.cpuRatio)),
};

/** The host has exactly what is asked for: machines that are given away whole. */
export const ExactRamFilter: Filter = {
  name: 'ExactRamFilter',
  judge: (host, { wish }) =>
    wish.flavor.memoryMiB === host.memoryFreeMiB
      ? { ok: true, limits: { memory_mb: host.memoryTotalMiB } }
      : no(`the free MiB of memory are not exactly ${wish.flavor.memoryMiB}`),
};
export const ExactDiskFilter: Filter = {
  name: 'ExactDiskFilter',
  judge: (host, { wish }) =>
    diskMiB(wish.flavor) === host.diskFreeMiB
      ? { ok: true, limits: { disk_gb: host.diskTotalGiB } }
      : no(`the free MiB of disk are not exactly ${diskMiB(wish.flavor)}`),
};
export const ExactCoreFilter: Filter = {
  name: 'ExactCoreFilter',
  judge: (host, { wish }) =>
    host.vcpusTotal && wish.flavor.vcpus === host.vcpusTotal - host.vcpusUsed
      ? { ok: true, limits: { vcpu: host.vcpusTotal } }
      : no(`the free VCPU are not exactly ${wish.flavor.vcpus}`),
};
