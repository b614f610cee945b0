import type { Micros } from '../../../lib/clock.ts';
import type { Query } from '../../engine.ts';
import type { ActionEvent } from './actions.ts';

/** What a user asked of a server, as noted. */
export interface ServerAction {
  readonly id: number;
  readonly serverUuid: string;
  readonly action: string;
  readonly requestId: string;
  readonly projectId: string;
  readonly userId: string;
  readonly startedAt: Micros;
  readonly updatedAt: Micros;
  readonly message: string | null;
}

export interface ActionWish {
  /** Request id after which the page begins. */
  readonly marker: string | undefined;
  readonly limit: number;
  readonly changedSince: Micros | undefined;
  readonly changedBefore: Micros | undefined;
}

/** The server's actions, newest first; undefined when the marker is none of them. */
export async function listActions(db: Query, serverUuid: string, wish: ActionWish): Promise<ServerAction[] | undefined> {
  const after = wish.marker === undefined ? undefined : await findActionOf(db, serverUuid, wish.marker);
  if (wish.marker !== undefined && !after) return undefined;
  const rows = await db
    .selectFrom('server_actions')
    .selectAll()
    .where('server_uuid', '=', serverUuid)
    .$if(after !== undefined, (q) => q.where('id', '<', after?.id ?? 0))
    .$if(wish.changedSince !== undefined, (q) => q.where('updated_at', '>=', wish.changedSince ?? 0))
    .$if(wish.changedBefore !== undefined, (q) => q.where('updated_at', '<=', wish.changedBefore ?? 0))
    .orderBy('id', 'desc')
    .limit(wish.limit)
    .execute();
  return rows.map(toAction);
}

export async function findActionOf(db: Query, serverUuid: string, requestId: string): Promise<ServerAction | undefined> {
  const row = await db
    .selectFrom('server_actions')
    .selectAll()
    .where('server_uuid', '=', serverUuid)
    .where('request_id', '=', requestId)
    .orderBy('id', 'desc')
    .executeTakeFirst();
  return row && toAction(row);
}

/** An action's events, newest first as Nova shows them. */
export async function eventsOf(db: Query, actionId: number): Promise<ActionEvent[]> {
  const rows = await db.selectFrom('server_action_events').selectAll().where('action_id', '=', actionId).orderBy('id', 'desc').execute();
  return rows.map((row) => ({
    event: row.event,
    host: row.host,
    startedAt: row.started_at,
    finishedAt: row.finished_at,
    result: row.result as ActionEvent['result'], // written by insertEvents and finishEvents only
    details: row.details,
  }));
}

const toAction = (row: {
  id: number;
  server_uuid: string;
  action: string;
  request_id: string;
  project_id: string;
  user_id: string;
  started_at: number;
  updated_at: number;
  message: string | null;
}): ServerAction => ({
  id: row.id,
  serverUuid: row.server_uuid,
  action: row.action,
  requestId: row.request_id,
  projectId: row.project_id,
  userId: row.user_id,
  startedAt: row.started_at,
  updatedAt: row.updated_at,
  message: row.message,
});
