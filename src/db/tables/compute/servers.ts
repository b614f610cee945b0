import type { Insertable, Selectable } from 'kysely';
import type { Flavor, ImageSnapshot, NetworkInfo, RequestedNetworks, Server, ServerFault, ServerVolume } from '../../../model/server.ts';
import type { Query } from '../../engine.ts';
import { insertRows } from '../../prepared.ts';
import type { ServersTable } from './tables.ts';

export type ServerRow = Selectable<ServersTable>;

// Rows hold only what `newServerRow` and its kin wrote, so their JSON has the type it was written with.
const json = <T>(text: string): T => JSON.parse(text) as T;

/** A row as the noun every room knows. */
export function toServer(row: ServerRow): Server {
  return {
    id: row.id,
    uuid: row.uuid,
    reservationId: row.reservation_id,
    projectId: row.project_id,
    userId: row.user_id,
    name: row.name,
    description: row.description,
    hostname: row.hostname,
    vmState: row.vm_state,
    taskState: row.task_state,
    powerState: row.power_state,
    progress: row.progress,
    host: row.host,
    node: row.node,
    launchedOn: row.launched_on,
    cellUuid: row.cell_uuid,
    epoch: row.epoch,
    flavor: json<Flavor>(row.flavor),
    image: row.image === null ? null : json<ImageSnapshot>(row.image),
    imageId: row.image_id,
    keyName: row.key_name,
    keyData: row.key_data,
    userData: row.user_data,
    configDrive: row.config_drive,
    availabilityZone: row.availability_zone,
    accessIpV4: row.access_ip_v4,
    accessIpV6: row.access_ip_v6,
    diskConfig: row.disk_config === 'MANUAL' ? 'MANUAL' : 'AUTO',
    rootDeviceName: row.root_device_name,
    launchIndex: row.launch_index,
    metadata: json<Record<string, string>>(row.metadata),
    requestedNetworks: json<RequestedNetworks>(row.requested_networks),
    securityGroups: json<string[]>(row.security_groups),
    networkInfo: json<NetworkInfo[]>(row.network_info),
    volumes: json<ServerVolume[]>(row.block_devices),
    schedulerHints: json<Record<string, unknown>>(row.scheduler_hints),
    trustedCerts: row.trusted_certs === null ? null : json<string[]>(row.trusted_certs),
    fault: row.fault === null ? null : json<ServerFault>(row.fault),
    locked: row.locked === 1,
    lockedReason: row.locked_reason,
    lockedBy: row.locked_by === 'admin' ? 'admin' : row.locked_by === null ? null : 'owner',
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    launchedAt: row.launched_at,
    terminatedAt: row.terminated_at,
    deleted: row.deleted !== 0,
    deletedAt: row.deleted_at,
    softDeletedAt: row.soft_deleted_at,
    revision: row.revision,
  };
}

/** A server that is about to be: everything but what the database numbers. */
export type NewServer = Omit<
  Server,
  'id' | 'deleted' | 'deletedAt' | 'softDeletedAt' | 'lockedBy' | 'revision' | 'launchedAt' | 'terminatedAt'
>;

/** `taskDeadline`: when its first task must have ended. */
export function newServerRow(server: NewServer, taskDeadline: number | null): Insertable<ServersTable> {
  return {
    uuid: server.uuid,
    reservation_id: server.reservationId,
    project_id: server.projectId,
    user_id: server.userId,
    name: server.name,
    description: server.description,
    hostname: server.hostname,
    vm_state: server.vmState,
    task_state: server.taskState,
    task_deadline: taskDeadline,
    power_state: server.powerState,
    progress: server.progress,
    host: server.host,
    node: server.node,
    launched_on: server.launchedOn,
    cell_uuid: server.cellUuid,
    epoch: server.epoch,
    flavor_id: server.flavor.flavorId,
    flavor: JSON.stringify(server.flavor),
    image_id: server.imageId,
    image: server.image === null ? null : JSON.stringify(server.image),
    key_name: server.keyName,
    key_data: server.keyData,
    user_data: server.userData,
    config_drive: server.configDrive,
    availability_zone: server.availabilityZone,
    access_ip_v4: server.accessIpV4,
    access_ip_v6: server.accessIpV6,
    disk_config: server.diskConfig,
    root_device_name: server.rootDeviceName,
    launch_index: server.launchIndex,
    metadata: JSON.stringify(server.metadata),
    requested_networks: JSON.stringify(server.requestedNetworks),
    security_groups: JSON.stringify(server.securityGroups),
    network_info: JSON.stringify(server.networkInfo),
    block_devices: JSON.stringify(server.volumes),
    scheduler_hints: JSON.stringify(server.schedulerHints),
    trusted_certs: server.trustedCerts === null ? null : JSON.stringify(server.trustedCerts),
    fault: server.fault === null ? null : JSON.stringify(server.fault),
    locked: server.locked ? 1 : 0,
    locked_reason: server.lockedReason,
    locked_by: null,
    created_at: server.createdAt,
    updated_at: server.updatedAt,
    launched_at: null,
    terminated_at: null,
    deleted: 0,
    deleted_at: null,
    soft_deleted_at: null,
    revision: 1,
  };
}

/** The living server with that uuid, or undefined. */
export async function findServer(db: Query, uuid: string): Promise<Server | undefined> {
  const row = await db.selectFrom('servers').selectAll().where('uuid', '=', uuid).where('deleted', '=', 0).executeTakeFirst();
  return row && toServer(row);
}

/** The server, also one that is gone as long as its row is kept. */
export async function findServerEvenGone(db: Query, uuid: string): Promise<Server | undefined> {
  const row = await db.selectFrom('servers').selectAll().where('uuid', '=', uuid).executeTakeFirst();
  return row && toServer(row);
}

/** Rows of these ids, in no order. Asks in pieces that every engine takes. */
export async function serversById(db: Query, ids: readonly number[]): Promise<Server[]> {
  const found: Server[] = [];
  for (let at = 0; at < ids.length; at += 500) {
    const rows = await db
      .selectFrom('servers')
      .selectAll()
      .where('id', 'in', ids.slice(at, at + 500))
      .execute();
    for (const row of rows) found.push(toServer(row));
  }
  return found;
}

/** Tags by server id, sorted; servers without any are absent. */
export async function tagsOf(db: Query, ids: readonly number[]): Promise<Map<number, string[]>> {
  const tags = new Map<number, string[]>();
  for (let at = 0; at < ids.length; at += 500) {
    const rows = await db
      .selectFrom('server_tags')
      .selectAll()
      .where('server_id', 'in', ids.slice(at, at + 500))
      .orderBy('tag')
      .execute();
    for (const row of rows) {
      const list = tags.get(row.server_id);
      if (list) list.push(row.tag);
      else tags.set(row.server_id, [row.tag]);
    }
  }
  return tags;
}

/** The groups a server is a member of: none or one. */
export async function groupsOf(db: Query, serverUuid: string): Promise<string[]> {
  const rows = await db.selectFrom('server_group_members').select('group_uuid').where('server_uuid', '=', serverUuid).execute();
  return rows.map((row) => row.group_uuid);
}

/** Inserts many rows with as few statements as every engine's limit on bound values allows. */
export async function insertServers(tx: Query, rows: readonly Insertable<ServersTable>[]): Promise<void> {
  for (let at = 0; at < rows.length; at += 100) {
    await insertRows(tx, 'servers', rows.slice(at, at + 100));
  }
}
