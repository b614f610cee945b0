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

/** Every weigher, in the order in which their sums are made. */
export const weighers: readonly Weigher[] = [
  RAMWeigher,
  CPUWeigher,
  DiskWeigher,
  ServerGroupSoftAffinityWeigher,
  ServerGroupSoftAntiAffinityWeigher,
  IoOpsWeigher,
  BuildFailureWeigher,
  PCIWeigher,
  HypervisorVersionWeigher,
  MetricsWeigher,
  CrossCellWeigher,
  NumInstancesWeigher,
  ImagePropertiesWeigher,
];
