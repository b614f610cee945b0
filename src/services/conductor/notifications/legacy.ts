import type { AuditPeriod } from '../../../model/audit-period.ts';
import { type LegacyNotice, type Notice, seconds } from '../../../model/notices.ts';
import type { Moment } from './instance-payload.ts';

/** Words of unversioned events of servers that differ from those of versioned ones. */
const old: Readonly<Record<string, string>> = {
  rebuild_scheduled: 'rebuild.scheduled',
  resize_prep: 'resize.prep',
  resize_confirm: 'resize.confirm',
  resize_revert: 'resize.revert',
  resize_finish: 'finish_resize',
  live_migration_pre: 'live_migration.pre',
  live_migration_post: 'live_migration._post',
  live_migration_post_dest: 'live_migration.post.dest',
  live_migration_rollback: 'live_migration._rollback',
  live_migration_rollback_dest: 'live_migration.rollback.dest',
  live_migration_abort: 'live.migration.abort',
  live_migration_force_complete: 'live.migration.force.complete',
};
/** Told once, when it is done. */
const once: Readonly<Record<string, string>> = { volume_attach: 'volume.attach', volume_detach: 'volume.detach' };
/** Younger than the unversioned kind. */
const unknown: ReadonlySet<string> = new Set(['volume_swap', 'interface_attach', 'interface_detach', 'lock', 'unlock']);

/** 'instance.resize_prep.start' as telemetry knows it: 'compute.instance.resize.prep.start'; undefined for what it never knew. */
function legacyEvent(event: string): string | undefined {
  const [noun, action = '', phase] = event.split('.');
  if (noun !== 'instance' || unknown.has(action)) return undefined;
  if (once[action] !== undefined) return phase === 'end' ? `compute.instance.${once[action]}` : undefined;
  return ['compute.instance', old[action] ?? action, ...(phase ? [phase] : [])].join('.');
}

/** 'nova-compute:host1' in unversioned notifications: 'compute.host1'. */
export const legacyPublisher = (publisher: string, service = 'compute'): string =>
  `${service}.${publisher.slice(publisher.indexOf(':') + 1)}`;

/** A notice about a server in its old form. */
export function legacyOf(notice: Notice, payload: object): LegacyNotice | undefined {
  const event = legacyEvent(notice.event);
  return event === undefined ? undefined : { event, publisher: legacyPublisher(notice.publisher), payload };
}

/** How the nouns of the API were told: their service, and their words. */
const nouns: Readonly<Record<string, { readonly service: string; readonly words: Readonly<Record<string, string>> }>> = {
  keypair: { service: 'api', words: {} },
  server_group: { service: 'servergroup', words: { add_member: 'addmember' } },
  aggregate: {
    service: 'aggregate',
    words: { update_prop: 'updateprop', update_metadata: 'updatemetadata', add_host: 'addhost', remove_host: 'removehost' },
  },
};

/** The old form of what the API tells of key pairs, server groups and aggregates; undefined for nouns it did not know. */
export function legacyOfNoun(notice: Notice, projectId: string | null): LegacyNotice | undefined {
  const [noun = '', deed = '', phase] = notice.event.split('.');
  const kind = nouns[noun];
  if (!kind || deed === 'cache_images') return undefined;
  const data = (notice.payload as { 'nova_object.data'?: Record<string, unknown> })['nova_object.data'] ?? {};
  const payload =
    noun === 'keypair'
      ? { tenant_id: projectId, user_id: data.user_id, key_name: data.name }
      : noun === 'aggregate'
        ? { aggregate_id: data.id, name: data.name, hosts: data.hosts, meta_data: data.metadata }
        : { server_group_id: data.uuid, name: data.name, policies: data.policies, instance_uuids: data.members };
  const event = [noun === 'server_group' ? 'servergroup' : noun, kind.words[deed] ?? deed, ...(phase ? [phase] : [])].join('.');
  return { event, publisher: legacyPublisher(notice.publisher, kind.service), payload };
}

const dots = (at: number | null) => seconds(at)?.replace('T', ' ').replace('Z', '+00:00') ?? '';

/** The period of usage, for events that tell it. */
export const legacyPeriod = ({ begin, end }: AuditPeriod) => ({ audit_period_beginning: plain(begin), audit_period_ending: plain(end) });
const plain = (at: number) => seconds(at)?.replace('T', ' ').replace('Z', '') ?? '';

/** The unversioned payload of a server: flat, as telemetry services read it; `more` is what one event adds. */
export function legacyPayload(moment: Moment, more: object = {}): object {
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
    ...(moment.fault ? { message: moment.fault.message, exception: moment.fault.code, code: 500 } : {}),
    ...more,
  };
}
