import { COMPUTE_BINARY } from '../../db/tables/compute/hosts.ts';
import { type Hypervisor, listHypervisors, listServices, updateService } from '../../db/tables/compute/services.ts';
import { type HostShare, sharesOnHost } from '../../db/tables/compute/usage.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { computeHostNotFound, hostNotFound, hostPowerUnsupported } from '../../model/errors-compute-admin.ts';
import type { AdminParts } from './admin-parts.ts';
import { tell } from './services.ts';
import type { HostUpdate } from './shapes/os-hosts.ts';

/** Lists the hosts of enabled services, of one zone if asked.  Spec: compute api-ref "List Hosts". */
export async function listHosts(parts: AdminParts, call: Call): Promise<Reply> {
  const zone = one(call, 'zone');
  const services = (await listServices(parts.db.read)).filter((service) => !service.disabled && (!zone || service.zone === zone));
  return { status: 200, body: { hosts: services.map(({ host, topic, zone: own }) => ({ host_name: host, service: topic, zone: own })) } };
}

async function mustFindHost(parts: AdminParts, call: Call<unknown>): Promise<Hypervisor> {
  const host = call.params.id ?? '';
  const [found] = await listHypervisors(parts.db.read, { host });
  if (!found) throw computeHostNotFound({ host: host.slice(0, 255) });
  return found;
}

/** Shows what a host has, what is taken of it now, and what its servers may take, in all and by project.  Throws computeHostNotFound (404).
 *  Spec: compute api-ref "Show Host Details". */
export async function showHost(parts: AdminParts, call: Call): Promise<Reply> {
  const hypervisor = await mustFindHost(parts, call);
  const { host } = hypervisor.service;
  const shares = await sharesOnHost(parts.db.read, host);
  const line = (project: string, cpu: number, memory_mb: number, disk_gb: number) => ({
    resource: { host, project, cpu, memory_mb, disk_gb },
  });
  const sum = (read: (share: HostShare) => number) => shares.reduce((all, share) => all + read(share), 0);
  return {
    status: 200,
    body: {
      host: [
        line('(total)', hypervisor.vcpus, hypervisor.memoryMiB, hypervisor.diskGiB),
        line('(used_now)', hypervisor.vcpusUsed, hypervisor.memoryUsedMiB, hypervisor.diskUsedGiB),
        line(
          '(used_max)',
          sum((share) => share.vcpus),
          sum((share) => share.memoryMiB),
          sum((share) => share.diskGiB),
        ),
        ...shares.map((share) => line(share.projectId, share.vcpus, share.memoryMiB, share.diskGiB)),
      ],
    },
  };
}

/** Enables or disables a host's compute service. No host here has a maintenance mode: leaving it is granted, entering refused.
 *  Throws hostNotFound (404), hostPowerUnsupported (501).  Spec: compute api-ref "Update Host status". */
export async function updateHost(parts: AdminParts, call: Call<HostUpdate>): Promise<Reply> {
  const host = call.params.id ?? '';
  const status = call.body.status?.toLowerCase();
  const maintenance = call.body.maintenance_mode?.toLowerCase();
  const [service] = await listServices(parts.db.read, { host, binary: COMPUTE_BINARY });
  if (!service) throw hostNotFound({ host: host.slice(0, 255) });
  if (maintenance === 'enable') throw hostPowerUnsupported({});
  if (status !== undefined) {
    const change = status === 'enable' ? { disabled: false, disabledReason: null } : { disabled: true };
    await parts.db.transaction(async (tx) => {
      await updateService(tx, service.id, change, parts.clock.now());
      await tell(parts, tx, { ...service, ...change }, 'updated');
    });
  }
  return {
    status: 200,
    body: {
      host,
      ...(status === undefined ? {} : { status: `${status}d` }),
      ...(maintenance === undefined ? {} : { maintenance_mode: 'off_maintenance' }),
    },
  };
}

/** Turns a host on, off, or off and on. Only hosts of the fake hypervisor, which have no power to lose, say that it is done.
 *  Throws computeHostNotFound (404), hostPowerUnsupported (501).  Spec: compute api-ref "Reboot Host" and its like. */
const power = (action: 'reboot' | 'shutdown' | 'startup') => async (parts: AdminParts, call: Call) => {
  const hypervisor = await mustFindHost(parts, call);
  if (hypervisor.type !== 'fake') throw hostPowerUnsupported({});
  return { status: 200, body: { host: hypervisor.service.host, power_action: action } };
};
export const rebootHost = power('reboot');
export const shutDownHost = power('shutdown');
export const startHost = power('startup');
