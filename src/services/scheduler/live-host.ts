import type { HostFacts } from '../../db/tables/compute/hosts.ts';
import type { Micros } from '../../lib/clock.ts';
import type { HostColumns } from './host-columns.ts';
import type { HostInstance, HostView } from './host-view.ts';

const none: readonly never[] = [];
const empty: Readonly<Record<string, never>> = {};
const noInstances: ReadonlyMap<string, HostInstance> = new Map();

/** One host of the live cloud: its facts, and its numbers read from the columns at its place when they are asked for. What the cloud does not keep yet
 *  (aggregates, metrics, devices, instances by uuid) is empty here; filters that need it are not offered (`filters/list.ts`). */
export class Host implements HostView {
  readonly index: number;
  facts: HostFacts;
  disabled: boolean;
  forcedDown: boolean;
  lastSeenAt: Micros | null;
  readonly #columns: HostColumns;

  constructor(columns: HostColumns, index: number, state: Pick<Host, 'facts' | 'disabled' | 'forcedDown' | 'lastSeenAt'>) {
    this.#columns = columns;
    this.index = index;
    this.facts = state.facts;
    this.disabled = state.disabled;
    this.forcedDown = state.forcedDown;
    this.lastSeenAt = state.lastSeenAt;
  }

  get host() {
    return this.facts.host;
  }
  get node() {
    return this.facts.node;
  }
  get uuid() {
    return this.facts.uuid;
  }
  get cellUuid() {
    return null;
  }
  get hostIp() {
    return this.facts.hostIp;
  }
  get hypervisorHostname() {
    return this.facts.node;
  }
  get hypervisorType() {
    return this.facts.hypervisorType;
  }
  get hypervisorVersion() {
    return this.facts.hypervisorVersion;
  }
  get cpuInfo() {
    return this.facts.cpuInfo;
  }
  get supportedInstances() {
    return this.facts.supportedInstances;
  }
  get memoryTotalMiB() {
    return this.facts.inventories.MEMORY_MB.total;
  }
  get memoryFreeMiB() {
    const { memoryTotal, used, pending } = this.#columns;
    return memoryTotal[this.index]! - used.MEMORY_MB[this.index]! - pending.MEMORY_MB[this.index]!;
  }
  get diskTotalGiB() {
    return this.facts.inventories.DISK_GB.total;
  }
  /** What is not promised, or what is really free if that is less. */
  get diskFreeMiB() {
    const { diskFree, diskTotal, used, pending } = this.#columns;
    const chosen = pending.DISK_GB[this.index]!;
    return Math.min(diskFree[this.index]! - chosen, diskTotal[this.index]! - used.DISK_GB[this.index]! - chosen) * 1024;
  }
  get diskUsedMiB() {
    const { used, pending } = this.#columns;
    return (used.DISK_GB[this.index]! + pending.DISK_GB[this.index]!) * 1024;
  }
  /** Reserved ones included, as in Nova: only the claim leaves them out. */
  get vcpusTotal() {
    return this.facts.inventories.VCPU.total;
  }
  get vcpusUsed() {
    const { used, pending } = this.#columns;
    return used.VCPU[this.index]! + pending.VCPU[this.index]!;
  }
  get ramRatio() {
    return this.facts.inventories.MEMORY_MB.ratio;
  }
  get cpuRatio() {
    return this.facts.inventories.VCPU.ratio;
  }
  get diskRatio() {
    return this.facts.inventories.DISK_GB.ratio;
  }
  get zone() {
    return this.facts.zone;
  }
  get numInstances() {
    return 0;
  }
  get numIoOps() {
    return 0;
  }
  get failedBuilds() {
    return 0;
  }
  get stats() {
    return this.facts.stats;
  }
  get metrics() {
    return none;
  }
  get limits() {
    return empty;
  }
  get aggregates() {
    return none;
  }
  get instances() {
    return noInstances;
  }
  get pciPools() {
    return none;
  }
  get serviceCreatedAt() {
    return null;
  }
}
