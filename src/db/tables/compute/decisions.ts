import type { Selectable } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import type { Query } from '../../engine.ts';
import { insertRows } from '../../prepared.ts';
import type { DecisionsTable } from './tables.ts';

export interface NewDecision {
  readonly uuid: string;
  readonly requestId: string;
  readonly projectId: string;
  readonly serverUuid: string;
  readonly attempt: number;
  readonly at: Micros;
  readonly request: object;
  readonly configHash: string;
  readonly feedPosition: number;
  readonly seed: number;
  readonly chosen: object;
  readonly reasons: object;
}

/** Keeps a decision of the scheduler with its reasons. */
export async function insertDecision(tx: Query, decision: NewDecision): Promise<void> {
  await insertRows(tx, 'decisions', [
    {
      uuid: decision.uuid,
      request_id: decision.requestId,
      project_id: decision.projectId,
      server_uuid: decision.serverUuid,
      attempt: decision.attempt,
      decided_at: decision.at,
      request: JSON.stringify(decision.request),
      config_hash: decision.configHash,
      feed_position: decision.feedPosition,
      seed: decision.seed,
      chosen: JSON.stringify(decision.chosen),
      reasons: JSON.stringify(decision.reasons),
    },
  ]);
}

/** Forgets decisions from before a time, and the oldest beyond a number. */
export async function forgetDecisions(tx: Query, before: Micros, keep: number): Promise<void> {
  await tx.deleteFrom('decisions').where('decided_at', '<', before).execute();
  const edge = await tx.selectFrom('decisions').select('id').orderBy('id', 'desc').offset(keep).limit(1).executeTakeFirst();
  if (edge) await tx.deleteFrom('decisions').where('id', '<=', edge.id).execute();
}

/** A decision as it is kept. */
export interface Decision extends Omit<NewDecision, 'request' | 'chosen' | 'reasons'> {
  readonly id: number;
  readonly request: Readonly<Record<string, unknown>>;
  readonly chosen: readonly { readonly host: string; readonly weight: number }[];
  readonly reasons: {
    readonly seen: number;
    readonly filters: readonly {
      readonly name: string;
      readonly before: number;
      readonly after: number;
      readonly reasons: readonly { readonly why: string; readonly hosts: number }[];
    }[];
    readonly nearestMiss: { readonly host: string; readonly why: string } | null;
    readonly smallestChange: string | null;
  };
}
const toDecision = (row: Selectable<DecisionsTable>): Decision => ({
  id: row.id,
  uuid: row.uuid,
  requestId: row.request_id,
  projectId: row.project_id,
  serverUuid: row.server_uuid,
  attempt: row.attempt,
  at: row.decided_at,
  // These columns hold what insertDecision wrote.
  request: JSON.parse(row.request) as Decision['request'],
  configHash: row.config_hash,
  feedPosition: row.feed_position,
  seed: row.seed,
  chosen: JSON.parse(row.chosen) as Decision['chosen'],
  reasons: JSON.parse(row.reasons) as Decision['reasons'],
});

export async function findDecision(db: Query, uuid: string): Promise<Decision | undefined> {
  const row = await db.selectFrom('decisions').selectAll().where('uuid', '=', uuid).executeTakeFirst();
  return row && toDecision(row);
}

/** Decisions about a server, newest first. */
export async function listDecisions(db: Query, serverUuid: string, limit: number): Promise<Decision[]> {
  const rows = await db
    .selectFrom('decisions')
    .selectAll()
    .where('server_uuid', '=', serverUuid)
    .orderBy('id', 'desc')
    .limit(limit)
    .execute();
  return rows.map(toDecision);
}
