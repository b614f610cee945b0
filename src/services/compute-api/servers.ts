import type { Updateable } from 'kysely';
import type { ServersTable } from '../../db/tables/compute/tables.ts';
import type { Call, Reply } from '../../http/call.ts';
import { pinRefused } from '../../model/errors-compute.ts';
import { dressOf, hostFacts, serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { beginTask, changeServer, mustAllow } from './server-tasks.ts';
import type { ServerUpdate } from './shapes/server-bodies.ts';
import { serverView, updatedView } from './views/server-view.ts';

/** GET /servers/{id}.  Spec: compute api-ref "Show Server Details". */
export async function showServer(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call);
  return { status: 200, body: { server: serverView(server, await dressOf(parts, call, server)) } };
}

/** PUT /servers/{id}: what can be changed at any time, in any state.  Spec: compute api-ref "Update Server". */
export async function updateServer(parts: ServerParts, call: Call<ServerUpdate>): Promise<Reply> {
  const wish = call.body.server;
  const seen = await serverOf(parts.db.read, call);
  const zone = seen.host === null ? null : ((await hostFacts(parts, [seen.host])).get(seen.host)?.zone ?? null);
  const server = await changeServer(parts, seen, (now) => {
    const set: Omit<Updateable<ServersTable>, 'id' | 'uuid' | 'revision' | 'updated_at'> = {};
    if (wish.name !== undefined) set.name = call.legacy ? wish.name.trim() : wish.name;
    if (wish.description !== undefined) set.description = wish.description;
    if (wish.accessIPv4 !== undefined) set.access_ip_v4 = wish.accessIPv4;
    if (wish.accessIPv6 !== undefined) set.access_ip_v6 = wish.accessIPv6;
    if (wish['OS-DCF:diskConfig'] !== undefined) set.disk_config = wish['OS-DCF:diskConfig'];
    if (wish.hostname !== undefined) set.hostname = wish.hostname;
    const pin = wish.pinned_availability_zone;
    if (pin !== undefined && pin !== now.availabilityZone) {
      if (pin !== null && (now.availabilityZone !== null || pin !== zone)) throw pinRefused({ id: now.uuid });
      set.availability_zone = pin;
    }
    return Object.keys(set).length === 0 ? undefined : { set, what: 'updated' };
  });
  return { status: 200, body: { server: updatedView(server, await dressOf(parts, call, server)) } };
}

/** DELETE /servers/{id}: at once gone for good, from any state; a server that is being deleted already stays so.
 *  Spec: compute api-ref "Delete Server". */
export async function deleteServer(parts: ServerParts, call: Call): Promise<Reply> {
  await beginDelete(parts, call, false);
  return { status: 204 };
}

/** POST /servers/{id}/action forceDelete.  Spec: compute api-ref "Force-Delete Server". */
export async function forceDelete(parts: ServerParts, call: Call): Promise<Reply> {
  await beginDelete(parts, call, true);
  return { status: 202 };
}

async function beginDelete(parts: ServerParts, call: Call, force: boolean): Promise<void> {
  const seen = await serverOf(parts.db.read, call);
  await beginTask(parts, call, seen, (server) => {
    mustAllow('delete', 'delete', server, call);
    if (server.taskState === 'deleting') return undefined;
    return { taskState: 'deleting', actionName: 'delete', kind: 'delete-server', input: { serverUuid: server.uuid, force } };
  });
}
