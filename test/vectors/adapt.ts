import { readHostNuma } from '../../src/model/numa/read.ts';
import type { GuestNuma } from '../../src/model/numa/topology.ts';
import { inOrder, type PciPool, type PciRequest } from '../../src/model/pci/pools.ts';
import { PythonFloat, pythonInt } from '../../src/model/python.ts';
import type { Ask } from '../../src/services/scheduler/filter.ts';
import type { ComputeRecord, HostState } from '../../src/services/scheduler/host-state.ts';
import { readMetrics } from '../../src/services/scheduler/metrics.ts';
import { type FilterOptions, filterDefaults } from '../../src/services/scheduler/options.ts';
import type { Group, Wish } from '../../src/services/scheduler/wish.ts';
import type { Json, VectorCase, VectorFile } from './vector-file.ts';

/** Microseconds of a time; null for none, NaN for what is no time. */
const micros = (text: unknown): number | null => (text === null || text === undefined ? null : timeOf(String(text)));
const timeOf = (text: string) => {
  const parts = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z?)$/.exec(text);
  if (!parts || (parts[2] === undefined && parts[3] === '')) return Number.NaN;
  return Date.parse(`${parts[1]}Z`) * 1000 + Number((parts[2] ?? '').padEnd(6, '0'));
};

export function hostOf(file: VectorFile, own: Json, unknownCells: readonly string[] = []): HostState {
  const h: Json = { ...file.host_defaults, ...own };
  const node = h.nodename ?? h.host;
  const host = {
    host: h.host,
    node,
    uuid: h.uuid,
    cellUuid: h.cell_uuid,
    hostIp: h.host_ip,
    hypervisorHostname: h.hypervisor_hostname ?? node,
    hypervisorType: h.hypervisor_type,
    hypervisorVersion: h.hypervisor_version,
    cpuInfo: h.cpu_info,
    supportedInstances: h.supported_instances,
    memoryTotalMiB: h.total_usable_ram_mb,
    memoryFreeMiB: h.free_ram_mb,
    diskTotalGiB: h.total_usable_disk_gb,
    diskFreeMiB: h.free_disk_mb,
    diskUsedMiB: h.disk_mb_used,
    vcpusTotal: h.vcpus_total,
    vcpusUsed: h.vcpus_used,
    ramRatio: h.ram_allocation_ratio,
    cpuRatio: h.cpu_allocation_ratio,
    diskRatio: h.disk_allocation_ratio,
    zone: null,
    numInstances: h.num_instances,
    numIoOps: h.num_io_ops,
    failedBuilds: h.failed_builds,
    stats: h.stats,
    metrics: h.metrics,
    limits: Object.fromEntries(
      Object.entries(h.limits ?? {}).map(([key, value]) => [key, typeof value === 'number' ? new PythonFloat(value) : value]),
    ),
    aggregates: h.aggregates,
    traits: new Set<string>(),
    instances: new Map(
      Object.entries(h.instances as Record<string, Json>).map(([uuid, one]) => [
        uuid,
        {
          flavorId: one.instance_type_id ?? null,
          imageProperties: unknownCells.includes(h.cell_uuid) ? null : (one.image_properties ?? null),
        },
      ]),
    ),
    numa: readHostNuma(h.numa_topology),
    pciPools: h.pci_stats && inOrder(h.pci_stats as PciPool[]),
    candidates: h.allocation_candidates,
    disabled: h.service?.disabled ?? false,
    forcedDown: h.service?.forced_down,
    lastSeenAt: micros(h.service?.last_seen_up),
    serviceCreatedAt: h.service && 'created_at' in h.service ? micros(h.service.created_at) : Number.NaN,
  };
  if (!h.service || !('disabled' in h.service))
    Object.defineProperty(host, 'disabled', {
      get() {
        throw new Error('the service does not say whether it is disabled');
      },
    });
  return host;
}

export function wishOf(file: VectorFile, own: Json): Wish {
  const defaults = file.request_defaults ?? {};
  const r: Json = { ...defaults, ...own, flavor: { ...defaults.flavor, ...own.flavor } };
  const { flavor } = r;
  return {
    serverUuid: r.instance_uuid,
    projectId: r.project_id,
    availabilityZone: r.availability_zone,
    flavor: {
      id: flavor.id,
      name: flavor.name,
      vcpus: flavor.vcpus,
      memoryMiB: flavor.memory_mb,
      rootGiB: flavor.root_gb,
      ephemeralGiB: flavor.ephemeral_gb,
      swapMiB: flavor.swap,
    },
    extraSpecs: flavor.extra_specs,
    imageId: r.image?.id ?? null,
    imageFormat: null,
    imageProperties: r.image?.properties_coerced ?? r.image?.properties ?? {},
    hints:
      r.scheduler_hints &&
      Object.fromEntries(Object.entries(r.scheduler_hints as Json).map(([key, value]) => [key, Array.isArray(value) ? value : [value]])),
    group: r.instance_group && groupOf(r.instance_group),
    triedHosts: r.retry?.hosts ?? [],
    destination: r.requested_destination && {
      host: r.requested_destination.host ?? null,
      node: r.requested_destination.node,
      cell: r.requested_destination.cell ?? null,
      allowCrossCellMove: r.requested_destination.allow_cross_cell_move ?? false,
    },
    ignoredHosts: r.ignore_hosts ?? [],
    forcedHosts: r.force_hosts ?? [],
    forcedNodes: r.force_nodes ?? [],
    numa: guestNumaOf(r.numa_topology),
    network: r.network_metadata && { physnets: r.network_metadata.physnets ?? [], tunneled: r.network_metadata.tunneled ?? false },
    pciRequests:
      r.pci_requests &&
      (r.pci_requests as Json[]).map(
        (one): PciRequest => ({
          count: one.count,
          spec: one.spec,
          alias: one.alias_name ?? null,
          numaPolicy: one.numa_policy ?? null,
          requestId: one.request_id ?? null,
        }),
      ),
  };
}
export const guestNumaOf = (numa: Json | null | undefined): GuestNuma | null =>
  numa
    ? {
        cells: (numa.cells as Json[]).map((cell) => ({
          id: cell.id,
          shared: new Set(cell.cpuset as number[]),
          dedicated: new Set(cell.pcpuset as number[]),
          memoryMiB: cell.memory,
          pageKiB: cell.pagesize ?? null,
          policy: cell.cpu_policy ?? null,
          threads: cell.cpu_thread_policy ?? null,
          pinning: new Map(),
          reserved: null,
        })),
        emulatorThreads: numa.emulator_threads_policy ?? null,
      }
    : null;

export const timeOfVector = micros;
/** A compute node of a file, as `updateHostState` takes it. */
export function computeRecordOf(own: Json): ComputeRecord {
  return {
    host: own.host,
    hypervisorHostname: own.hypervisor_hostname,
    uuid: own.uuid,
    vcpus: own.vcpus,
    vcpusUsed: own.vcpus_used,
    memoryMiB: own.memory_mb,
    memoryFreeMiB: own.free_ram_mb,
    diskGiB: own.local_gb,
    diskUsedGiB: own.local_gb_used,
    diskFreeGiB: own.free_disk_gb ?? null,
    diskLeastGiB: own.disk_available_least ?? null,
    hypervisorType: own.hypervisor_type,
    hypervisorVersion: own.hypervisor_version,
    cpuInfo: own.cpu_info,
    supportedInstances: own.supported_hv_specs ?? [],
    stats: own.stats ?? null,
    metrics: readMetrics(own.metrics),
    hostIp: own.host_ip,
    ratios: { cpu: own.cpu_allocation_ratio, ram: own.ram_allocation_ratio, disk: own.disk_allocation_ratio },
    pciPools: own.pci_device_pools ?? [],
    numa: readHostNuma(own.numa_topology),
    updatedAt: micros(own.updated_at),
  };
}
const wholeNumber = (text: string) => {
  try {
    return pythonInt(text);
  } catch {
    return Number.NaN;
  }
};
function groupOf(group: Json): Group {
  const members: readonly string[] = group.members ?? [];
  return {
    policy: group.policy,
    maxPerHost: wholeNumber(String(group.rules?.max_server_per_host ?? 1)),
    hosts: new Set(group.hosts ?? []),
    membersOn: ({ instances }) => new Set(members.filter((uuid) => instances.has(uuid))).size,
  };
}

export function optionsOf(config: Json = {}): FilterOptions {
  const { filter_scheduler: scheduler = {}, metrics = {}, DEFAULT: common = {}, compute = {} } = config;
  const given: { [K in keyof FilterOptions]: FilterOptions[K] | undefined } = {
    serviceDownTime: common.service_down_time,
    defaultZone: common.default_availability_zone,
    imageDefaultArchitecture: scheduler.image_properties_default_architecture,
    maxIoOpsPerHost: scheduler.max_io_ops_per_host,
    maxInstancesPerHost: scheduler.max_instances_per_host,
    isolatedHosts: scheduler.isolated_hosts,
    isolatedImages: scheduler.isolated_images,
    restrictIsolatedHosts: scheduler.restrict_isolated_hosts_to_isolated_images,
    isolationNamespace: scheduler.aggregate_image_properties_isolation_namespace,
    isolationSeparator: scheduler.aggregate_image_properties_isolation_separator,
    metricsWeights: metrics.weight_setting,
    metricsRequired: metrics.required,
    metricsUnavailable: metrics.weight_of_unavailable,
    imagePropsWeights: scheduler.image_props_weight_setting,
    packNumaCells: compute.packing_host_numa_cells_allocation_strategy,
  };
  return {
    ...filterDefaults,
    ...(Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<FilterOptions>),
  };
}

export const askOf = (file: VectorFile, one: VectorCase): Ask => ({
  wish: wishOf(file, one.request ?? {}),
  now: Date.parse(one.now ?? file.now) * 1000,
  options: optionsOf(one.config),
  attestations: ((one.attestation?.response ?? []) as Json[]).map((item) => ({
    host: item.host_name,
    level: item.trust_lvl,
    at: item.vtime,
  })),
});
