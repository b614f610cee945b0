import type { Query } from '../../db/engine.ts';
import {
  type BlockDeviceRow,
  findBlockDevice,
  refreshShortList,
  removeBlockDevice,
  setBlockDevice,
} from '../../db/tables/compute/block-devices.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { CloudError } from '../../model/errors.ts';
import { askDeed, askedKey } from './deed-step.ts';
import { closeAction } from './outcome.ts';
import { type JobSpec, type Run, type Step, undoTries } from './run-job.ts';
import { connectorOf, guestVolume } from './server-volumes.ts';

type Kind = 'attach-volume' | 'detach-volume' | 'extend-volume';
const detailsOf = (row: BlockDeviceRow | undefined) => (row?.volume_id ? { volumeId: row.volume_id } : {});
const deviceOf = (run: Run<Kind>): Promise<BlockDeviceRow | undefined> => findBlockDevice(run.parts.db.read, run.job.input.device);

/** Says what became of the server's volumes, in one transaction with the job's end. */
async function end(
  run: Run<Kind>,
  what: string,
  cause: CloudError | null,
  row: BlockDeviceRow | undefined,
  write: (tx: Query) => Promise<unknown>,
): Promise<void> {
  const at = run.parts.clock.now();
  await run.commit(async (tx) => {
    await write(tx);
    await refreshShortList(tx, run.server.uuid);
    await setServer(tx, run.server, {}, { what, at, body: { ...detailsOf(row), ...(cause ? { fault: cause.message } : {}) } });
    await closeAction(tx, run.job, { at, error: cause?.message ?? null });
    return { to: cause ? 'failed' : 'done' };
  });
}

/** Joins the volume to the server's host. A server without a host gets it there when it has one again; the volume is in use from now on all the same. */
const connect: Step<'attach-volume'> = {
  name: 'connect',
  async do(run) {
    const { parts, server } = run;
    const row = await deviceOf(run);
    if (!row?.attachment_id) return 'finished';
    if (server.host === null) {
      await parts.volumes.complete(row.attachment_id);
      return 'finished';
    }
    const connection = await parts.volumes.connect(row.attachment_id, connectorOf(server.host, row.device_name));
    const volume = await parts.volumes.show(row.volume_id ?? '');
    run.point('connect', 'middle');
    await run.commit(async (tx) => {
      await setBlockDevice(tx, row.uuid, { connection: JSON.stringify(connection), volume_size_gib: volume.sizeGiB });
      return {};
    });
    return 'finished';
  },
};
const plug: Step<'attach-volume'> = {
  name: 'plug',
  atomic: true,
  async do(run) {
    const row = await deviceOf(run);
    if (!row?.attachment_id || run.server.host === null) return 'finished';
    const said = await askDeed(run, {
      step: 'plug',
      deed: 'attachVolume',
      args: { volume: guestVolume(row) },
      event: 'compute_attach_volume',
      details: detailsOf(row),
    });
    if (said === 'waiting') return said;
    await run.parts.volumes.complete(row.attachment_id);
    return 'finished';
  },
  async undo(run) {
    const row = await deviceOf(run);
    if (!row?.volume_id || run.progress.notes[askedKey('plug')] === undefined) return undefined;
    const step = `unplug-${undoTries(run, 'plug')}`;
    const ask = { step, deed: 'detachVolume', args: { volumeId: row.volume_id }, unmarked: true } as const;
    const said = await askDeed(run, ask).catch(gone);
    return said === 'waiting' ? said : undefined;
  },
};
/** A host that is down and a guest that is gone hold no volume that anybody could take from them now. */
const gone = (cause: unknown): undefined => {
  if (cause instanceof CloudError && (cause.code === 'host.down' || cause.kind === 'notFound')) return undefined;
  throw cause;
};

/** Gives a running server one more volume. When it fails the volume is free again and the row gone. */
export const attachVolume: JobSpec<'attach-volume'> = {
  steps: [connect, plug],
  finish: async (run) => end(run, 'volume-attached', null, await deviceOf(run), async () => undefined),
  async fail(run, cause) {
    const row = await deviceOf(run);
    if (row?.attachment_id) await run.parts.volumes.release(row.attachment_id);
    await end(run, 'attach-failed', cause, row, (tx) => removeBlockDevice(tx, run.job.input.device));
  },
};

const unplug: Step<'detach-volume'> = {
  name: 'unplug',
  atomic: true,
  async do(run) {
    const row = await deviceOf(run);
    if (!row?.volume_id || run.server.host === null) return 'finished';
    const args = { volumeId: row.volume_id };
    const ask = { step: 'unplug', deed: 'detachVolume', args, event: 'compute_detach_volume', details: args } as const;
    const said = await askDeed(run, ask).catch((cause) => {
      if (cause instanceof CloudError && cause.kind === 'notFound') return undefined; // no guest has it
      throw cause;
    });
    return said === 'waiting' ? said : 'finished';
  },
};
const free: Step<'detach-volume'> = {
  name: 'free',
  async do(run) {
    const row = await deviceOf(run);
    if (row?.attachment_id) await run.parts.volumes.release(row.attachment_id);
    run.point('free', 'middle');
    return 'finished';
  },
};

/** Takes a volume from a server. When the guest does not let go of it, it stays attached and the action says why. */
export const detachVolume: JobSpec<'detach-volume'> = {
  steps: [unplug, free],
  finish: async (run) => end(run, 'volume-detached', null, await deviceOf(run), (tx) => removeBlockDevice(tx, run.job.input.device)),
  async fail(run, cause) {
    const row = await deviceOf(run);
    if (row?.volume_id) await run.parts.volumes.rollDetaching(row.volume_id);
    await end(run, 'detach-failed', cause, row, async () => undefined);
  },
};

const grow: Step<'extend-volume'> = {
  name: 'grow',
  atomic: true,
  async do(run) {
    const row = await deviceOf(run);
    if (!row?.volume_id || run.server.host === null) return 'finished';
    const { sizeGiB } = await run.parts.volumes.show(row.volume_id);
    const args = { volumeId: row.volume_id, sizeGiB };
    const said = await askDeed(run, { step: 'grow', deed: 'extendVolume', args, event: 'compute_extend_volume', details: detailsOf(row) });
    if (said === 'waiting') return said;
    await run.commit(async (tx) => {
      await setBlockDevice(tx, row.uuid, { volume_size_gib: sizeGiB });
      return {};
    });
    return 'finished';
  },
};
/** Lets a guest see that its volume has grown. */
export const extendVolume: JobSpec<'extend-volume'> = {
  steps: [grow],
  finish: async (run) => end(run, 'volume-extended', null, await deviceOf(run), async () => undefined),
  fail: async (run, cause) => end(run, 'extend-failed', cause, await deviceOf(run), async () => undefined),
};
