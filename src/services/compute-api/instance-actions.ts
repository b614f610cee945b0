import { eventsOf, findActionOf, listActions } from '../../db/tables/compute/action-reads.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import { nextLink, pageLimit } from './links.ts';
import { actionsArePaged, historyOutlivesServer, ownerSeesEvents } from './server-behaviours.ts';
import { serverOf } from './server-find.ts';
import type { ServerParts } from './server-parts.ts';
import { actionView, eventView } from './views/instance-actions.ts';

/** GET /servers/{id}/os-instance-actions: what was asked of a server, newest first.  Spec: compute api-ref "List Actions For Server". */
export async function listServerActions(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call, { deleted: historyOutlivesServer(call.version) });
  const paged = actionsArePaged(call.version);
  const most = parts.maxLimit ?? 1000;
  const limit = paged ? pageLimit(call, most) : most;
  const marker = paged ? one(call, 'marker') : undefined;
  const changedSince = paged ? timeOf(call, 'changes-since') : undefined;
  const changedBefore = paged ? timeOf(call, 'changes-before') : undefined;
  if (changedSince !== undefined && changedBefore !== undefined && changedSince > changedBefore)
    throw invalidInput({ why: 'The value of changes-since must be less than or equal to changes-before.' });
  const actions = limit === 0 ? [] : await listActions(parts.db.read, server.uuid, { marker, limit, changedSince, changedBefore });
  if (!actions) throw invalidInput({ why: `marker [${marker}] not found` });
  const page = { full: paged && actions.length === limit && limit > 0, marker: actions.at(-1)?.requestId };
  const next = nextLink(call, 'x', `servers/${server.uuid}/os-instance-actions`, page).x_links;
  return { status: 200, body: { instanceActions: actions.map(actionView), ...(next ? { links: next } : {}) } };
}

/** GET /servers/{id}/os-instance-actions/{request id}, with its events where the caller may see them.  Spec: compute api-ref "Show Server Action Details". */
export async function showServerAction(parts: ServerParts, call: Call): Promise<Reply> {
  const server = await serverOf(parts.db.read, call, { deleted: historyOutlivesServer(call.version) });
  const requestId = call.params.requestId ?? '';
  const action = await findActionOf(parts.db.read, server.uuid, requestId);
  if (!action)
    throw new CloudError('action.not_found', 'notFound', `Action for request_id ${requestId} on instance ${server.uuid} not found`, {
      requestId,
    });
  const target = { project_id: server.projectId, user_id: server.userId };
  const trusted = call.allows('os_compute_api:os-instance-actions:events', target);
  const sight = { traceback: trusted, host: trusted, details: call.allows('os_compute_api:os-instance-actions:events:details', target) };
  const seesEvents = trusted || ownerSeesEvents(call.version);
  const events = seesEvents
    ? (await eventsOf(parts.db.read, action.id)).map((event) => eventView(event, server.projectId, sight))
    : undefined;
  return { status: 200, body: { instanceAction: { ...actionView(action), events } } };
}

function timeOf(call: Call, word: string): number | undefined {
  const text = one(call, word);
  return text === undefined ? undefined : Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(text) ? text : `${text}Z`) * 1000;
}
