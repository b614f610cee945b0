import type { HostView } from '../host-view.ts';
import type { Wish } from '../wish.ts';

/** What a plug-in's module says of itself. */
export interface PluginFacts {
  readonly kind: 'filter' | 'weigher' | 'scheduler';
  readonly name: string;
  readonly multiplier: number;
  readonly oncePerRequest: boolean;
  readonly runOnRebuild: boolean;
  readonly negated: boolean;
}
/** A host as plug-ins see it: plain data under the names of `HostView`, servers as a list. */
export type PluginHost = Omit<HostView, 'instances' | 'traits' | 'numa' | 'candidates' | 'limits'> & {
  readonly traits: readonly string[];
  readonly instances: readonly { readonly uuid: string; readonly flavorId: number | string | null }[];
};
export type PluginWish = Omit<Wish, 'group' | 'numa'> & {
  readonly group: { readonly policy: string; readonly maxPerHost: number } | null;
};
export interface PluginAsk {
  readonly id: number;
  readonly hosts: readonly PluginHost[];
  readonly wish: PluginWish;
  /** Microseconds. */
  readonly now: number;
}
export interface PluginAnswer {
  readonly id: number;
  /** One for each host: true or why not, a weight, or what it threw. */
  readonly each?: ({ readonly said: true | string | number } | { readonly failed: string })[];
  readonly names?: string[];
  readonly failed?: string;
}

const plainAggregate = ({ metadata }: { readonly metadata: Readonly<Record<string, string>> }) => ({ metadata });
export const plainHost = (host: HostView): PluginHost => ({
  host: host.host,
  node: host.node,
  uuid: host.uuid,
  cellUuid: host.cellUuid,
  hostIp: host.hostIp,
  hypervisorHostname: host.hypervisorHostname,
  hypervisorType: host.hypervisorType,
  hypervisorVersion: host.hypervisorVersion,
  cpuInfo: host.cpuInfo,
  supportedInstances: host.supportedInstances,
  memoryTotalMiB: host.memoryTotalMiB,
  memoryFreeMiB: host.memoryFreeMiB,
  diskTotalGiB: host.diskTotalGiB,
  diskFreeMiB: host.diskFreeMiB,
  diskUsedMiB: host.diskUsedMiB,
  vcpusTotal: host.vcpusTotal,
  vcpusUsed: host.vcpusUsed,
  ramRatio: host.ramRatio,
  cpuRatio: host.cpuRatio,
  diskRatio: host.diskRatio,
  zone: host.zone,
  numInstances: host.numInstances,
  numIoOps: host.numIoOps,
  failedBuilds: host.failedBuilds,
  stats: host.stats,
  metrics: host.metrics,
  aggregates: host.aggregates.map(plainAggregate),
  traits: [...host.traits],
  instances: Array.from(host.instances, ([uuid, { flavorId }]) => ({ uuid, flavorId })),
  pciPools: host.pciPools,
  disabled: host.disabled,
  forcedDown: host.forcedDown,
  lastSeenAt: host.lastSeenAt,
  serviceCreatedAt: host.serviceCreatedAt,
});
export const plainWish = ({ group, numa: _numa, ...wish }: Wish): PluginWish => ({
  ...wish,
  group: group && { policy: group.policy, maxPerHost: group.maxPerHost },
});
