import type { Micros } from '../../lib/clock.ts';
import type { HostNuma } from '../../model/numa/topology.ts';
import type { PciPool } from '../../model/pci/pools.ts';

/** A host as filters and weighers judge it: plain data, whether it stands in the live columns or in a file. Amounts carry their unit; ratios and
 *  overcommit are never in the free amounts.  Spec: Nova's HostState, whose names `nova-attributes.ts` gives. */
export interface HostView {
  readonly host: string;
  readonly node: string;
  readonly uuid: string | null;
  readonly cellUuid: string | null;
  readonly hostIp: string | null;
  readonly hypervisorHostname: string | null;
  readonly hypervisorType: string | null;
  readonly hypervisorVersion: number | null;
  /** JSON text as agents report it, or already an object. */
  readonly cpuInfo: unknown;
  readonly supportedInstances: readonly (readonly (string | null)[])[] | null;
  readonly memoryTotalMiB: number;
  /** total - used, without ratio; may be negative. */
  readonly memoryFreeMiB: number;
  readonly diskTotalGiB: number;
  readonly diskFreeMiB: number;
  readonly diskUsedMiB: number;
  readonly vcpusTotal: number;
  readonly vcpusUsed: number;
  /** Null: not reported yet; who reckons with it fails. */
  readonly ramRatio: number | null;
  readonly cpuRatio: number | null;
  readonly diskRatio: number | null;
  /** Null: its aggregates say. */
  readonly zone: string | null;
  readonly numInstances: number;
  readonly numIoOps: number;
  readonly failedBuilds: number;
  /** Null: the host has no such thing at all. */
  readonly stats: Readonly<Record<string, unknown>> | null;
  readonly metrics: readonly { readonly name: string; readonly value: number }[] | null;
  /** Limits that filters asked before this one have set. */
  readonly limits: Readonly<Record<string, unknown>>;
  readonly aggregates: readonly { readonly metadata: Readonly<Record<string, string>> }[];
  readonly traits: ReadonlySet<string>;
  readonly instances: ReadonlyMap<string, HostInstance>;
  readonly numa: HostNuma | null;
  readonly pciPools: readonly PciPool[] | null;
  /** Ways in which placement could serve the request here; the claim takes the first that filters leave. */
  readonly candidates: readonly Candidate[];
  readonly disabled: boolean;
  readonly forcedDown: boolean;
  /** NaN: reported, but no time that can be read. */
  readonly lastSeenAt: Micros | null;
  readonly serviceCreatedAt: Micros | null;
}

/** Which providers would serve which group of the request. */
export interface Candidate {
  readonly mappings: Readonly<Record<string, readonly string[]>>;
}

export interface HostInstance {
  readonly flavorId: number | string | null;
  readonly imageProperties: Readonly<Record<string, unknown>> | null;
}

/** A ratio to reckon with. Throws when the host reports none. */
export function known(ratio: number | null): number {
  if (ratio === null) throw new Error('the host reports no allocation ratio');
  return ratio;
}
