import { createHash } from 'node:crypto';
import { from, turned } from '../../../lib/answer.ts';
import { isoMicros, isoSeconds } from '../../../lib/clock.ts';
import { guestName, type NetworkInfo, type Server } from '../../../model/server.ts';
import { hasFault, hasProgress, statusOf } from '../../../model/server-states.ts';
import { bookmark, type LinkRoots, serverLinks } from './server-links.ts';

/** What a view knows beside the server: who looks at it and what stands in other rows. */
export interface ServerDress {
  readonly roots: LinkRoots;
  readonly tags: readonly string[];
  /** Group ids; undefined in lists, which do not show them. */
  readonly groups: readonly string[] | undefined;
  /** Zone of the server's host; null without a host. */
  readonly hostZone: string | null;
  /** UP, DOWN, MAINTENANCE, UNKNOWN or ''; undefined when the caller may not know. */
  readonly hostStatus: string | undefined;
  /** May see OS-EXT-SRV-ATTR fields. */
  readonly extended: boolean;
  readonly extraSpecs: boolean;
  /** May see the details of every fault. */
  readonly admin: boolean;
}

/** Hides a host's name from tenants and still tells two hosts apart.  Spec: compute api-ref, hostId. */
export const hostIdOf = (projectId: string, host: string | null) =>
  host === null ? '' : createHash('sha224').update(`${projectId}${host}`).digest('hex');

/** Only what is asked for exists in an answer; undefined drops the field. */
const when = <T>(truth: boolean, value: T): T | undefined => (truth ? value : undefined);

/** Ports' addresses by network name; `full` adds the type and the card's address. */
export function addressesView(ports: readonly NetworkInfo[], full: boolean): Record<string, object[]> {
  const byName: Record<string, object[]> = {};
  for (const port of ports) {
    if (!Object.hasOwn(byName, port.networkName)) byName[port.networkName] = [];
    for (const { address, version, type } of port.addresses) {
      byName[port.networkName]?.push({
        version,
        addr: address,
        ...(full ? { 'OS-EXT-IPS:type': type, 'OS-EXT-IPS-MAC:mac_addr': port.mac } : {}),
      });
    }
  }
  return byName;
}

/** GET /servers/{id} and each row of /servers/detail, in its newest form.  Spec: compute api-ref "Show Server Details". */
export function serverView(server: Server, dress: ServerDress) {
  const { extended } = dress;
  return {
    ...core(server, dress),
    addresses: addressesView(server.networkInfo, true),
    key_name: server.keyName,
    config_drive: server.configDrive,
    security_groups: when(
      server.securityGroups.length > 0,
      server.securityGroups.map((group) => ({ name: group })),
    ),
    'OS-EXT-AZ:availability_zone': dress.hostZone ?? server.availabilityZone ?? '',
    'OS-EXT-STS:vm_state': server.vmState,
    'OS-EXT-STS:task_state': server.taskState,
    'OS-EXT-STS:power_state': server.powerState,
    'OS-SRV-USG:launched_at': server.launchedAt === null ? null : isoMicros(server.launchedAt),
    'OS-SRV-USG:terminated_at': server.terminatedAt === null ? null : isoMicros(server.terminatedAt),
    'os-extended-volumes:volumes_attached': server.volumes.flatMap((one) =>
      one.volumeId === null ? [] : [{ id: one.volumeId, delete_on_termination: from('2.3', one.deleteOnTermination) }],
    ),
    'OS-EXT-SRV-ATTR:host': when(extended, server.host),
    'OS-EXT-SRV-ATTR:hypervisor_hostname': when(extended, server.node),
    'OS-EXT-SRV-ATTR:instance_name': when(extended, guestName(server.id)),
    'OS-EXT-SRV-ATTR:reservation_id': from('2.3', when(extended, server.reservationId)),
    'OS-EXT-SRV-ATTR:launch_index': from('2.3', when(extended, server.launchIndex)),
    'OS-EXT-SRV-ATTR:hostname': turned(from('2.3', when(extended, server.hostname)), '2.90', server.hostname),
    'OS-EXT-SRV-ATTR:kernel_id': from('2.3', when(extended, server.image?.properties.kernel_id ?? '')),
    'OS-EXT-SRV-ATTR:ramdisk_id': from('2.3', when(extended, server.image?.properties.ramdisk_id ?? '')),
    'OS-EXT-SRV-ATTR:root_device_name': from('2.3', when(extended, server.rootDeviceName)),
    'OS-EXT-SRV-ATTR:user_data': from('2.3', when(extended, server.userData)),
    host_status: from('2.16', dress.hostStatus),
  };
}

/** Answer of PUT /servers/{id}: a short form before 2.75, as GET from then on. */
export function updatedView(server: Server, dress: ServerDress) {
  return turned({ ...core(server, dress), addresses: addressesView(server.networkInfo, false) }, '2.75', serverView(server, dress));
}

/** Answer of a rebuild: a short form before 2.75, as GET from then on; with the password, this once. */
export function rebuiltView(server: Server, dress: ServerDress, adminPass: string | undefined) {
  const own = { adminPass, key_name: from('2.54', server.keyName), user_data: from('2.57', server.userData) };
  return turned({ ...core(server, dress), addresses: addressesView(server.networkInfo, false), ...own }, '2.75', {
    ...serverView(server, dress),
    adminPass,
    user_data: server.userData,
    'OS-EXT-SRV-ATTR:user_data': undefined, // it stands above, for everybody
  });
}

/** What every view of a server shows. */
function core(server: Server, dress: ServerDress) {
  const { roots } = dress;
  const status = statusOf(server.vmState, server.taskState);
  return {
    id: server.uuid,
    name: server.name,
    status,
    tenant_id: server.projectId,
    user_id: server.userId,
    metadata: server.metadata,
    hostId: hostIdOf(server.projectId, server.host),
    image: imageView(server, roots),
    flavor: turned(
      { id: server.flavor.flavorId, links: bookmark(roots, 'flavors', server.flavor.flavorId) },
      '2.47',
      flavorView(server, dress.extraSpecs),
    ),
    created: isoSeconds(server.createdAt),
    updated: isoSeconds(server.updatedAt),
    accessIPv4: server.accessIpV4 ?? '',
    accessIPv6: server.accessIpV6 ?? '',
    links: serverLinks(roots, server.uuid),
    'OS-DCF:diskConfig': server.diskConfig,
    progress: when(hasProgress(status), server.progress),
    fault: hasFault(status) && server.fault !== null ? faultView(server.fault, dress.admin) : undefined,
    locked: from('2.9', server.locked),
    description: from('2.19', server.description),
    tags: from('2.26', dress.tags),
    trusted_image_certificates: from('2.63', server.trustedCerts),
    server_groups: from('2.71', dress.groups),
    locked_reason: from('2.73', server.lockedReason),
    pinned_availability_zone: from('2.96', server.availabilityZone),
    scheduler_hints: from('2.100', server.schedulerHints),
  };
}

function imageView(server: Server, roots: LinkRoots) {
  if (server.imageId === null) return '';
  return {
    id: server.imageId,
    links: bookmark(roots, 'images', server.imageId),
    properties: from('2.98', server.image?.properties ?? {}),
  };
}

function flavorView({ flavor }: Server, extraSpecs: boolean) {
  return {
    vcpus: flavor.vcpus,
    ram: flavor.memoryMiB,
    disk: flavor.rootGiB,
    ephemeral: flavor.ephemeralGiB,
    swap: flavor.swapMiB,
    original_name: flavor.name,
    extra_specs: when(extraSpecs, flavor.extraSpecs),
  };
}

function faultView(fault: NonNullable<Server['fault']>, admin: boolean) {
  return {
    code: fault.code,
    created: isoSeconds(fault.created),
    message: fault.message,
    details: when(fault.details !== null && (admin || fault.code !== 500), fault.details),
  };
}

/** A row of GET /servers. */
export const serverBrief = (server: Pick<Server, 'uuid' | 'name'>, roots: LinkRoots) => ({
  id: server.uuid,
  name: server.name,
  links: serverLinks(roots, server.uuid),
});

/** Answer of POST /servers. The password is shown this once. */
export const createdView = (
  server: Pick<Server, 'uuid' | 'diskConfig'>,
  roots: LinkRoots,
  more: { adminPass: string | undefined; securityGroups: readonly string[] },
) => ({
  id: server.uuid,
  links: serverLinks(roots, server.uuid),
  'OS-DCF:diskConfig': server.diskConfig,
  security_groups: more.securityGroups.map((group) => ({ name: group })),
  adminPass: more.adminPass,
});
