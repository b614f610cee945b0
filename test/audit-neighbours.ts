import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../src/db/engine.ts';
import type { NetworkInfo } from '../src/model/server.ts';

/** Holds ports, volumes, images and their files against the servers, by plain reading. `dataDir`: of the process that serves images and volumes.
 *  Answers one sentence for each thing that does not agree. */
export async function auditNeighbours(db: Database, dataDir: string): Promise<string[]> {
  const wrong: string[] = [];
  const q = db.read;
  const servers = await q.selectFrom('servers').selectAll().where('deleted', '=', 0).execute();
  const living = new Map(servers.map((row) => [row.uuid, row]));

  // Ports.
  const ports = await q.selectFrom('net_ports').selectAll().execute();
  for (const port of ports.filter((one) => one.device_owner.startsWith('compute:'))) {
    const server = living.get(port.device_id);
    if (!server) {
      wrong.push(`port ${port.uuid} belongs to ${port.device_id || 'nobody'}, which is no living server`);
      continue;
    }
    const known = JSON.parse(server.network_info) as NetworkInfo[];
    if (!known.some((one) => one.portId === port.uuid))
      wrong.push(`server ${server.uuid} (${server.vm_state}) does not know its port ${port.uuid}`);
    if (server.vm_state !== 'error' && port.host !== (server.host ?? ''))
      wrong.push(`port ${port.uuid} is bound to ${port.host || 'no host'}, its server ${server.uuid} stands on ${server.host}`);
  }
  for (const server of servers)
    for (const one of JSON.parse(server.network_info) as NetworkInfo[])
      if (server.vm_state !== 'error' && !ports.some((port) => port.uuid === one.portId && port.device_id === server.uuid))
        wrong.push(`server ${server.uuid} (${server.vm_state}) has the port ${one.portId}, which is gone`);
  const counted = new Map<string, number>();
  const count = (key: string, amount = 1) => counted.set(key, (counted.get(key) ?? 0) + amount);
  for (const port of ports) count(`port ${port.project_id}`);
  for (const row of await q.selectFrom('net_quotas').selectAll().where('resource', '=', 'port').execute())
    if (row.used !== (counted.get(`port ${row.project_id}`) ?? 0))
      wrong.push(`quota of ports of ${row.project_id}: ${row.used} counted, ${counted.get(`port ${row.project_id}`) ?? 0} there`);
  const portIds = new Set(ports.map((port) => port.uuid));
  for (const row of await q.selectFrom('net_addresses').select(['address', 'port_uuid']).where('port_uuid', 'is not', null).execute())
    if (!portIds.has(row.port_uuid ?? '')) wrong.push(`address ${row.address} belongs to the port ${row.port_uuid}, which is gone`);

  // Volumes, and what holds them.
  const volumes = await q.selectFrom('volumes').selectAll().execute();
  const attachments = await q.selectFrom('volume_attachments').selectAll().execute();
  const devices = await q.selectFrom('block_devices').selectAll().execute();
  for (const volume of volumes) {
    const held = attachments.filter((one) => one.volume_uuid === volume.uuid);
    const stays = ['available', 'in-use', 'reserved', 'error', 'error_deleting', 'error_extending'];
    if (!stays.includes(volume.status)) wrong.push(`volume ${volume.uuid} is still ${volume.status}`);
    if (volume.status === 'available' && held.length > 0)
      wrong.push(`volume ${volume.uuid} is available and has ${held.length} attachments`);
    if (volume.status === 'in-use' && held.length === 0) wrong.push(`volume ${volume.uuid} is in use by nobody`);
    if (volume.status === 'reserved' && !held.some((one) => living.get(one.server_uuid ?? '')?.vm_state.startsWith('shelved')))
      wrong.push(`volume ${volume.uuid} is reserved by no shelved server`);
    if (volume.migration_status !== null && volume.migration_status !== 'success' && volume.migration_status !== 'error')
      wrong.push(`volume ${volume.uuid} is in a migration: ${volume.migration_status}`);
    count(`volumes ${volume.project_id}`);
    count(`gigabytes ${volume.project_id}`, volume.size);
  }
  for (const one of attachments) {
    const server = living.get(one.server_uuid ?? '');
    const device = devices.find((row) => row.attachment_id === one.uuid);
    if (!server) wrong.push(`attachment ${one.uuid} of volume ${one.volume_uuid} is ${one.server_uuid}'s, which is no living server`);
    else if (!device)
      wrong.push(`attachment ${one.uuid} of volume ${one.volume_uuid} has no disk of server ${server.uuid} (${server.vm_state})`);
    else if (device.volume_id !== one.volume_uuid)
      wrong.push(`attachment ${one.uuid} is of ${one.volume_uuid}, its disk of ${device.volume_id}`);
    if (one.status !== 'attached' && server && server.vm_state !== 'error' && !server.vm_state.startsWith('shelved'))
      wrong.push(`attachment ${one.uuid} of server ${server.uuid} (${server.vm_state}) is ${one.status}`);
    const host = (JSON.parse(one.connector ?? '{}') as { host?: string } | null)?.host;
    if (
      server &&
      server.host !== null &&
      server.vm_state !== 'error' &&
      one.status === 'attached' &&
      host !== undefined &&
      host !== server.host
    )
      wrong.push(`attachment ${one.uuid} connects ${host}, its server ${server.uuid} stands on ${server.host}`);
  }
  for (const row of devices) {
    const server = living.get(row.server_uuid);
    if (!server) wrong.push(`disk ${row.uuid} belongs to ${row.server_uuid}, which is no living server`);
    if (row.volume_id !== null && server && server.vm_state !== 'error') {
      if (!volumes.some((one) => one.uuid === row.volume_id))
        wrong.push(`disk ${row.uuid} of ${row.server_uuid} is the volume ${row.volume_id}, which is gone`);
      else if (!attachments.some((one) => one.uuid === row.attachment_id))
        wrong.push(`disk ${row.uuid} of ${row.server_uuid} (${server.vm_state}) has no attachment of volume ${row.volume_id}`);
    }
  }
  const snapshots = await q.selectFrom('volume_snapshots').selectAll().execute();
  for (const one of snapshots) {
    if (!['available', 'error', 'error_deleting'].includes(one.status)) wrong.push(`volume snapshot ${one.uuid} is still ${one.status}`);
    count(`snapshots ${one.project_id}`);
    count(`gigabytes ${one.project_id}`, one.size);
  }
  for (const row of await q
    .selectFrom('volume_quotas')
    .selectAll()
    .where('resource', 'in', ['volumes', 'gigabytes', 'snapshots'])
    .execute()) {
    const there = counted.get(`${row.resource} ${row.project_id}`) ?? 0;
    if (row.project_id !== '@default' && row.used !== there)
      wrong.push(`quota of ${row.resource} of ${row.project_id}: ${row.used} counted, ${there} there`);
  }
  for (const task of await q.selectFrom('volume_tasks').selectAll().execute())
    wrong.push(`a task ${task.kind} of volume ${task.target} is still there`);

  // Images, and the files of both services.
  const images = await q.selectFrom('images').selectAll().where('deleted', '=', 0).execute();
  for (const image of images) if (image.status !== 'active') wrong.push(`image ${image.uuid} (${image.name}) is ${image.status}`);
  const filesIn = (dir: string) => (existsSync(join(dataDir, dir)) ? readdirSync(join(dataDir, dir)) : []);
  const kept = new Set(images.map((one) => one.uuid));
  for (const file of filesIn('images')) if (!kept.has(file)) wrong.push(`the file images/${file} is no image's`);
  const names = new Set([...volumes, ...snapshots].map((one) => one.uuid));
  for (const file of filesIn('volumes'))
    if (!names.has(file.replace(/^[a-z]+-|\..*$/g, ''))) wrong.push(`the file volumes/${file} is no volume's`);

  // What was asked for has come to an end in the history too.
  const open = await q
    .selectFrom('server_actions')
    .select(['server_uuid', 'action', 'request_id'])
    .where('finished_at', 'is', null)
    .execute();
  for (const row of open)
    if (living.has(row.server_uuid)) wrong.push(`the action ${row.action} of ${row.server_uuid} (${row.request_id}) has no end`);
  return wrong;
}
