import type { AgentReport } from '../../bus/contracts/conductor.ts';
import type { Query } from '../../db/engine.ts';
import type { ActionEvent } from '../../db/tables/compute/actions.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import type { Micros } from '../../lib/clock.ts';

/** What an agent's work was made of, as events of the action: how long each part took stands in its details, which those see whom the policy lets. */
export const phaseEvents = (phases: AgentReport['phases'], host: string | null): ActionEvent[] =>
  phases.map(({ name, startedAt, finishedAt, details }) => {
    const took = `${((finishedAt - startedAt) / 1_000_000).toFixed(3)} s`;
    return {
      event: `phase_${name}`,
      host,
      startedAt,
      finishedAt,
      result: 'Success',
      details: details === null ? took : `${details}; ${took}`,
    };
  });

/** How far a long part of an action is, in the details of its event that is still open; its end writes over it. */
export async function noteProgress(
  tx: Query,
  serverUuid: string,
  host: string,
  { diskTotal, diskProcessed }: { readonly diskTotal: number; readonly diskProcessed: number },
): Promise<void> {
  if (diskTotal <= 0) return;
  const newest = await tx
    .selectFrom('server_actions')
    .select('id')
    .where('server_uuid', '=', serverUuid)
    .where('finished_at', 'is', null)
    .orderBy('id', 'desc')
    .executeTakeFirst();
  if (!newest) return;
  const percent = Math.min(100, Math.floor((diskProcessed / diskTotal) * 100));
  await tx
    .updateTable('server_action_events')
    .set({ details: `${percent} % of ${diskTotal} bytes` })
    .where('action_id', '=', newest.id)
    .where('host', '=', host)
    .where('finished_at', 'is', null)
    .execute();
}

/** Steps of the percentage a server shows. */
const STEP = 5;
/** The same in the server itself, while a task runs.  Spec: `progress` of a server. Nova's tells of live migrations: how much of the memory is over there. */
export async function showProgress(
  tx: Query,
  serverUuid: string,
  { done, total }: { readonly done: number; readonly total: number },
  at: Micros,
): Promise<void> {
  if (total <= 0) return;
  const progress = Math.min(100, Math.floor(((done / total) * 100) / STEP) * STEP);
  const row = await tx
    .selectFrom('servers')
    .select(['project_id', 'task_state', 'progress'])
    .where('uuid', '=', serverUuid)
    .where('deleted', '=', 0)
    .executeTakeFirst();
  if (!row || row.task_state === null || row.progress === progress) return;
  const server = { uuid: serverUuid, projectId: row.project_id };
  await setServer(tx, server, { progress }, { what: 'progress', at, inTask: row.task_state }); // the task may have ended meanwhile
}
