import type { HostRequest } from '../../bus/contracts/scheduler.ts';
import { badWish } from '../../model/errors-scheduler.ts';
import { typedProperties } from '../../model/image-properties.ts';
import { guestNumaOf } from '../../model/numa/constraints.ts';
import { type PciAlias, pciRequestsOf } from '../../model/pci/aliases.ts';
import type { Wish } from './wish.ts';

/** A request off the bus as filters read it. `groupHosts`: members of its group by host, choices not yet in the database included. Throws badWish when
 *  flavor and image ask for what nobody can read. */
export function wishOf(request: HostRequest, groupHosts: ReadonlyMap<string, number>, aliases: readonly PciAlias[] = []): Wish {
  const { amounts, group, extraSpecs, flavor } = request;
  const imageProperties = readable(() => typedProperties(request.imageProperties));
  const source = { vcpus: amounts.VCPU, memoryMiB: amounts.MEMORY_MB, extraSpecs, imageProperties };
  return {
    serverUuid: request.serverUuid,
    projectId: request.projectId,
    availabilityZone: request.availabilityZone,
    flavor: {
      id: flavor?.id ?? null,
      name: flavor?.name ?? null,
      vcpus: amounts.VCPU,
      memoryMiB: amounts.MEMORY_MB,
      rootGiB: flavor?.rootGiB ?? amounts.DISK_GB,
      ephemeralGiB: flavor?.ephemeralGiB ?? 0,
      swapMiB: flavor?.swapMiB ?? 0,
    },
    extraSpecs,
    imageId: request.image?.id ?? null,
    imageFormat: request.image?.diskFormat ?? null,
    imageProperties,
    hints: request.rebuild ? { ...ownHints(request.schedulerHints), _nova_check_type: ['rebuild'] } : ownHints(request.schedulerHints),
    group: group && {
      policy: group.policy,
      maxPerHost: group.maxPerHost,
      hosts: groupHosts,
      membersOn: ({ host }) => groupHosts.get(host) ?? 0,
    },
    triedHosts: [],
    destination: null,
    ignoredHosts: [],
    forcedHosts: [],
    forcedNodes: [],
    numa: asksForCells(extraSpecs, imageProperties) ? readable(() => guestNumaOf(source)) : null,
    network: null,
    pciRequests: readable(() => pciRequestsOf(extraSpecs, imageProperties.hw_pci_numa_affinity_policy, aliases)),
  };
}

/** Most requests have no word of memory cells, and need not be looked through. */
function asksForCells(extraSpecs: HostRequest['extraSpecs'], imageProperties: Wish['imageProperties']): boolean {
  for (const key in extraSpecs) if (/^(hw:|resources|trait)/.test(key)) return true;
  for (const key in imageProperties) if (/^(hw_|traits)/.test(key)) return true;
  return false;
}
function readable<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw badWish({ why: cause instanceof Error ? cause.message : String(cause) }, { cause });
  }
}

/** Users may not say that their request is a rebuild: hardly a filter would be asked. */
function ownHints(hints: HostRequest['schedulerHints']): Wish['hints'] {
  if (!('_nova_check_type' in hints)) return hints;
  const { _nova_check_type: _, ...rest } = hints;
  return rest;
}
