import { forgetDecisions } from '../../db/tables/compute/decisions.ts';
import { forgetFailedJobs, insertJobs } from '../../db/tables/compute/jobs.ts';
import { faultText, setServer } from '../../db/tables/compute/placing.ts';
import { giveBackQuota, shareOf } from '../../db/tables/compute/quotas.ts';
import { isNextTask } from '../../db/tables/compute/task-word.ts';
import { newRequestId } from '../../lib/ids.ts';
import { jobVanished } from '../../model/errors-conductor.ts';
import { JOBS_RING, jobDeadlineSeconds } from '../../model/jobs.ts';
import type { Flavor } from '../../model/server.ts';
import { faultOf } from './outcome.ts';
import type { Parts } from './run-job.ts';

const DECISIONS = 100_000;
/** Counts of usage: a year's must be known until the next one's is made. */
const KEEP_COUNTS = 400 * 86_400_000_000;

/** Looks after servers whose task is past its deadline though no job works on them, and forgets what is old. Safe in several processes at once. */
export async function reap(parts: Parts): Promise<void> {
  const { db, clock, log, bus, options } = parts;
  const now = clock.now();
  const late = await db.read
    .selectFrom('servers as s')
    .select(['s.uuid', 's.project_id', 's.user_id', 's.task_state', 's.vm_state', 's.flavor'])
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
      // Whether a rebuild came to its end nobody knows.
      const state = row.vm_state === 'building' || row.task_state?.startsWith('rebuild') ? { vm_state: 'error' } : {};
      const softly = row.task_state === 'restoring' ? { soft_deleted_at: at } : {};
      const set = { ...state, ...softly, task_state: null, task_deadline: null, fault };
      // Still the task that was seen: another may have been asked for meanwhile.
      const seen = row.task_state === null ? { noTask: true as const } : { inTask: row.task_state };
      const own = isNextTask(row.task_state) ? row.task_state : undefined;
      const stands = await setServer(tx, server, set, { what: 'task-ended', at, own, ...seen });
      if (stands && row.task_state === 'restoring') await giveBackQuota(tx, row.project_id, shareOf(JSON.parse(row.flavor) as Flavor)); // servers.ts wrote it
    });
    bus.ring(JOBS_RING);
  }
  if (options.reclaimSeconds > 0) await reclaim(parts);
  await db.transaction(async (tx) => {
    await forgetFailedJobs(tx, now - options.keepFailedJobs * 1_000_000);
    await forgetDecisions(tx, now - options.keepDecisions * 1_000_000, DECISIONS);
    await tx
      .deleteFrom('idempotency_keys')
      .where('created_at', '<', now - options.keepIdempotencyKeys * 1_000_000)
      .execute();
    await tx
      .deleteFrom('task_log')
      .where('touched_at', '<', now - KEEP_COUNTS)
      .execute();
    await tx
      .deleteFrom('volume_usages')
      .where('counted_at', '<', now - KEEP_COUNTS)
      .execute();
  });
}

/** Deletes for good what was deleted softly longer ago than `reclaim_instance_interval`.  Spec: compute guide, reclaim_instance_interval. */
async function reclaim({ db, clock, log, bus, options }: Parts): Promise<void> {
  const before = clock.now() - options.reclaimSeconds * 1_000_000;
  const old = await db.read
    .selectFrom('servers')
    .select(['uuid', 'project_id', 'user_id'])
    .where('soft_deleted_at', '<', before)
    .where('vm_state', '=', 'soft-delete')
    .where('deleted', '=', 0)
    .where('task_state', 'is', null)
    .orderBy('soft_deleted_at')
    .limit(100)
    .execute();
  for (const row of old) {
    const server = { uuid: row.uuid, projectId: row.project_id };
    await db.transaction(async (tx) => {
      const at = clock.now();
      const set = { task_state: 'deleting', task_deadline: at + (jobDeadlineSeconds['delete-server'] + 60) * 1_000_000 };
      if (!(await setServer(tx, server, set, { what: 'deleting', at, vmState: 'soft-delete', noTask: true }))) return;
      const context = { userId: row.user_id, projectId: row.project_id, roles: [], requestId: newRequestId() };
      const input = { serverUuid: row.uuid, force: true };
      await insertJobs(tx, [{ kind: 'delete-server', serverUuid: row.uuid, input, context, now: at }]);
      log.info({ server: row.uuid }, 'a softly deleted server is reclaimed');
    });
  }
  if (old.length > 0) bus.ring(JOBS_RING);
}
