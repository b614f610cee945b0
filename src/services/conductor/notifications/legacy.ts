import { seconds } from './envelope.ts';
import type { Moment } from './instance-payload.ts';

/** Words of unversioned events that differ from those of versioned ones. */
const old: Readonly<Record<string, string>> = {
  volume_attach: 'volume.attach',
  volume_detach: 'volume.detach',
  volume_swap: 'volume.swap',
  resize_prep: 'resize.prep',
  resize_confirm: 'resize.confirm',
  resize_revert: 'resize.revert',
  resize_finish: 'finish_resize',
  live_migration_pre: 'live_migration.pre',
  live_migration_post: 'live_migration._post',
  live_migration_post_dest: 'live_migration.post.dest',
  interface_attach: 'interface.attach',
  interface_detach: 'interface.detach',
};

/** 'instance.volume_attach.start' as telemetry knows it: 'compute.instance.volume.attach.start'; undefined for what it never knew. */
export function legacyEvent(event: string): string | undefined {
  const [noun, action = '', phase] = event.split('.');
  if (noun !== 'instance') return undefined;
  return ['compute.instance', old[action] ?? action, ...(phase ? [phase] : [])].join('.');
}

const dots = (at: number | null) => seconds(at)?.replace('T', ' ').replace('Z', '+00:00') ?? '';

/** The unversioned payload of a server: flat, as telemetry services read it. */
export function legacyPayload(moment: Moment, old?: { vmState: string; taskState: string | null }): object {
  const { server } = moment;
  const { flavor, image } = server;
  const properties = image?.properties ?? {};
  return {
    tenant_id: server.projectId,
    user_id: server.userId,
    instance_id: server.uuid,
    display_name: server.name,
    reservation_id: server.reservationId,
    hostname: server.hostname,
    instance_type: flavor.name,
    instance_type_id: flavor.id,
    instance_flavor_id: flavor.flavorId,
    architecture: properties.hw_architecture ?? null,
    memory_mb: flavor.memoryMiB,
    disk_gb: flavor.rootGiB + flavor.ephemeralGiB,
    vcpus: flavor.vcpus,
    root_gb: flavor.rootGiB,
    ephemeral_gb: flavor.ephemeralGiB,
    host: server.host,
    node: server.node,
    availability_zone: server.availabilityZone,
    cell_name: '',
    created_at: dots(server.createdAt),
    terminated_at: dots(server.terminatedAt),
    deleted_at: dots(server.deletedAt),
    launched_at: dots(server.launchedAt),
    image_ref_url: server.imageId ? `images/${server.imageId}` : '',
    os_type: properties.os_type ?? null,
    kernel_id: properties.kernel_id ?? '',
    ramdisk_id: properties.ramdisk_id ?? '',
    state: moment.vmState,
    state_description: moment.taskState ?? '',
    progress: server.progress === 0 ? '' : server.progress,
    access_ip_v4: server.accessIpV4,
    access_ip_v6: server.accessIpV6,
    image_meta: { ...properties, base_image_ref: server.imageId ?? '' },
    metadata: server.metadata,
    fixed_ips: server.networkInfo.flatMap((port) =>
      port.addresses.map((one) => ({
        label: port.networkName,
        vif_mac: port.mac,
        version: one.version,
        address: one.address,
        type: one.type,
        floating_ips: [],
        meta: {},
      })),
    ),
    ...(old
      ? { old_state: old.vmState, old_task_state: old.taskState, new_task_state: moment.taskState }
      : moment.fault
        ? { message: moment.fault.message, exception: moment.fault.code, code: 500 }
        : {}),
  };
}
