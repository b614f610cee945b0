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
/** Every filter of the live cloud by the name that `enabled_filters` uses. */
export const filters: Readonly<Record<string, Filter>> = {
  ...defaults,
  AllHostsFilter,
  AvailabilityZoneFilter,
  RetryFilter,
  SimpleCIDRAffinityFilter,
};
/** Spec: [filter_scheduler] enabled_filters, its default. */
export const defaultFilters = Object.keys(defaults);

const lacking = (lacks: string, ...list: Filter[]) => list.map((filter) => [filter.name, { filter, lacks }] as const);
/** Filters that judge rightly what they are shown, of which the live cloud cannot show all: enabling one is refused with what is lacking. */
export const notLive: Readonly<Record<string, { readonly filter: Filter; readonly lacks: string }>> = Object.fromEntries([
  ...lacking(
    'the scheduler is not told of host aggregates',
    AggregateInstanceExtraSpecsFilter,
    AggregateImagePropertiesIsolation,
    AggregateMultiTenancyIsolation,
    AggregateTypeAffinityFilter,
    AggregateIoOpsFilter,
    AggregateNumInstancesFilter,
    AggregateRamFilter,
    AggregateDiskFilter,
    AggregateCoreFilter,
  ),
  ...lacking('the scheduler is not told which servers stand on a host', SameHostFilter, DifferentHostFilter, TypeAffinityFilter),
  ...lacking('the scheduler is not told how many servers a host has and builds', IoOpsFilter, NumInstancesFilter, JsonFilter),
  ...lacking('hosts do not report metrics', MetricsFilter),
  ...lacking('there is no attestation service to ask', TrustedFilter),
  ...lacking("the scheduler is not told the image's id, and its options are not read", IsolatedHostsFilter),
  ...lacking(
    'the claim caps every resource by its own ratio, whatever filters are enabled',
    RamFilter,
    DiskFilter,
    CoreFilter,
    ExactRamFilter,
    ExactDiskFilter,
    ExactCoreFilter,
  ),
]);
