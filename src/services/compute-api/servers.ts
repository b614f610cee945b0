import type { Updateable } from 'kysely';
import { limitsWithUser } from '../../db/tables/compute/quota-limits.ts';
import { shareOf, takeQuota, userQuotaShort } from '../../db/tables/compute/quotas.ts';
import type { ServersTable } from '../../db/tables/compute/tables.ts';
import type { Call, Reply } from '../../http/call.ts';
import { pinRefused } from '../../model/errors-compute.ts';
import { canonicalIp } from '../../model/ip-address.ts';
import type { Server } from '../../model/server.ts';
import { overQuota } from './accept.ts';
import { dressOf, hostFacts, serverOf } from './server-find.ts';
import { defaultLimits, type ServerParts } from './server-parts.ts';
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
    if (wish.accessIPv6 !== undefined) set.access_ip_v6 = wish.accessIPv6 && canonicalIp(wish.accessIPv6);
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

/** DELETE /servers/{id}: at once gone for good, from any state, unless the cloud keeps deleted servers for a while; a server that is being deleted already stays so.
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

/** POST /servers/{id}/action restore: brings a softly deleted server back, if quota has room for it again. Throws quotaExceeded (403).
 *  Spec: compute api-ref "Restore Soft-Deleted Instance". */
export async function restoreServer(parts: ServerParts, call: Call): Promise<Reply> {
  const seen = await serverOf(parts.db.read, call);
  const { project: limits, user: own } = await limitsWithUser(parts.db.read, defaultLimits(parts), seen.projectId, seen.userId);
  await beginTask(parts, call, seen, (server) => {
    mustAllow('restore', 'restore', server, call);
    const { softDeletedAt } = server;
    const input = { serverUuid: server.uuid, action: 'restore' as const, args: {}, vmStateBefore: server.vmState };
    return {
      taskState: 'restoring',
      actionName: 'restore',
      kind: 'act-on-server',
      input: softDeletedAt === null ? input : { ...input, softDeletedAt },
      set: { soft_deleted_at: null },
      also: async (tx) => {
        if (softDeletedAt === null) return;
        const share = shareOf(server.flavor);
        const short =
          (await takeQuota(tx, parts.db.kind, server.projectId, share, limits)) ??
          (await userQuotaShort(tx, server.projectId, server.userId, share, own, server.uuid));
        if (short) throw overQuota(short);
      },
    };
  });
  return { status: 202 };
}

async function beginDelete(parts: ServerParts, call: Call, force: boolean): Promise<void> {
  const seen = await serverOf(parts.db.read, call);
  if (!force && (parts.reclaimSeconds ?? 0) > 0 && (await canRest(parts, seen))) return beginSoftDelete(parts, call, seen);
  await beginTask(parts, call, seen, (server) => {
    mustAllow('delete', 'delete', server, call);
    if (server.taskState === 'deleting') return undefined;
    return { taskState: 'deleting', actionName: 'delete', kind: 'delete-server', input: { serverUuid: server.uuid, force } };
  });
}

/** Only a server that ran once and whose host answers can be turned off and kept; any other is deleted for good. */
async function canRest(parts: ServerParts, server: Server): Promise<boolean> {
  if (server.launchedAt === null || server.host === null) return false;
  const status = (await hostFacts(parts, [server.host])).get(server.host)?.status;
  return status === 'UP' || status === 'MAINTENANCE';
}

async function beginSoftDelete(parts: ServerParts, call: Call, seen: Server): Promise<void> {
  await beginTask(parts, call, seen, (server) => {
    mustAllow('delete', 'delete', server, call);
    const { taskState, vmState } = server;
    if (taskState === 'deleting' || taskState === 'soft-deleting' || (vmState === 'soft-delete' && taskState === null)) return undefined;
    const input = { serverUuid: server.uuid, action: 'soft-delete' as const, args: {}, vmStateBefore: vmState };
    return { taskState: 'soft-deleting', actionName: 'delete', kind: 'act-on-server', input };
  });
}
