import type { AggregateFacts } from '../../db/tables/compute/aggregate-facts.ts';
import type { HostFacts } from '../../db/tables/compute/hosts.ts';
import type { Micros } from '../../lib/clock.ts';
import { type PartsHeld, type PartsLeft, partsLeft, takeParts } from '../../model/machine-parts.ts';
import { touch } from './fast/host-changes.ts';
import type { HostColumns } from './host-columns.ts';
import type { HostInstance, HostView } from './host-view.ts';
import { isBusy, type LiveServer } from './live-server.ts';
import { type Metric, readMetrics } from './metrics.ts';

const none: readonly never[] = [];
const empty: Readonly<Record<string, never>> = {};
const noServers: ReadonlyMap<string, LiveServer> = new Map();
const noParts: PartsLeft = { numa: null, pciPools: null };
/** How a choice is counted in until its claim tells what it got. */
const loosely = { cells: false, devices: false, pack: false };
const oneCandidate = [{ mappings: {} }];

/** What is reckoned out of facts and servers, until one of them changes. */
interface Reckoned {
  metrics?: readonly Metric[] | null;
  traits?: ReadonlySet<string>;
  instances?: ReadonlyMap<string, HostInstance>;
  parts?: PartsLeft;
}

/** One host of the live cloud: its facts, its servers and aggregates, and its numbers read from the columns at its place when they are asked for. */
export class Host implements HostView {
  readonly index: number;
  facts: HostFacts;
  disabled: boolean;
  forcedDown: boolean;
  lastSeenAt: Micros | null;
  aggregates: readonly AggregateFacts[] = none;
  /** Servers that the database shows here, by uuid; changed by `host-memory.ts` alone. */
  servers: ReadonlyMap<string, LiveServer> = noServers;
  /** Chosen for this host, not yet seen in the database. */
  chosen: ReadonlyMap<string, LiveServer> = noServers;
  busy = 0;
  /** Cells and devices that claims hold here. */
  held: readonly PartsHeld[] = none;
  readonly #columns: HostColumns;
  /** Made when it is first needed: most hosts of a large cloud never need any. */
  #known: Reckoned | null = null;

  constructor(columns: HostColumns, index: number, state: Pick<Host, 'facts' | 'disabled' | 'forcedDown' | 'lastSeenAt'>) {
    this.#columns = columns;
    this.index = index;
    this.facts = state.facts;
    this.disabled = state.disabled;
    this.forcedDown = state.forcedDown;
    this.lastSeenAt = state.lastSeenAt;
  }

  /** The same host in other columns, as if nothing were chosen for it. */
  withoutChosen(columns: HostColumns): Host {
    const host = new Host(columns, this.index, this);
    host.aggregates = this.aggregates;
    host.servers = this.servers;
    host.busy = this.busy;
    host.held = this.held;
    return host;
  }
  /** Facts were written anew. */
  changed(): void {
    this.#known = null;
  }
  put(kind: 'servers' | 'chosen', server: LiveServer): void {
    this.take(kind, server.uuid);
    if (this[kind] === noServers) this[kind] = new Map();
    (this[kind] as Map<string, LiveServer>).set(server.uuid, server); // made here
    if (kind === 'servers') {
      this.take('chosen', server.uuid); // no longer a mere choice
      this.busy += Number(isBusy(server));
    }
    this.#serversChanged();
  }
  take(kind: 'servers' | 'chosen', uuid: string): void {
    const server = this[kind].get(uuid);
    if (!server) return;
    (this[kind] as Map<string, LiveServer>).delete(uuid); // not the empty one
    if (kind === 'servers' && isBusy(server)) this.busy--;
    this.#serversChanged();
  }
  setState(uuid: string, state: Partial<Pick<LiveServer, 'vmState' | 'taskState'>>): void {
    const server = this.servers.get(uuid);
    if (!server) return;
    const before = isBusy(server);
    Object.assign(server, state);
    this.busy += Number(isBusy(server)) - Number(before);
    touch(this.#columns.changes, this.index, 'amounts');
  }
  setZone(zone: string): void {
    if (this.facts.zone === zone) return;
    this.facts = { ...this.facts, zone };
    touch(this.#columns.changes, this.index, 'facts');
  }
  join(aggregates: readonly AggregateFacts[]): void {
    this.aggregates = aggregates;
    touch(this.#columns.changes, this.index, 'facts');
  }
  hold(held: readonly PartsHeld[]): void {
    this.held = held;
    this.#serversChanged();
  }
  get #reckoned(): Reckoned {
    this.#known ??= {};
    return this.#known;
  }
  #serversChanged(): void {
    touch(this.#columns.changes, this.index, 'amounts');
    delete this.#known?.instances;
    delete this.#known?.parts;
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
    return this.aggregates.some(({ metadata }) => Object.hasOwn(metadata, 'availability_zone')) ? null : this.facts.zone;
  }
  /** Whether it is in an availability zone: its aggregates say, or else the service's own. */
  inZone(name: string): boolean {
    const own = this.zone;
    if (own !== null) return own === name;
    return this.aggregates.some(({ metadata }) => metadata.availability_zone?.split(',').some((zone) => zone.trim() === name));
  }
  get numInstances() {
    return this.servers.size + this.chosen.size;
  }
  get numIoOps() {
    return this.busy + this.chosen.size;
  }
  get failedBuilds() {
    return this.facts.failedBuilds ?? 0;
  }
  get stats() {
    return this.facts.stats;
  }
  get metrics() {
    this.#reckoned.metrics ??= readMetrics(this.facts.stats.metrics);
    return this.#reckoned.metrics;
  }
  get traits(): ReadonlySet<string> {
    this.#reckoned.traits ??= new Set(this.facts.traits);
    return this.#reckoned.traits;
  }
  get limits() {
    return empty;
  }
  get instances(): ReadonlyMap<string, HostInstance> {
    if (this.chosen.size === 0) return this.servers;
    this.#reckoned.instances ??= new Map([...this.servers, ...this.chosen]);
    return this.#reckoned.instances;
  }
  get numa() {
    return this.#parts.numa;
  }
  get pciPools() {
    return this.#parts.pciPools;
  }
  get candidates() {
    return oneCandidate;
  }
  get serviceCreatedAt() {
    return this.facts.serviceCreatedAt ?? null;
  }

  /** Memory cells and devices that are left: what the agent reports of its machine, less what claims hold and choices will. */
  get #parts() {
    const { numa_topology: cells, pci_device_pools: pools } = this.facts.stats;
    if (!cells && !pools) return noParts; // most hosts report neither
    this.#reckoned.parts ??= this.#partsLeft();
    return this.#reckoned.parts;
  }
  #partsLeft(): PartsLeft {
    const { stats } = this.facts;
    const held = [...this.held];
    let left = partsLeft(stats, held);
    for (const { parts } of this.chosen.values()) {
      const taken = parts && takeParts(left, parts, null, loosely);
      if (!taken) continue;
      held.push(taken);
      left = partsLeft(stats, held);
    }
    return left;
  }
}
