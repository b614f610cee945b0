import type { Ask, Filter } from '../filter.ts';
import {
  AggregateImagePropertiesIsolation,
  AggregateInstanceExtraSpecsFilter,
  AggregateMultiTenancyIsolation,
  AggregateTypeAffinityFilter,
  AvailabilityZoneFilter,
} from '../filters/aggregate-filters.ts';
import { ComputeCapabilitiesFilter } from '../filters/compute-capabilities-filter.ts';
import { ComputeFilter } from '../filters/compute-filter.ts';
import { AllHostsFilter, IsolatedHostsFilter, MetricsFilter, RetryFilter } from '../filters/host-filters.ts';
import { ImagePropertiesFilter } from '../filters/image-properties-filter.ts';
import { AggregateIoOpsFilter, AggregateNumInstancesFilter, IoOpsFilter, NumInstancesFilter } from '../filters/load-filters.ts';
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
} from '../filters/resource-filters.ts';
import { ServerGroupAffinityFilter, ServerGroupAntiAffinityFilter } from '../filters/server-group-filters.ts';
import type { Weigher } from '../weigher.ts';
import { BuildFailureWeigher, HypervisorVersionWeigher, IoOpsWeigher, NumInstancesWeigher, PCIWeigher } from '../weighers/host-weighers.ts';
import { MetricsWeigher } from '../weighers/metrics-weigher.ts';
import { CPUWeigher, DiskWeigher, RAMWeigher } from '../weighers/resource-weighers.ts';

/** What lets a filter's verdicts be kept: they depend on the host, the options and this text alone. */
export interface KeptForm {
  readonly key: (ask: Ask) => string;
  /** True: verdicts may change with what is used of a host, not only with its facts. */
  readonly byAmounts?: true;
}
const always = () => '';
const byAmounts = true as const;
const extraSpecs = ({ wish }: Ask) => JSON.stringify(wish.extraSpecs);
const memory: KeptForm = { key: ({ wish }) => String(wish.flavor.memoryMiB), byAmounts };
const cores: KeptForm = { key: ({ wish }) => String(wish.flavor.vcpus), byAmounts };
const disk: KeptForm = {
  key: ({ wish: { flavor } }) => `${flavor.rootGiB} ${flavor.ephemeralGiB} ${flavor.swapMiB}`,
  byAmounts,
};
const load: KeptForm = { key: always, byAmounts };

/** Filters whose verdicts are kept from one request to the next, and judged again for changed hosts only. Others are asked by the plain code.
 *  ComputeFilter also depends on the time: `liveness.ts` says when a host's service goes down or comes back. */
export const keptForms: ReadonlyMap<Filter, KeptForm> = new Map<Filter, KeptForm>([
  [AllHostsFilter, { key: always }],
  [ComputeFilter, { key: always }],
  [ComputeCapabilitiesFilter, { key: extraSpecs, byAmounts }],
  [ImagePropertiesFilter, { key: ({ wish }) => JSON.stringify(wish.imageProperties) }],
  [AvailabilityZoneFilter, { key: ({ wish }) => wish.availabilityZone ?? '' }],
  [AggregateInstanceExtraSpecsFilter, { key: extraSpecs }],
  [AggregateImagePropertiesIsolation, { key: ({ wish }) => JSON.stringify(wish.imageProperties) }],
  [AggregateMultiTenancyIsolation, { key: ({ wish }) => wish.projectId ?? '' }],
  [AggregateTypeAffinityFilter, { key: ({ wish }) => JSON.stringify(wish.flavor.name) }],
  [IsolatedHostsFilter, { key: ({ wish }) => wish.imageId ?? '' }],
  [MetricsFilter, load],
  [IoOpsFilter, load],
  [AggregateIoOpsFilter, load],
  [NumInstancesFilter, load],
  [AggregateNumInstancesFilter, load],
  [RamFilter, memory],
  [AggregateRamFilter, memory],
  [ExactRamFilter, memory],
  [DiskFilter, disk],
  [AggregateDiskFilter, disk],
  [ExactDiskFilter, disk],
  [CoreFilter, cores],
  [AggregateCoreFilter, cores],
  [ExactCoreFilter, cores],
]);

const traits: KeptForm = { key: ({ wish }) => JSON.stringify([wish.extraSpecs, wish.imageProperties, wish.imageFormat]) };
/** The same for prefilters, which are made for each config, by name. When aggregates change, every host is judged again. */
export const keptPrefilters: ReadonlyMap<string, KeptForm> = new Map<string, KeptForm>([
  ['Compute status', { key: always }],
  ['Traits', traits],
  ['Isolated aggregates', traits],
  ['Tenant aggregates', { key: ({ wish }) => wish.projectId ?? '' }],
]);

type Named = (ask: Ask) => Iterable<string> | undefined;
/** Filters that can refuse only the hosts named here: no other need be asked. Undefined: any. */
export const fewRefused: ReadonlyMap<Filter, Named> = new Map<Filter, Named>([
  [RetryFilter, ({ wish }) => wish.triedHosts.map(([host]) => host)],
  [ServerGroupAntiAffinityFilter, namesOfGroup],
]);
/** Filters that can pass only the hosts named here. */
export const fewPassed: ReadonlyMap<Filter, Named> = new Map<Filter, Named>([[ServerGroupAffinityFilter, namesOfGroup]]);

/** Live, a group's hosts are a map by name; of others is only known whether they have one. */
function namesOfGroup({ wish }: Ask): Iterable<string> | undefined {
  const hosts: unknown = wish.group?.hosts;
  return hosts instanceof Map || hosts instanceof Set ? hosts.keys() : undefined;
}

/** Weighers whose values depend on the host and the options alone. */
export const hostWeighers: ReadonlySet<Weigher> = new Set([
  RAMWeigher,
  CPUWeigher,
  DiskWeigher,
  IoOpsWeigher,
  NumInstancesWeigher,
  BuildFailureWeigher,
  HypervisorVersionWeigher,
  PCIWeigher,
  MetricsWeigher,
]);
