import type { GuestNuma, HostNuma } from '../../src/model/numa/topology.ts';
import type { Ask, Filter } from '../../src/services/scheduler/filter.ts';
import { filterHosts } from '../../src/services/scheduler/filter-hosts.ts';
import { filters } from '../../src/services/scheduler/filters/list.ts';
import { consumeRequest, type HostState } from '../../src/services/scheduler/host-state.ts';
import type { HostView } from '../../src/services/scheduler/host-view.ts';
import { narrowHosts } from '../../src/services/scheduler/narrow-hosts.ts';
import { weigh } from '../../src/services/scheduler/weigh.ts';
import { askOf, hostOf } from './adapt.ts';
import { type Checked, differs, tried, weighingOf } from './kinds.ts';
import { type Json, numberOf, type VectorCase, type VectorFile } from './vector-file.ts';

// Kinds of vectors in which a host's state changes: consumption, updates, whole scenarios.

const amountsJson = (state: HostState): Json => ({
  free_ram_mb: state.memoryFreeMiB,
  free_disk_mb: state.diskFreeMiB,
  vcpus_used: state.vcpusUsed,
  num_instances: state.numInstances,
  num_io_ops: state.numIoOps,
});
const numaJson = (numa: HostNuma | null) =>
  numa && {
    cells: numa.cells.map((cell) => ({
      id: cell.id,
      cpu_usage: cell.cpuUsage,
      memory_usage: cell.memoryUsageMiB,
      pinned_cpus: sorted(cell.pinned),
      mempages: cell.pages.map(({ sizeKiB, total, used, reserved }) => ({ size_kb: sizeKiB, total, used, reserved })),
    })),
  };
const sorted = (set: ReadonlySet<number>) => [...set].sort((a, b) => a - b);
const guestJson = (numa: GuestNuma | null) =>
  numa && {
    cells: numa.cells.map((cell) => ({
      id: cell.id,
      cpuset: sorted(cell.shared),
      pcpuset: sorted(cell.dedicated),
      memory: cell.memoryMiB,
      pagesize: cell.pageKiB,
      cpu_policy: cell.policy,
      cpu_thread_policy: cell.threads,
      cpu_pinning: cell.pinning.size === 0 ? null : Object.fromEntries(cell.pinning),
      cpuset_reserved: cell.reserved && sorted(cell.reserved),
    })),
    emulator_threads_policy: numa.emulatorThreads,
  };
/** A state under the files' names. */
export const hostStateJson = (state: HostState): Json => ({
  host: state.host,
  nodename: state.node,
  uuid: state.uuid,
  hypervisor_hostname: state.hypervisorHostname,
  hypervisor_type: state.hypervisorType,
  hypervisor_version: state.hypervisorVersion,
  cpu_info: state.cpuInfo,
  supported_instances: state.supportedInstances,
  total_usable_ram_mb: state.memoryTotalMiB,
  total_usable_disk_gb: state.diskTotalGiB,
  disk_mb_used: state.diskUsedMiB,
  vcpus_total: state.vcpusTotal,
  ram_allocation_ratio: state.ramRatio,
  cpu_allocation_ratio: state.cpuRatio,
  disk_allocation_ratio: state.diskRatio,
  failed_builds: state.failedBuilds,
  limits: state.limits,
  host_ip: state.hostIp,
  stats: state.stats,
  metrics: state.metrics,
  pci_stats: state.pciPools,
  numa_topology: numaJson(state.numa),
  ...amountsJson(state),
});

export function checkConsumed(file: VectorFile, one: VectorCase): Checked {
  const state = hostOf(file, one.host);
  for (const [at, request] of (one.requests as Json[]).entries()) {
    const ask = askOf(file, { ...one, request });
    const expected: Json = one.expect.after[at];
    let placed = ask.wish.numa;
    const done = tried(() =>
      consumeRequest(state, ask.wish, ask.options.packNumaCells, (cells) => {
        placed = cells;
      }),
    );
    const found: Json = { ...amountsJson(state), consumed_ok: done !== 'error' };
    if ('numa_topology' in expected) found.numa_topology = numaJson(state.numa);
    if ('pci_stats' in expected) found.pci_stats = state.pciPools;
    if ('request_numa_topology' in expected) found.request_numa_topology = guestJson(placed);
    const difference = differs(found, expected);
    if (difference) return `request ${at}: ${difference}`;
  }
  return null;
}

const enabled = (names: readonly string[]): Filter[] =>
  names.map((name) => {
    const filter = filters[name];
    if (!filter) throw new Error(`there is no filter ${name} yet`);
    return filter;
  });
function settle(host: HostState, limits: Readonly<Record<string, unknown>> | undefined, candidates: HostView['candidates'] | undefined) {
  if (limits) host.limits = { ...host.limits, ...limits };
  if (candidates) host.candidates = candidates;
}
function filtered(hosts: readonly HostState[], chosen: readonly Filter[], ask: Ask, index: number): HostState[] {
  const narrowed = narrowHosts(hosts, ask.wish);
  return narrowed.asked ? filterHosts(narrowed.hosts, chosen, ask, index, settle) : [...narrowed.hosts];
}

export function checkFiltered(file: VectorFile, one: VectorCase): Checked {
  const hosts = (one.hosts as Json[]).map((host) => hostOf(file, host));
  const found = tried(() => filtered(hosts, enabled(one.enabled_filters), askOf(file, one), one.index).map((host) => hosts.indexOf(host)));
  if (one.expect.error || found === 'error')
    return found === 'error' && one.expect.error ? null : `${found === 'error' ? 'an error' : 'no error'} came`;
  return differs(found, one.expect.hosts);
}

/** A row of requests on one set of hosts, each choice counted in before the next. */
export function checkScenario(file: VectorFile, one: VectorCase): Checked {
  const hosts = (one.hosts as Json[]).map((host) => hostOf(file, host));
  const chosenFilters = enabled(one.enabled_filters);
  const weighing = (one.weighers as string[]).map((name) => weighingOf(name, one));
  for (const [at, request] of (one.requests as Json[]).entries()) {
    const expected: Json = one.expect.requests[at];
    const before = hosts.map((host) => ({ ...host, instances: new Map(host.instances) }));
    const uuids: readonly string[] = request.instance_uuids;
    let left: readonly HostState[] = hosts;
    let selected: (number | null)[] | null = [];
    const groupHosts: string[] = [...(request.instance_group?.hosts ?? [])];
    for (const [index, uuid] of uuids.entries()) {
      const ask = askOf(file, {
        ...one,
        request: {
          ...request,
          ...(request.instance_group ? { instance_group: { ...request.instance_group, hosts: groupHosts } } : {}),
          instance_uuid: uuid,
        },
      });
      const state = tried(() => {
        const fit = filtered(left, chosenFilters, ask, index);
        const weights = weigh(weighing, fit, ask);
        const order = fit.map((_, place) => place).sort((a, b) => weights[b]! - weights[a]!);
        return { hosts: order.map((place) => fit[place]!), weights: order.map((place) => weights[place]!) };
      });
      const wanted: Json | undefined = expected.instances[index];
      if (state === 'error') return wanted?.error || expected.error ? null : `request ${at}.${index}: an error came`;
      const difference =
        differs(
          state.hosts.map((host) => hosts.indexOf(host)),
          wanted?.order ?? [],
        ) ?? differs(state.weights, ((wanted?.weights ?? []) as unknown[]).map(numberOf));
      if (difference) return `request ${at}.${index}: ${difference}`;
      const [best] = state.hosts;
      if (!best) {
        selected = null;
        break;
      }
      tried(() => consumeRequest(best, ask.wish, ask.options.packNumaCells));
      if (request.instance_group) best.instances = new Map([...best.instances, [uuid, { flavorId: null, imageProperties: null }]]);
      groupHosts.push(best.host);
      selected.push(hosts.indexOf(best));
      left = state.hosts;
    }
    const difference = differs(selected, expected.selected ?? null);
    if (difference) return `request ${at}: selected ${difference}`;
    if (selected === null) {
      for (const [place, host] of hosts.entries()) Object.assign(host, before[place]);
      continue;
    }
    for (const [place, uuid] of uuids.entries()) {
      const host = hosts[selected[place]!]!;
      if (!host.instances.has(uuid))
        host.instances = new Map([
          ...host.instances,
          [
            uuid,
            {
              flavorId: request.flavor?.id ?? null,
              imageProperties: request.image?.properties_coerced ?? request.image?.properties ?? null,
            },
          ],
        ]);
    }
  }
  return differs(hosts.map(amountsJson), one.expect.final);
}
