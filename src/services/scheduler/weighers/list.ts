import type { Weigher } from '../weigher.ts';
import {
  BuildFailureWeigher,
  CrossCellWeigher,
  HypervisorVersionWeigher,
  IoOpsWeigher,
  NumInstancesWeigher,
  PCIWeigher,
} from './host-weighers.ts';
import { ImagePropertiesWeigher } from './image-properties-weigher.ts';
import { MetricsWeigher } from './metrics-weigher.ts';
import { CPUWeigher, DiskWeigher, RAMWeigher } from './resource-weighers.ts';
import { ServerGroupSoftAffinityWeigher, ServerGroupSoftAntiAffinityWeigher } from './server-group-weighers.ts';

/** Every weigher of the live cloud, in the order in which their sums are made. */
export const weighers: readonly Weigher[] = [
  RAMWeigher,
  CPUWeigher,
  DiskWeigher,
  ServerGroupSoftAffinityWeigher,
  ServerGroupSoftAntiAffinityWeigher,
];
/** The live ones, and those that judge rightly what they are shown: the live cloud cannot show all of it, or does not read their options, yet. */
export const allWeighers: readonly Weigher[] = [
  ...weighers,
  HypervisorVersionWeigher,
  IoOpsWeigher,
  NumInstancesWeigher,
  BuildFailureWeigher,
  CrossCellWeigher,
  PCIWeigher,
  MetricsWeigher,
  ImagePropertiesWeigher,
];
