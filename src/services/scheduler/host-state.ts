import type { Micros } from '../../lib/clock.ts';
import { fitNuma, workOn } from '../../model/numa/fit.ts';
import type { GuestNuma, HostNuma, NumaLimits } from '../../model/numa/topology.ts';
import { withGuest } from '../../model/numa/usage.ts';
import { inOrder, type PciPool, takeDevices } from '../../model/pci/pools.ts';
import { pythonInt } from '../../model/python.ts';
import type { Candidate, HostInstance, HostView } from './host-view.ts';
import type { Wish } from './wish.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
/** A host's state that requests are counted into one after the other, outside of the live columns. */
export type HostState = Mutable<HostView>;

/** What a compute node says of itself, under our names.  Spec: Nova's ComputeNode. */
export interface ComputeRecord {
  readonly host: string;
  readonly hypervisorHostname: string;
  readonly uuid: string;
  readonly vcpus: number;
  readonly vcpusUsed: number;
  readonly memoryMiB: number;
  readonly memoryFreeMiB: number;
  readonly diskGiB: number;
  readonly diskUsedGiB: number;
  /** Null: it has not counted yet. */
  readonly diskFreeGiB: number | null;
  readonly diskLeastGiB: number | null;
  readonly hypervisorType: string | null;
  readonly hypervisorVersion: number | null;
  readonly cpuInfo: unknown;
  readonly supportedInstances: readonly (readonly (string | null)[])[];
  readonly stats: Readonly<Record<string, unknown>> | null;
  readonly metrics: readonly { readonly name: string; readonly value: number }[];
  readonly hostIp: string | null;
  readonly ratios: { readonly cpu: number; readonly ram: number; readonly disk: number };
  readonly pciPools: readonly PciPool[];
  readonly numa: HostNuma | null;
  readonly updatedAt: Micros | null;
}

/** A host nothing is known of yet. */
export const emptyHostState = (host: string, node: string, cellUuid: string | null): HostState => ({
  host,
  node,
  uuid: null,
  cellUuid,
  hostIp: null,
  hypervisorHostname: null,
  hypervisorType: null,
  hypervisorVersion: null,
  cpuInfo: null,
  supportedInstances: null,
  memoryTotalMiB: 0,
  memoryFreeMiB: 0,
  diskTotalGiB: 0,
  diskFreeMiB: 0,
  diskUsedMiB: 0,
  vcpusTotal: 0,
  vcpusUsed: 0,
  ramRatio: null,
  cpuRatio: null,
  diskRatio: null,
  zone: null,
  numInstances: 0,
  numIoOps: 0,
  failedBuilds: 0,
  stats: null,
  metrics: null,
  limits: {},
  aggregates: [],
  traits: new Set<string>(),
  instances: new Map<string, HostInstance>(),
  numa: null,
  pciPools: null,
  candidates: [] as readonly Candidate[],
  disabled: false,
  forcedDown: false,
  lastSeenAt: null,
  serviceCreatedAt: null,
});

/** Takes over what a compute node says; false, and nothing changes, when it has not counted yet or the state is newer (`updatedAt`). Throws when its
 *  counters are no numbers.  Spec: Nova's HostState.update. */
export function updateHostState(state: HostState, record: ComputeRecord, updatedAt: Micros | null): boolean {
  if (record.diskFreeGiB === null) return false;
  if (updatedAt !== null && record.updatedAt !== null && updatedAt > record.updatedAt) return false;
  const counter = (name: string) => {
    const value = record.stats?.[name] ?? 0;
    return typeof value === 'number' ? Math.trunc(value) : pythonInt(String(value));
  };
  Object.assign(state, {
    uuid: record.uuid,
    hostIp: record.hostIp,
    hypervisorHostname: record.hypervisorHostname,
    hypervisorType: record.hypervisorType,
    hypervisorVersion: record.hypervisorVersion,
    cpuInfo: record.cpuInfo,
    supportedInstances: record.supportedInstances,
    memoryTotalMiB: record.memoryMiB,
    memoryFreeMiB: record.memoryFreeMiB,
    diskTotalGiB: record.diskGiB,
    diskFreeMiB: Math.min(record.diskFreeGiB, record.diskLeastGiB ?? record.diskFreeGiB) * 1024,
    diskUsedMiB: record.diskUsedGiB * 1024,
    vcpusTotal: record.vcpus,
    vcpusUsed: record.vcpusUsed,
    numa: record.numa,
    pciPools: inOrder(record.pciPools),
    stats: record.stats ?? {},
    numInstances: counter('num_instances'),
    numIoOps: counter('io_workload'),
    metrics: record.metrics,
    cpuRatio: record.ratios.cpu,
    ramRatio: record.ratios.ram,
    diskRatio: record.ratios.disk,
    failedBuilds: counter('failed_builds'),
  });
  return true;
}

/** Counts a request into the host that was chosen for it; `placed` is told its memory cells as they were placed, null for none. Amounts come first and the load last: what
 *  throws on the way (devices or CPUs that are gone) leaves a part counted, as in Nova.  Spec: Nova's consume_from_request. */
export function consumeRequest(state: HostState, wish: Wish, pack: boolean, placed?: (cells: GuestNuma | null) => void): void {
  const { flavor, network } = wish;
  state.memoryFreeMiB -= flavor.memoryMiB;
  state.diskFreeMiB -= (flavor.rootGiB + flavor.ephemeralGiB) * 1024;
  state.vcpusUsed += flavor.vcpus;
  state.numInstances += 1;
  const pciRequests = state.pciPools && wish.pciRequests;
  let numa = wish.numa;
  if (state.numa && numa) {
    const limits = (state.limits.numa_topology ?? null) as NumaLimits | null; // set by NUMATopologyFilter alone
    const fit = { limits, network: limits && network, pciRequests, pciPools: state.pciPools, mappings: {}, pack };
    numa = fitNuma(state.numa, workOn(numa), fit);
    placed?.(numa);
    if (numa) state.numa = withGuest(state.numa, numa);
  }
  if (pciRequests && state.pciPools) {
    const near = numa && state.numa ? { cells: numa.cells, host: state.numa } : null;
    const left = takeDevices(state.pciPools, pciRequests, {}, near, (partly) => {
      state.pciPools = partly;
    });
    if (!left) throw new Error('the host has not the devices any more');
    state.pciPools = left;
  }
  state.numIoOps += 1;
}
