import type { Hypervisor, Service } from '../../../db/tables/compute/services.ts';
import { before, from, turned } from '../../../lib/answer.ts';
import { isoMicros } from '../../../lib/clock.ts';

const status = (service: Service) => (service.disabled ? 'disabled' : 'enabled');
const at = (service: Service) => {
  const time = service.lastSeenAt ?? service.updatedAt;
  return time === null ? null : isoMicros(time);
};

/** A service of the cloud.  Spec: compute api-ref "List Compute Services". */
export const serviceView = (service: Service, up: boolean) => ({
  id: turned(service.id, '2.53', service.uuid),
  binary: service.binary,
  host: service.host,
  zone: service.zone,
  status: status(service),
  state: up ? 'up' : 'down',
  updated_at: at(service),
  disabled_reason: service.disabledReason,
  forced_down: from('2.11', service.forcedDown),
});

/** A service within a zone.  Spec: compute api-ref "Get Detailed Availability Zone Information". */
export const zoneServiceView = (service: Service, up: boolean) => ({ available: up, active: !service.disabled, updated_at: at(service) });

/** A hypervisor in a list. With `servers`, those on it; to 2.74 the key is missing when there are none.
 *  Spec: compute api-ref "List Hypervisors". */
export const hypervisorSummary = (hypervisor: Hypervisor, up: boolean, withServers: boolean) => ({
  id: turned(hypervisor.id, '2.53', hypervisor.uuid),
  hypervisor_hostname: hypervisor.hostname,
  state: up ? 'up' : 'down',
  status: status(hypervisor.service),
  servers: !withServers ? undefined : hypervisor.servers.length > 0 ? hypervisor.servers : from('2.75', []),
});

/** A hypervisor in full.  Spec: compute api-ref "Show Hypervisor Details". */
export const hypervisorView = (hypervisor: Hypervisor, up: boolean, withServers: boolean) => ({
  ...hypervisorSummary(hypervisor, up, withServers),
  hypervisor_type: hypervisor.type,
  hypervisor_version: hypervisor.version,
  host_ip: hypervisor.hostIp,
  service: {
    id: turned(hypervisor.service.id, '2.53', hypervisor.service.uuid),
    host: hypervisor.service.host,
    disabled_reason: hypervisor.service.disabledReason,
  },
  uptime: from('2.88', up ? hypervisor.uptime : null),
  cpu_info: before(
    '2.88',
    turned(() => JSON.stringify(hypervisor.cpuInfo), '2.28', hypervisor.cpuInfo),
  ),
  ...Object.fromEntries(Object.entries(hypervisorTotals(hypervisor)).map(([name, value]) => [name, before('2.88', value)])),
});

/** What a hypervisor has and what of it is taken; until 2.87 alone and summed.  Spec: compute api-ref "Show Hypervisor Statistics". */
export const hypervisorTotals = (hypervisor: Hypervisor) => ({
  vcpus: hypervisor.vcpus,
  vcpus_used: hypervisor.vcpusUsed,
  memory_mb: hypervisor.memoryMiB,
  memory_mb_used: hypervisor.memoryUsedMiB,
  free_ram_mb: hypervisor.memoryMiB - hypervisor.memoryUsedMiB,
  local_gb: hypervisor.diskGiB,
  local_gb_used: hypervisor.diskUsedGiB,
  free_disk_gb: hypervisor.diskGiB - hypervisor.diskUsedGiB,
  disk_available_least: hypervisor.diskFreeGiB,
  running_vms: hypervisor.servers.length,
  current_workload: hypervisor.workload,
});

/** How long a hypervisor is up.  Spec: compute api-ref "Show Hypervisor Uptime". */
export const uptimeView = (hypervisor: Hypervisor) => ({ ...hypervisorSummary(hypervisor, true, false), uptime: hypervisor.uptime });
