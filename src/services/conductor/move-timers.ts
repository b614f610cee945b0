import { insertActions } from '../../db/tables/compute/actions.ts';
import { insertJobs } from '../../db/tables/compute/jobs.ts';
import { FINISHED, setMigration, unconfirmedBefore } from '../../db/tables/compute/migrations.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { shelvedBefore } from '../../db/tables/compute/shelves.ts';
import { newRequestId } from '../../lib/ids.ts';
import { JOBS_RING, jobDeadlineSeconds } from '../../model/jobs.ts';
import type { Parts } from './run-job.ts';

const MOST = 100;

/** What time does to servers: an unconfirmed resize is confirmed, a shelved server leaves its host. Safe in several processes at once.
 *  Spec: resize_confirm_window, shelved_offload_time. */
export async function lookAtMoves(parts: Parts): Promise<void> {
  const { db, clock, bus, options } = parts;
  const now = clock.now();
  let begun = 0;
  if (options.resizeConfirmSeconds > 0)
    for (const move of await unconfirmedBefore(db.read, now - options.resizeConfirmSeconds * 1_000_000, MOST)) {
      const { serverUuid, projectId, userId } = move;
      const context = { userId, projectId, roles: [], requestId: newRequestId() };
      await db.transaction(async (tx) => {
        const row = await tx
          .selectFrom('servers')
          .select(['vm_state', 'task_state'])
          .where('uuid', '=', serverUuid)
          .where('deleted', '=', 0)
          .executeTakeFirst();
        if (row?.vm_state !== 'resized' || row.task_state !== null) return;
        if (!(await setMigration(tx, move.uuid, { status: 'confirming' }, now, [FINISHED]))) return;
        await insertActions(tx, [{ serverUuid, action: 'confirmResize', context, at: now }]);
        await insertJobs(tx, [{ kind: 'confirm-resize', serverUuid, input: { serverUuid, migrationUuid: move.uuid }, context, now }]);
        begun++;
      });
    }
  if (options.shelvedOffloadSeconds > 0)
    for (const { uuid, projectId, userId } of await shelvedBefore(db.read, now - options.shelvedOffloadSeconds * 1_000_000, MOST)) {
      const context = { userId, projectId, roles: [], requestId: newRequestId() };
      await db.transaction(async (tx) => {
        const set = { task_state: 'shelving_offloading', task_deadline: now + (jobDeadlineSeconds['offload-server'] + 60) * 1_000_000 };
        if (!(await setServer(tx, { uuid, projectId }, set, { what: 'task', at: now, vmState: 'shelved', noTask: true }))) return;
        await insertActions(tx, [{ serverUuid: uuid, action: 'shelveOffload', context, at: now }]);
        await insertJobs(tx, [{ kind: 'offload-server', serverUuid: uuid, input: { serverUuid: uuid }, context, now }]);
        begun++;
      });
    }
  if (begun > 0) bus.ring(JOBS_RING);
}
