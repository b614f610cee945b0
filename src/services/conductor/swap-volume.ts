import { findBlockDevice, refreshShortList, setBlockDevice } from '../../db/tables/compute/block-devices.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import type { GuestVolume } from '../../hypervisors/driver.ts';
import { CloudError } from '../../model/errors.ts';
import { volumeNotAttached } from '../../model/errors-block-devices.ts';
import { askDeed, askedKey, type SaidNote, saidKey } from './deed-step.ts';
import { closeAction } from './outcome.ts';
import { type JobSpec, type Run, type Step, undoTries } from './run-job.ts';
import { connectorOf, guestVolume } from './server-volumes.ts';

type SwapRun = Run<'swap-volume'>;
/** Both volumes as the guest knows them, written down before anything is swapped. */
interface SwapNotes {
  readonly old?: GuestVolume;
  readonly fresh?: GuestVolume;
  /** Of a volume that its service moves: it goes on under this id. */
  readonly keptAs?: string;
}
const notesOf = (run: SwapRun) => run.progress.notes as SwapNotes; // only this file writes them
const body = ({ job }: SwapRun) => ({ oldVolumeId: job.input.oldVolumeId, newVolumeId: job.input.newVolumeId });

const connect: Step<'swap-volume'> = {
  name: 'connect',
  async do(run) {
    const { parts, server, job } = run;
    const row = await findBlockDevice(parts.db.read, job.input.device);
    if (!row || server.host === null) throw volumeNotAttached({ server: server.uuid, volume: job.input.oldVolumeId });
    const connection = await parts.volumes.connect(job.input.newAttachment, connectorOf(server.host, row.device_name));
    const { sizeGiB, migrationStatus } = await parts.volumes.show(job.input.newVolumeId);
    run.point('connect', 'middle');
    const fresh = guestVolume({
      ...row,
      // A volume that its service moves goes on under the id it had, for the guest's host too.
      volume_id: migrationStatus === `target:${job.input.oldVolumeId}` ? job.input.oldVolumeId : job.input.newVolumeId,
      connection: JSON.stringify(connection),
      volume_size_gib: sizeGiB,
    });
    await run.commit(async () => ({ notes: { old: guestVolume(row), fresh } satisfies SwapNotes }));
    return 'finished';
  },
};

const swap: Step<'swap-volume'> = {
  name: 'swap',
  atomic: true,
  async do(run) {
    const { fresh } = notesOf(run);
    const { oldVolumeId, newAttachment } = run.job.input;
    if (!fresh) throw volumeNotAttached({ server: run.server.uuid, volume: oldVolumeId });
    const args = { oldVolumeId, volume: { ...fresh } };
    const said = await askDeed(run, { step: 'swap', deed: 'swapVolume', args, event: 'compute_swap_volume', details: body(run) });
    if (said === 'waiting') return said;
    await run.parts.volumes.complete(newAttachment);
    return 'finished';
  },
  /** The old one comes back, whatever the host did. When it said that it could not swap, it has the old one still, and cannot swap back either. */
  async undo(run) {
    const { old } = notesOf(run);
    if (!old || run.progress.notes[askedKey('swap')] === undefined) return undefined;
    const refused = (run.progress.notes[saidKey('swap')] as SaidNote | undefined)?.error != null; // only server-reports.ts writes it
    const args = { oldVolumeId: run.job.input.newVolumeId, volume: { ...old } };
    const step = `swap-back-${undoTries(run, 'swap')}`;
    const said = await askDeed(run, { step, deed: 'swapVolume', args, unmarked: true }).catch((cause) => {
      const gone = cause instanceof CloudError && (cause.code === 'host.down' || cause.kind === 'notFound');
      if (gone || (refused && run.progress.notes[saidKey(step)] !== undefined)) return undefined;
      throw cause;
    });
    return said === 'waiting' ? said : undefined;
  },
};

/** The old volume is let go; one that its service moves goes on under the id it had. */
const free: Step<'swap-volume'> = {
  name: 'free',
  async do(run) {
    const { volumes, log } = run.parts;
    const { oldVolumeId, oldAttachment, newVolumeId } = run.job.input;
    try {
      await volumes.release(oldAttachment);
      run.point('free', 'middle');
      const moved = (await volumes.show(newVolumeId)).migrationStatus === `target:${oldVolumeId}`;
      if (moved) {
        const keptAs = await volumes.completeMigration(oldVolumeId, newVolumeId);
        await run.commit(async () => ({ notes: { keptAs } satisfies SwapNotes }));
      }
    } catch (cause) {
      // The guest has the new one: there is no way back from here, only later.
      if (cause instanceof CloudError && (cause.code === 'job.lease_lost' || cause.code.startsWith('database.'))) throw cause;
      log.warn({ err: cause, server: run.server.uuid, volume: oldVolumeId }, 'a volume that was swapped out cannot be let go yet');
      await run.commit(async () => ({ to: 'queued', inMs: 2000 }));
      return 'waiting';
    }
    return 'finished';
  },
};

/** Puts another volume in the place of one that a server has. When it fails the old one is there as before and the new one free.
 *  Spec: compute api-ref "Update a volume attachment". */
export const swapVolume: JobSpec<'swap-volume'> = {
  steps: [connect, swap, free],
  async finish(run) {
    const at = run.parts.clock.now();
    const { device, newVolumeId, newAttachment } = run.job.input;
    const { fresh, keptAs } = notesOf(run);
    await run.commit(async (tx) => {
      await setBlockDevice(tx, device, {
        volume_id: keptAs ?? newVolumeId,
        attachment_id: newAttachment,
        connection: JSON.stringify(fresh?.connection ?? {}),
        volume_size_gib: fresh?.sizeGiB ?? null,
        updated_at: at,
      });
      await refreshShortList(tx, run.server.uuid);
      await setServer(tx, run.server, {}, { what: 'volume-swapped', at, body: body(run) });
      await closeAction(tx, run.job, { at, error: null });
      return { to: 'done' };
    });
  },
  async fail(run, cause) {
    const { oldVolumeId, newAttachment } = run.job.input;
    await run.parts.volumes.release(newAttachment);
    await run.parts.volumes.rollDetaching(oldVolumeId);
    const at = run.parts.clock.now();
    await run.commit(async (tx) => {
      await setServer(tx, run.server, {}, { what: 'swap-failed', at, body: { ...body(run), fault: cause.message } });
      await closeAction(tx, run.job, { at, error: cause.message });
      return { to: 'failed' };
    });
  },
};
