import type { AgentReport } from '../../bus/contracts/conductor.ts';
import type { Query } from '../../db/engine.ts';
import type { ActionEvent } from '../../db/tables/compute/actions.ts';

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
