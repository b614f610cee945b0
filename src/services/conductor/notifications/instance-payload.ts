import { flavorPayload, novaObject, seconds } from '../../../model/notices.ts';
import { exceptionPayload } from '../../../model/notices-of-hosts.ts';
import { powerStates, type Server } from '../../../model/server.ts';

/** A server at one moment of its life: its row, with the states of that moment. */
export interface Moment {
  readonly server: Server;
  readonly vmState: string;
  readonly taskState: string | null;
  readonly tags: readonly string[];
  readonly disks: readonly Disk[];
  /** Who asked for what happens now. */
  readonly asked: { readonly requestId: string; readonly userId: string; readonly projectId: string } | null;
  /** Why it went wrong, if it did. */
  readonly fault: { readonly code: string; readonly message: string } | null;
}
export interface Disk {
  readonly deviceName: string | null;
  readonly bootIndex: number | null;
  readonly deleteOnTermination: boolean;
  readonly volumeId: string;
  readonly tag: string | null;
}

const powerNames = new Map<number, string>(Object.entries(powerStates).map(([name, number]) => [number, name]));

/** Fields that every payload about a server has.  Spec: notification object InstancePayload 1.9. */
export function instanceFields(moment: Moment): Record<string, unknown> {
  const { server, asked, disks } = moment;
  const { image } = server;
  return {
    uuid: server.uuid,
    user_id: server.userId,
    tenant_id: server.projectId,
    reservation_id: server.reservationId,
    display_name: server.name,
    display_description: server.description,
    host_name: server.hostname,
    host: server.host,
    node: server.node,
    os_type: image?.properties.os_type ?? null,
    architecture: image?.properties.hw_architecture ?? image?.properties.architecture ?? null,
    availability_zone: server.availabilityZone,
    flavor: flavorPayload(server.flavor),
    image_uuid: server.imageId,
    key_name: server.keyName,
    kernel_id: image?.properties.kernel_id ?? '',
    ramdisk_id: image?.properties.ramdisk_id ?? '',
    created_at: seconds(server.createdAt),
    launched_at: seconds(server.launchedAt),
    terminated_at: seconds(server.terminatedAt),
    deleted_at: seconds(server.deletedAt),
    updated_at: seconds(server.updatedAt),
    state: moment.vmState,
    power_state: powerNames.get(server.powerState) ?? 'pending',
    task_state: moment.taskState,
    progress: server.progress,
    ip_addresses: server.networkInfo.flatMap((port) =>
      port.addresses.map((one) =>
        novaObject('IpPayload', '1.0', {
          label: port.networkName,
          mac: port.mac,
          meta: {},
          port_uuid: port.portId,
          version: one.version,
          address: one.address,
          device_name: `tap${port.portId.slice(0, 11)}`,
        }),
      ),
    ),
    block_devices: disks.map((disk) =>
      novaObject('BlockDevicePayload', '1.0', {
        device_name: disk.deviceName,
        boot_index: disk.bootIndex,
        delete_on_termination: disk.deleteOnTermination,
        volume_id: disk.volumeId,
        tag: disk.tag,
      }),
    ),
    metadata: server.metadata,
    locked: server.locked,
    auto_disk_config: server.diskConfig,
    request_id: asked?.requestId ?? null,
    action_initiator_user: asked?.userId ?? null,
    action_initiator_project: asked?.projectId ?? null,
    locked_reason: server.lockedReason,
    shares: [],
  };
}

/** The payload of one action on a server, with what some of them add. */
export function actionPayload(name: string, version: string, moment: Moment, more: object = {}): object {
  const fault = moment.fault === null ? null : exceptionPayload(moment.fault);
  return novaObject(name, version, { ...instanceFields(moment), fault, ...more });
}
