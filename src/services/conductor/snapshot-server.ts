import { setServer } from '../../db/tables/compute/placing.ts';
import { CloudError } from '../../model/errors.ts';
import { askDeed } from './deed-step.ts';
import { closeAction } from './outcome.ts';
import { failAction } from './outcome-task.ts';
import type { JobSpec, Step } from './run-job.ts';

/** A server's disk becomes an image: the agent copies and uploads it, and of backups the oldest go. When it fails the image is taken away and the server is
 *  what it was. */
export const snapshotServer: JobSpec<'snapshot-server'> = {
  get steps() {
    return [upload, rotate];
  },
  finish: (run) =>
    run.commit(async (tx) => {
      const at = run.parts.clock.now();
      await setServer(
        tx,
        run.server,
        { task_state: null, task_deadline: null },
        { what: 'snapshot', at, body: { imageId: run.job.input.imageId } },
      );
      await closeAction(tx, run.job, { at, error: null });
      return { to: 'done' };
    }),
  fail: (run, cause) => failAction(run, cause, {}, { imageId: run.job.input.imageId }),
};

const upload: Step<'snapshot-server'> = {
  name: 'upload',
  async do(run) {
    const { imageId, backup } = run.job.input;
    const said = await askDeed(run, {
      step: 'upload',
      deed: 'snapshot',
      args: { imageId },
      details: { imageId },
      event: backup ? 'compute_backup_instance' : 'compute_snapshot_instance',
      ...(backup ? {} : { set: { task_state: 'image_snapshot' } }),
    });
    return said === 'waiting' ? said : 'finished';
  },
  async undo(run) {
    await run.parts.images.remove(run.job.input.imageId);
    return undefined;
  },
};

/** Backups of the type beyond its rotation go, the oldest first; with a rotation of 0 the new one too.  Spec: compute api-ref "Create Server Back Up". */
const rotate: Step<'snapshot-server'> = {
  name: 'rotate',
  async do(run) {
    const { parts, job } = run;
    const { backup, serverUuid } = job.input;
    if (!backup) return 'finished';
    try {
      const backups = [...(await parts.images.backups(serverUuid, backup.type))].sort((a, b) => b.createdAt - a.createdAt);
      run.point('rotate', 'middle');
      for (const old of backups.slice(backup.rotation).reverse()) await removeOld(run, old.id);
    } catch (cause) {
      if (!(cause instanceof CloudError) || cause.kind !== 'unavailable') throw cause;
      parts.log.warn({ err: cause, server: serverUuid }, 'old backups cannot be looked at; tried again soon');
      await run.commit(async () => ({ to: 'queued', inMs: 2000 }));
      return 'waiting';
    }
    return 'finished';
  },
};

/** A backup that its owner protected stays, and the others go all the same. */
async function removeOld(run: Parameters<typeof rotate.do>[0], id: string): Promise<void> {
  try {
    await run.parts.images.remove(id);
  } catch (cause) {
    if (!(cause instanceof CloudError) || cause.kind === 'unavailable') throw cause;
    run.parts.log.warn({ err: cause, image: id, server: run.job.serverUuid }, 'an old backup could not be removed');
  }
}
