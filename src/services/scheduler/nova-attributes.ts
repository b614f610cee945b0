import { PythonFloat, PythonObject } from '../../model/python.ts';
import type { HostView } from './host-view.ts';

const float = (value: number | null) => (value === null ? null : new PythonFloat(value));

/** A host under the names that extra specs and JSON queries use.  Spec: attributes of Nova's HostState. */
const readers: Readonly<Record<string, (host: HostView) => unknown>> = {
  host: (h) => h.host,
  nodename: (h) => h.node,
  uuid: (h) => h.uuid,
  cell_uuid: (h) => h.cellUuid,
  host_ip: (h) => h.hostIp,
  hypervisor_hostname: (h) => h.hypervisorHostname,
  hypervisor_type: (h) => h.hypervisorType,
  hypervisor_version: (h) => h.hypervisorVersion,
  cpu_info: (h) => h.cpuInfo,
  supported_instances: (h) => h.supportedInstances,
  total_usable_ram_mb: (h) => h.memoryTotalMiB,
  free_ram_mb: (h) => h.memoryFreeMiB,
  total_usable_disk_gb: (h) => h.diskTotalGiB,
  free_disk_mb: (h) => h.diskFreeMiB,
  disk_mb_used: (h) => h.diskUsedMiB,
  vcpus_total: (h) => h.vcpusTotal,
  vcpus_used: (h) => h.vcpusUsed,
  ram_allocation_ratio: (h) => float(h.ramRatio),
  cpu_allocation_ratio: (h) => float(h.cpuRatio),
  disk_allocation_ratio: (h) => float(h.diskRatio),
  num_instances: (h) => h.numInstances,
  num_io_ops: (h) => h.numIoOps,
  failed_builds: (h) => h.failedBuilds,
  stats: (h) => h.stats,
  metrics: (h) => h.metrics,
  limits: (h) => h.limits,
  aggregates: (h) => h.aggregates,
  instances: (h) => Object.fromEntries(h.instances),
  service: (h) => new PythonObject({ host: h.host, disabled: h.disabled, forced_down: h.forcedDown }),
};

export const hasAttribute = (name: string) => Object.hasOwn(readers, name);
/** The attribute's value; null when the host has none of that name. */
export const attributeOf = (host: HostView, name: string): unknown =>
  Object.hasOwn(readers, name) ? (readers[name]!(host) ?? null) : null;
