import type { Micros } from '../../../lib/clock.ts';
import type { JobContext } from '../../../model/caller.ts';
import type { Query } from '../../engine.ts';
import { insertRows, prepared } from '../../prepared.ts';

export interface NewAction {
  readonly serverUuid: string;
  /** As in Nova: 'create', 'delete', 'start', 'stop', 'reboot'. */
  readonly action: string;
  readonly context: JobContext;
  readonly at: Micros;
}
export interface ActionEvent {
  /** Nova's names, `compute__do_build_and_run_instance`; ours for the phases of a build: `phase_image`. */
  readonly event: string;
  readonly host: string | null;
  readonly startedAt: Micros;
  readonly finishedAt: Micros | null;
  readonly result: 'Success' | 'Error' | null;
  readonly details: string | null;
}

/** Notes that a user asked something of a server; in the accepting transaction. */
export async function insertActions(tx: Query, actions: readonly NewAction[]): Promise<void> {
  if (actions.length === 0) return;
  const rows = actions.map(({ serverUuid, action, context, at }) => ({
    server_uuid: serverUuid,
    action,
    request_id: context.requestId,
    project_id: context.projectId,
    user_id: context.userId,
    started_at: at,
    finished_at: null,
    updated_at: at,
    message: null,
  }));
  await insertRows(tx, 'server_actions', rows);
}

const newestAction = prepared((db, p: { serverUuid: string; requestId: string }) =>
  db
    .selectFrom('server_actions')
    .select('id')
    .where('server_uuid', '=', p.serverUuid)
    .where('request_id', '=', p.requestId)
    .orderBy('id', 'desc')
    .limit(1),
);

/** The newest action of a server that one request started; undefined when the action was not noted. */
export async function findAction(tx: Query, serverUuid: string, requestId: string): Promise<number | undefined> {
  return (await newestAction(tx, { serverUuid, requestId })).rows[0]?.id;
}

export async function insertEvents(tx: Query, actionId: number, events: readonly ActionEvent[]): Promise<void> {
  if (events.length === 0) return;
  const rows = events.map((event) => ({
    action_id: actionId,
    event: event.event,
    host: event.host,
    started_at: event.startedAt,
    finished_at: event.finishedAt,
    result: event.result,
    details: event.details,
  }));
  await insertRows(tx, 'server_action_events', rows);
}

interface EventsEnd {
  readonly actionId: number;
  readonly at: Micros;
  readonly result: 'Success' | 'Error';
  readonly details: string | null;
}
const finishing = (db: Query, p: EventsEnd) =>
  db
    .updateTable('server_action_events')
    .set({ finished_at: p.at, result: p.result, details: p.details })
    .where('action_id', '=', p.actionId)
    .where('finished_at', 'is', null);
const finishAll = prepared((db, p: EventsEnd) => finishing(db, p));
const finishNamed = prepared((db, p: EventsEnd & { event: string }) => finishing(db, p).where('event', '=', p.event));

/** Ends every event of this name that is still open, and tells how many there were. */
export async function finishEvents(
  tx: Query,
  actionId: number,
  event: string | null,
  end: { at: Micros; result: 'Success' | 'Error'; details: string | null },
): Promise<void> {
  const values = { actionId, ...end };
  await (event === null ? finishAll(tx, values) : finishNamed(tx, { ...values, event }));
}

const endAction = prepared((db, p: { actionId: number; at: Micros; message: string | null }) =>
  db.updateTable('server_actions').set({ finished_at: p.at, updated_at: p.at, message: p.message }).where('id', '=', p.actionId),
);

/** Ends an action. Nova leaves `message` null for a success and writes 'Error' for a failure. */
export async function finishAction(tx: Query, actionId: number, at: Micros, message: string | null): Promise<void> {
  await endAction(tx, { actionId, at, message });
}
