import { forgetDecisions } from '../../db/tables/compute/decisions.ts';
import { forgetFailedJobs, insertJobs } from '../../db/tables/compute/jobs.ts';
import { faultText, setServer } from '../../db/tables/compute/placing.ts';
import { newRequestId } from '../../lib/ids.ts';
import { jobVanished } from '../../model/errors-conductor.ts';
import { JOBS_RING } from '../../model/jobs.ts';
import { faultOf } from './outcome.ts';
import type { Parts } from './run-job.ts';

const DECISIONS = 100_000;

/** Looks after servers whose task is past its deadline though no job works on them, and forgets what is old. Safe in several processes at once. */
export async function reap(parts: Parts): Promise<void> {
  const { db, clock, log, bus, options } = parts;
  const now = clock.now();
  const late = await db.read
    .selectFrom('servers as s')
    .select(['s.uuid', 's.project_id', 's.user_id', 's.task_state', 's.vm_state'])
    .where('s.task_deadline', '<', now)
    .where('s.deleted', '=', 0)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('jobs as j')
            .select('j.id')
            .whereRef('j.server_uuid', '=', 's.uuid')
            .where('j.status', 'in', ['queued', 'running', 'waiting']),
        ),
      ),
    )
    .limit(100)
    .execute();
  for (const row of late) {
    const server = { uuid: row.uuid, projectId: row.project_id };
    log.warn({ server: row.uuid, task: row.task_state }, 'a task had no job any more');
    await db.transaction(async (tx) => {
      const at = clock.now();
      if (row.task_state === 'deleting') {
        const context = { userId: row.user_id, projectId: row.project_id, roles: [], requestId: newRequestId() };
        const input = { serverUuid: row.uuid, force: false };
        if (await setServer(tx, server, { task_deadline: at + 900_000_000 }, { what: 'deleting', at }))
          await insertJobs(tx, [{ kind: 'delete-server', serverUuid: row.uuid, input, context, now: at }]);
        return;
      }
      const fault = faultText(faultOf(jobVanished({}), at));
      const state = row.vm_state === 'building' ? { vm_state: 'error' } : {};
      await setServer(tx, server, { ...state, task_state: null, task_deadline: null, fault }, { what: 'task-ended', at });
    });
    bus.ring(JOBS_RING);
  }
  await db.transaction(async (tx) => {
    await forgetFailedJobs(tx, now - options.keepFailedJobs * 1_000_000);
    await forgetDecisions(tx, now - options.keepDecisions * 1_000_000, DECISIONS);
    await tx
      .deleteFrom('idempotency_keys')
      .where('created_at', '<', now - options.keepIdempotencyKeys * 1_000_000)
      .execute();
  });
}
