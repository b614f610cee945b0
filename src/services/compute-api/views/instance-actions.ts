import type { ServerAction } from '../../../db/tables/compute/action-reads.ts';
import type { ActionEvent } from '../../../db/tables/compute/actions.ts';
import { from } from '../../../lib/answer.ts';
import { isoMicros } from '../../../lib/clock.ts';
import { hostIdOf } from './server-view.ts';

/** An action without its events.  Spec: compute api-ref "List Actions For Server". */
export const actionView = (action: ServerAction) => ({
  action: action.action,
  instance_uuid: action.serverUuid,
  message: action.message,
  project_id: action.projectId,
  request_id: action.requestId,
  start_time: isoMicros(action.startedAt),
  user_id: action.userId,
  updated_at: from('2.58', isoMicros(action.updatedAt)),
});

/** What the caller may see of an event besides its name, times and result. */
export interface EventSight {
  readonly traceback: boolean;
  readonly host: boolean;
  readonly details: boolean;
}
/** Kilonova keeps no tracebacks for users: the cause stands in `details`.  Spec: compute api-ref "Show Server Action Details". */
export const eventView = (event: ActionEvent, projectId: string, sight: EventSight) => ({
  event: event.event,
  start_time: isoMicros(event.startedAt),
  finish_time: event.finishedAt === null ? null : isoMicros(event.finishedAt),
  result: event.result,
  ...(sight.traceback ? { traceback: null } : {}),
  ...(sight.host ? { host: from('2.62', event.host ?? '') } : {}),
  hostId: from('2.62', () => hostIdOf(projectId, event.host)),
  ...(sight.details ? { details: from('2.84', event.details) } : {}),
});
