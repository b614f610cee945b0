import { volumeDevicesOf } from '../../db/tables/compute/block-devices.ts';
import { otherJobs, raiseJob } from '../../db/tables/compute/jobs.ts';
import type { JobSpec, Step } from './run-job.ts';

const AGAIN_MS = 1000;

/** Sees to what a request that died before it was accepted did elsewhere: volumes set aside for a server, or half taken from it, and an image without data.
 *  It waits until nothing else is done to the server, and outlives it. A request that is accepted takes this job away. */
export const settleRequest: JobSpec<'settle-request'> = {
  get steps() {
    return [settle];
  },
  finish: (run) => run.commit(async () => ({ to: 'done' })),
  fail: (run) => run.commit(async () => ({ to: 'failed' })),
};

const settle: Step<'settle-request'> = {
  name: 'settle',
  atomic: true,
  async do(run) {
    const { parts, job } = run;
    const { serverUuid, volumeIds, imageId } = job.input;
    let alone = false;
    await run.commit(async (tx) => {
      alone = !(await otherJobs(tx, serverUuid, job.id));
      if (!alone) return { to: 'queued', inMs: AGAIN_MS };
      await raiseJob(tx, job.id, 0); // from here on others wait for us
      return {};
    });
    if (!alone) return 'waiting';
    if (imageId !== null) await parts.images.remove(imageId);
    if (volumeIds.length === 0) return 'finished';
    const rows = await volumeDevicesOf(parts.db.read, serverUuid);
    const held = await parts.volumes.attachmentsOf(serverUuid);
    for (const id of volumeIds) {
      const own = rows.filter((row) => row.volume_id === id);
      for (const one of held)
        if (one.volumeId === id && !own.some((row) => row.attachment_id === one.id)) {
          parts.log.warn({ server: serverUuid, volume: id }, 'a volume that was set aside for a server by a request that died is let go');
          await parts.volumes.release(one.id);
        }
      if (own.length > 0) await parts.volumes.rollDetaching(id);
    }
    return 'finished';
  },
};
