import type { Micros } from '../../../lib/clock.ts';
import type { Query } from '../../engine.ts';
import { insertRows } from '../../prepared.ts';

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
