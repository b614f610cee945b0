import type { Filter } from '../filter.ts';
import {
  AggregateImagePropertiesIsolation,
  AggregateInstanceExtraSpecsFilter,
  AggregateMultiTenancyIsolation,
  AggregateTypeAffinityFilter,
  AvailabilityZoneFilter,
} from './aggregate-filters.ts';
import { ComputeCapabilitiesFilter } from './compute-capabilities-filter.ts';
import { ComputeFilter } from './compute-filter.ts';
import { DifferentHostFilter, SameHostFilter, SimpleCIDRAffinityFilter } from './hint-filters.ts';
import { AllHostsFilter, IsolatedHostsFilter, MetricsFilter, RetryFilter, TypeAffinityFilter } from './host-filters.ts';
import { ImagePropertiesFilter } from './image-properties-filter.ts';
import { JsonFilter } from './json-filter.ts';
import { AggregateIoOpsFilter, AggregateNumInstancesFilter, IoOpsFilter, NumInstancesFilter } from './load-filters.ts';
import { NUMATopologyFilter } from './numa-topology-filter.ts';
import { PciPassthroughFilter } from './pci-passthrough-filter.ts';
import {
  AggregateCoreFilter,
  AggregateDiskFilter,
  AggregateRamFilter,
  CoreFilter,
  DiskFilter,
  ExactCoreFilter,
  ExactDiskFilter,
  ExactRamFilter,
  RamFilter,
} from './resource-filters.ts';
import { ServerGroupAffinityFilter, ServerGroupAntiAffinityFilter } from './server-group-filters.ts';
import { TrustedFilter } from './trusted-filter.ts';

const defaults = {
  ComputeFilter,
  ComputeCapabilitiesFilter,
  ImagePropertiesFilter,
  ServerGroupAntiAffinityFilter,
  ServerGroupAffinityFilter,
};
/** Every filter by the name that `enabled_filters` uses. */
export const filters: Readonly<Record<string, Filter>> = {
  ...defaults,
  AllHostsFilter,
  AvailabilityZoneFilter,
  RetryFilter,
  SimpleCIDRAffinityFilter,
  SameHostFilter,
  DifferentHostFilter,
  IsolatedHostsFilter,
  TypeAffinityFilter,
  JsonFilter,
  MetricsFilter,
  TrustedFilter,
  IoOpsFilter,
  NumInstancesFilter,
  NUMATopologyFilter,
  PciPassthroughFilter,
  RamFilter,
  DiskFilter,
  CoreFilter,
  ExactRamFilter,
  ExactDiskFilter,
  ExactCoreFilter,
  AggregateInstanceExtraSpecsFilter,
  AggregateImagePropertiesIsolation,
  AggregateMultiTenancyIsolation,
  AggregateTypeAffinityFilter,
  AggregateIoOpsFilter,
  AggregateNumInstancesFilter,
  AggregateRamFilter,
  AggregateDiskFilter,
  AggregateCoreFilter,
};
/** Spec: [filter_scheduler] enabled_filters, its default. */
export const defaultFilters = Object.keys(defaults);
