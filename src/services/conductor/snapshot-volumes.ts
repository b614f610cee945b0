import { findAction, insertEvents } from '../../db/tables/compute/actions.ts';
import { type BlockDeviceRow, blockDevicesOf, volumeDevicesOf } from '../../db/tables/compute/block-devices.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import { CloudError } from '../../model/errors.ts';
import { snapshotNotMade } from '../../model/errors-block-devices.ts';
import { closeAction } from './outcome.ts';
import type { JobSpec, Run, Step } from './run-job.ts';

type SnapshotRun = Run<'snapshot-volumes'>;
interface Notes {
  /** Snapshots by device. */
  readonly made?: Readonly<Record<string, string>>;
}
const notesOf = (run: SnapshotRun) => run.progress.notes as Notes; // only this file writes them
/** Word in a snapshot's metadata that says for which image it was taken. */
const FOR_IMAGE = 'image_id';
const LOOKS = 20;
const PAUSE_MS = 50;

/** Every volume gets a snapshot, and all are there in whole. One that a former self took is found by the image it is for. */
const snapshots: Step<'snapshot-volumes'> = {
  name: 'snapshots',
  async do(run) {
    const { parts, server, job } = run;
    const { volumes, clock, db } = parts;
    const { imageId, imageName } = job.input;
    if (notesOf(run).made === undefined)
      await run.commit(async (tx) => {
        const at = clock.now();
        const action = await findAction(tx, server.uuid, job.context.requestId);
        const event = { host: parts.options.host, startedAt: at, finishedAt: null, result: null, details: null };
        if (action !== undefined) await insertEvents(tx, action, [{ event: 'api_snapshot_instance', ...event }]);
        return { notes: { made: {} } satisfies Notes };
      });
    for (const row of await volumeDevicesOf(db.read, server.uuid)) {
      const { volume_id: volumeId } = row;
      if (volumeId === null) continue;
      const known = (await volumes.snapshotsOf(volumeId)).find((one) => one.metadata[FOR_IMAGE] === imageId);
      const wish = { volumeId, name: `snapshot for ${imageName}`, description: null, force: true, projectId: server.projectId };
      let taken = known ?? (await volumes.createSnapshot({ ...wish, metadata: { [FOR_IMAGE]: imageId } }));
      run.point('snapshots', 'middle');
      for (let look = 0; taken.status === 'creating' && look < LOOKS; look++) {
        await clock.sleep(PAUSE_MS);
        taken = (await volumes.snapshotsOf(volumeId)).find((one) => one.id === taken.id) ?? { ...taken, status: 'gone' };
      }
      if (taken.status === 'creating') {
        await run.commit(async () => ({ to: 'queued', inMs: 1000 }));
        return 'waiting';
      }
      if (taken.status !== 'available') throw snapshotNotMade({ volume: volumeId, status: taken.status });
      await run.commit(async () => ({ notes: { made: { ...notesOf(run).made, [row.uuid]: taken.id } } satisfies Notes }));
    }
    return 'finished';
  },
  undo: (run) => dropSnapshots(run, run.server.uuid, run.job.input.imageId),
};

/** Takes back the snapshots of a server's volumes that were taken for an image. Safe twice. */
export async function dropSnapshots({ parts }: Pick<SnapshotRun, 'parts'>, serverUuid: string, imageId: string): Promise<undefined> {
  for (const { volume_id } of await volumeDevicesOf(parts.db.read, serverUuid)) {
    if (volume_id === null) continue;
    for (const one of await parts.volumes.snapshotsOf(volume_id))
      if (one.metadata[FOR_IMAGE] === imageId && one.status !== 'deleting')
        await parts.volumes.removeSnapshot(one.id).catch((cause) => {
          if (!(cause instanceof CloudError) || cause.kind !== 'notFound') throw cause;
        });
  }
}

/** What an image says of a disk: its snapshot, or how large a blank one is.  Spec: compute guide "Block Device Mapping in Nova". */
const mapped = (row: BlockDeviceRow, snapshot: string | undefined) => ({
  device_name: row.device_name,
  boot_index: row.boot_index,
  source_type: snapshot === undefined ? row.source_type : 'snapshot',
  destination_type: row.destination_type,
  snapshot_id: snapshot ?? null,
  volume_id: null,
  image_id: null,
  volume_size: row.volume_size_gib,
  volume_type: row.volume_type,
  delete_on_termination: row.delete_on_termination === 1,
  disk_bus: row.disk_bus,
  device_type: row.device_type,
  guest_format: row.guest_format,
  tag: row.tag,
  no_device: null,
});

const describe: Step<'snapshot-volumes'> = {
  name: 'image',
  async do(run) {
    const made = notesOf(run).made ?? {};
    const rows = await blockDevicesOf(run.parts.db.read, run.server.uuid);
    const mapping = rows
      .filter((row) => row.destination_type === 'local' || made[row.uuid] !== undefined)
      .map((row) => mapped(row, made[row.uuid]));
    const words = {
      block_device_mapping: JSON.stringify(mapping),
      bdm_v2: 'True',
      root_device_name: run.server.rootDeviceName ?? '/dev/vda',
    };
    await run.parts.images.settle(run.job.input.imageId, words);
    run.point('image', 'middle');
    return 'finished';
  },
};

/** A server on volumes becomes an image: each volume gets a snapshot, and the image, which has no data, names them. When it fails neither stays.
 *  Spec: compute api-ref "Create Image". */
export const snapshotVolumes: JobSpec<'snapshot-volumes'> = {
  steps: [snapshots, describe],
  finish: (run) =>
    run.commit(async (tx) => {
      const at = run.parts.clock.now();
      await setServer(tx, run.server, {}, { what: 'snapshot', at, body: { imageId: run.job.input.imageId } });
      await closeAction(tx, run.job, { at, error: null });
      return { to: 'done' };
    }),
  async fail(run, cause) {
    await run.parts.images.remove(run.job.input.imageId);
    const at = run.parts.clock.now();
    await run.commit(async (tx) => {
      await setServer(tx, run.server, {}, { what: 'action-failed', at, body: { fault: cause.message } });
      await closeAction(tx, run.job, { at, error: cause.message });
      return { to: 'failed' };
    });
  },
};
