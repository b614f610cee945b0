import type { HostRequest } from '../../bus/contracts/scheduler.ts';
import type { Wish } from './wish.ts';

/** A request off the bus as filters read it. `groupHosts`: members of its group by host, choices not yet in the database included. */
export function wishOf(request: HostRequest, groupHosts: ReadonlyMap<string, number>): Wish {
  const { amounts, group } = request;
  return {
    serverUuid: request.serverUuid,
    projectId: request.projectId,
    availabilityZone: request.availabilityZone,
    flavor: {
      id: null,
      name: null,
      vcpus: amounts.VCPU,
      memoryMiB: amounts.MEMORY_MB,
      rootGiB: amounts.DISK_GB,
      ephemeralGiB: 0,
      swapMiB: 0,
    },
    extraSpecs: request.extraSpecs,
    imageId: null,
    imageProperties: request.imageProperties,
    hints: ownHints(request.schedulerHints),
    group: group && {
      policy: group.policy,
      maxPerHost: group.maxPerHost,
      hosts: groupHosts,
      membersOn: ({ host }) => groupHosts.get(host) ?? 0,
    },
    triedHosts: [],
    destination: null,
  };
}

/** Users may not say that their request is a rebuild: hardly a filter would be asked. */
function ownHints(hints: HostRequest['schedulerHints']): Wish['hints'] {
  if (!('_nova_check_type' in hints)) return hints;
  const { _nova_check_type: _, ...rest } = hints;
  return rest;
}
