import type { Query } from '../../db/engine.ts';
import { FINISHED, type ServerMigration, setMigration } from '../../db/tables/compute/migrations.ts';
import { giveBackExcess, leaveOldPlace } from '../../db/tables/compute/moving.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import type { Micros } from '../../lib/clock.ts';
import type { Job } from '../../model/jobs.ts';
import { powerStates, type Server } from '../../model/server.ts';
import { migrationOf, noteEvents, orderTidying } from './move-steps.ts';
import { closeAction } from './outcome.ts';
import { failAction } from './outcome-task.ts';
import type { JobSpec } from './run-job.ts';

/** The server stays where it moved: claim, group place and quota of what it was go back, and the other host is cleared. All that matters is one transaction. */
export const confirmResize: JobSpec<'confirm-resize'> = {
  steps: [],
  finish: (run) =>
    run.commit(async (tx) => {
      const { job, parts, server } = run;
      const at = parts.clock.now();
      const migration = await migrationOf(tx, job.input.migrationUuid);
      await noteEvents(tx, job, migration.sourceHost, at, { compute_confirm_resize: 'open' });
      await confirmMove(tx, job, server, migration, at);
      const vm_state = server.powerState === powerStates.shutdown ? 'stopped' : 'active';
      await setServer(tx, server, { vm_state, task_state: null, task_deadline: null, fault: null }, { what: 'confirmed', at });
      await closeAction(tx, job, { at, error: null });
      return { to: 'done' };
    }),
  async fail(run, cause) {
    await run.commit(async (tx) => {
      await setMigration(tx, run.job.input.migrationUuid, { status: FINISHED }, run.parts.clock.now());
      return {};
    });
    await failAction(run, cause, {});
  },
};

/** What a confirm gives back: claim, group place and quota of what the server was, and what its old host has of it. */
export async function confirmMove(
  tx: Query,
  job: Pick<Job, 'serverUuid' | 'context'>,
  server: Server,
  migration: ServerMigration,
  at: Micros,
): Promise<void> {
  await leaveOldPlace(tx, server, migration, at);
  await giveBackExcess(tx, server.projectId, migration, server.flavor);
  await setMigration(tx, migration.uuid, { status: 'confirmed' }, at);
  if (migration.sourceHost !== null && migration.sourceHost !== server.host)
    await orderTidying(tx, job, migration.sourceHost, server.epoch, at);
}
