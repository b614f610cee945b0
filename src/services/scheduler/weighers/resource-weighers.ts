import { known } from '../host-view.ts';
import type { Weigher } from '../weigher.ts';

/** Memory nobody uses, allocation ratio left out.  Spec: Nova's RAMWeigher. */
export const RAMWeigher: Weigher = {
  name: 'RAMWeigher',
  option: 'ram_weight_multiplier',
  multiplier: 1,
  minimum: 0,
  weigh: (host) => host.memoryFreeMiB,
};
/** CPUs still to give, allocation ratio included.  Spec: Nova's CPUWeigher. */
export const CPUWeigher: Weigher = {
  name: 'CPUWeigher',
  option: 'cpu_weight_multiplier',
  multiplier: 1,
  minimum: 0,
  weigh: (host) => host.vcpusTotal * known(host.cpuRatio) - host.vcpusUsed,
};
/** Disk in MiB: what is not promised, or what is really free if that is less.  Spec: Nova's DiskWeigher. */
export const DiskWeigher: Weigher = {
  name: 'DiskWeigher',
  option: 'disk_weight_multiplier',
  multiplier: 1,
  minimum: 0,
  weigh: (host) => host.diskFreeMiB,
};
