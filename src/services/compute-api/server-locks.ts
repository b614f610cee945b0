import type { Query } from '../../db/engine.ts';
import { findAction, finishAction, insertActions, insertEvents } from '../../db/tables/compute/actions.ts';
import { shareOf, takeQuota } from '../../db/tables/compute/quotas.ts';
import type { Call, Reply } from '../../http/call.ts';
import type { Micros } from '../../lib/clock.ts';
import type { Server } from '../../model/server.ts';
import { locksHaveReasons } from './server-behaviours.ts';
import { jobContext, ownerOf, serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { changeServer, mustAllow } from './server-tasks.ts';

/** Notes an action that was over as soon as it was asked, with the event under it. */
async function noteDone(tx: Query, call: Call, server: Server, action: string, event: string | null, at: Micros): Promise<void> {
  const context = jobContext(call);
  await insertActions(tx, [{ serverUuid: server.uuid, action, context, at }]);
  const id = await findAction(tx, server.uuid, context.requestId);
  if (id === undefined) return;
  if (event !== null)
    await insertEvents(tx, id, [{ event, host: server.host, startedAt: at, finishedAt: at, result: 'Success', details: null }]);
  await finishAction(tx, id, at, null);
}

const isOwner = (call: Call, server: Server) => server.projectId === call.caller.projectId;

/** lock: nobody but admins may act on the server then. An owner's second lock changes nothing.  Spec: compute api-ref "Lock Server". */
export async function lockServer(parts: ServerParts, call: Call<{ lock: unknown }>): Promise<Reply> {
  const wish = locksHaveReasons(call.version) ? (call.body.lock as { locked_reason?: string } | null) : null; // as its shape says
  await changeServer(parts, await serverOf(parts.db.read, call), (server) => {
    const owner = isOwner(call, server);
    if (server.locked && owner) return undefined;
    const lockedBy = owner ? 'owner' : 'admin';
    const reason = wish?.locked_reason ?? server.lockedReason;
    return {
      set: { locked: 1, locked_by: lockedBy, locked_reason: reason },
      what: 'locked',
      also: (tx, at) => noteDone(tx, call, server, 'lock', 'api_lock', at),
    };
  });
  return { status: 202 };
}

/** unlock. Another's lock (an admin's, for the project; the project's, for an admin) is lifted only with the right to override.
 *  Spec: compute api-ref "Unlock Server". */
export async function unlockServer(parts: ServerParts, call: Call): Promise<Reply> {
  await changeServer(parts, await serverOf(parts.db.read, call), (server) => {
    const expected = isOwner(call, server) ? 'owner' : 'admin';
    if (server.lockedBy !== null && server.lockedBy !== expected)
      call.allow(ownerOf(server), 'os_compute_api:os-lock-server:unlock:unlock_override');
    return {
      set: { locked: 0, locked_by: null, locked_reason: null },
      what: 'unlocked',
      also: (tx, at) => noteDone(tx, call, server, 'unlock', 'api_unlock', at),
    };
  });
  return { status: 202 };
}

/** os-resetState: an operator says what the server is. What works on it goes on; only the word of it is set.
 *  Spec: compute api-ref "Reset Server State". */
export async function resetState(parts: ServerParts, call: Call<{ 'os-resetState': { state: 'active' | 'error' } }>): Promise<Reply> {
  const { state } = call.body['os-resetState'];
  await changeServer(parts, await serverOf(parts.db.read, call), (server) => ({
    set: { vm_state: state, task_state: null, task_deadline: null, soft_deleted_at: null },
    what: 'reset',
    body: { vmState: state, taskState: null },
    also: async (tx, at) => {
      // One that was deleted softly gave its quota back; an operator's word stands above the limits.
      if (server.softDeletedAt !== null) await takeQuota(tx, parts.db.kind, server.projectId, shareOf(server.flavor), {});
      await noteDone(tx, call, server, 'resetState', null, at);
    },
  }));
  return { status: 202 };
}

/** injectNetworkInfo: guests learn their addresses from the metadata service whenever they ask, so there is nothing to push to them.
 *  Spec: compute api-ref "Inject Network Information". */
export async function injectNetworkInfo(parts: ServerParts, call: Call): Promise<Reply> {
  mustAllow('injectNetworkInfo', 'injectNetworkInfo', await serverOf(parts.db.read, call), call);
  return { status: 202 };
}
