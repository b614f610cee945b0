import { type BlockDeviceRow, setBlockDevice, volumeDevicesOf } from '../../db/tables/compute/block-devices.ts';
import { CloudError } from '../../model/errors.ts';
import { volumeNotMade } from '../../model/errors-block-devices.ts';
import { askDeed, askedKey } from './deed-step.ts';
import type { Run, Step } from './run-job.ts';
import { connectorOf, isComing } from './server-volumes.ts';

type RebuildRun = Run<'rebuild-server'>;
/** How far the root volume is. */
interface Notes {
  /** The attachment under which it is set aside meanwhile. */
  readonly setAside?: string;
  readonly reimaging?: boolean;
}
const notesOf = (run: RebuildRun) => run.progress.notes as Notes; // only this file writes them
export const isReimaged = ({ job, progress }: RebuildRun): boolean =>
  job.input.reimage !== undefined && progress.notes[askedKey('off')] !== undefined;
const LOOKS = 20;
const PAUSE_MS = 50;

const rootOf = async (run: RebuildRun): Promise<(BlockDeviceRow & { volume_id: string }) | undefined> => {
  const row = (await volumeDevicesOf(run.parts.db.read, run.server.uuid)).find((one) => one.boot_index === 0);
  return row && row.volume_id !== null ? { ...row, volume_id: row.volume_id } : undefined;
};

/** Nobody writes to the root while an image is written over it. */
export const off: Step<'rebuild-server'> = {
  name: 'off',
  atomic: true,
  async do(run) {
    if (run.job.input.reimage === undefined) return 'finished';
    const said = await askDeed(run, { step: 'off', deed: 'powerOff', args: { graceMs: 0 } }).catch((cause) => {
      if (cause instanceof CloudError && cause.kind === 'notFound') return undefined;
      throw cause;
    });
    return said === 'waiting' ? said : 'finished';
  },
};

/** The root volume gets another image: it is set aside for the server, written anew by the volume service, and joined to the host again. */
export const reimage: Step<'rebuild-server'> = {
  name: 'reimage',
  atomic: true,
  async do(run) {
    const { parts, server, job } = run;
    const { volumes, clock } = parts;
    const imageId = job.input.reimage;
    const row = imageId === undefined ? undefined : await rootOf(run);
    if (imageId === undefined || !row || server.host === null) return 'finished';
    const attachment = notesOf(run).setAside ?? (await setAside(run, row));
    for (const one of await volumes.attachmentsOf(server.uuid))
      if (one.volumeId === row.volume_id && one.id !== attachment) await volumes.release(one.id);
    let volume = await volumes.show(row.volume_id);
    if (!notesOf(run).reimaging) {
      if (!isComing(volume.status)) await volumes.reimage(row.volume_id, imageId);
      run.point('reimage', 'middle');
      await run.commit(async () => ({ notes: { reimaging: true } satisfies Notes }));
      volume = await volumes.show(row.volume_id);
    }
    for (let look = 0; isComing(volume.status) && look < LOOKS; look++) {
      await clock.sleep(PAUSE_MS);
      volume = await volumes.show(row.volume_id);
    }
    if (isComing(volume.status)) {
      await run.commit(async () => ({ to: 'queued', inMs: 2000 })); // the event volume-reimaged wakes it earlier
      return 'waiting';
    }
    if (volume.status === 'error') throw volumeNotMade({ id: row.volume_id, why: 'the image could not be written over it' });
    const connection = await volumes.connect(attachment, connectorOf(server.host, row.device_name));
    await volumes.complete(attachment);
    await run.commit(async (tx) => {
      await setBlockDevice(tx, row.uuid, { connection: JSON.stringify(connection), updated_at: clock.now() });
      return {};
    });
    return 'finished';
  },
};

/** A second attachment of the same server, which becomes the only one. */
async function setAside(run: RebuildRun, row: BlockDeviceRow & { volume_id: string }): Promise<string> {
  const { volumes } = run.parts;
  const held = await volumes.attachmentsOf(run.server.uuid);
  const mine = held.find((one) => one.volumeId === row.volume_id && one.id !== row.attachment_id);
  const attachment = mine?.id ?? (await volumes.reserve(row.volume_id, run.server.uuid));
  await run.commit(async (tx) => {
    await setBlockDevice(tx, row.uuid, { attachment_id: attachment, connection: null });
    return { marks: { reimage: 'started' }, notes: { setAside: attachment } satisfies Notes };
  });
  return attachment;
}
