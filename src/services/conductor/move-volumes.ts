import type { Query } from '../../db/engine.ts';
import { type BlockDeviceRow, blockDevicesOf, setBlockDevice, volumeDevicesOf } from '../../db/tables/compute/block-devices.ts';
import type { Micros } from '../../lib/clock.ts';
import { CloudError } from '../../model/errors.ts';
import type { JobKind } from '../../model/jobs.ts';
import type { GuestDisks } from './guests.ts';
import { leaves, type Run, type Step } from './run-job.ts';
import { connectorOf, guestVolume, hasOwnDisks, localDisksOf } from './server-volumes.ts';

/** Hosts a server goes from and to; null: it is on none. */
interface Way {
  readonly from: string | null;
  readonly to: string | null;
  /** It has arrived: there is no way back. */
  readonly arrived?: boolean;
}
/** An attachment for the host it goes to, beside the one it has. */
interface Taken {
  readonly attachment: string;
  /** Null: set aside only. */
  readonly connection: Readonly<Record<string, unknown>> | null;
}
const takenOf = (run: Run): Readonly<Record<string, Taken>> => (run.progress.notes.volumes ?? {}) as Record<string, Taken>; // only this file writes them
type VolumeRow = BlockDeviceRow & { readonly volume_id: string };
const rowsOf = async (run: Run): Promise<VolumeRow[]> =>
  run.server.volumes.length === 0
    ? []
    : (await volumeDevicesOf(run.parts.db.read, run.server.uuid)).filter((row): row is VolumeRow => row.volume_id !== null);

/** Joins a server's volumes to the host it goes to as well, under attachments of their own; undone, it has those of before alone. */
export const takeVolumes = <K extends JobKind>(wayOf: (run: Run<K>) => Way | Promise<Way>): Step<K> => ({
  name: 'volumes',
  async do(run) {
    const { volumes } = run.parts;
    const { from, to } = await wayOf(run);
    const rows = await rowsOf(run);
    if (rows.length === 0 || from === to) return 'finished';
    const held = await volumes.attachmentsOf(run.server.uuid);
    for (const row of rows) {
      if (takenOf(run)[row.uuid]) continue;
      // One that a former self made and did not come to note, or a new one.
      const mine = held.find((one) => one.volumeId === row.volume_id && one.id !== row.attachment_id);
      const attachment = mine?.id ?? (await volumes.reserve(row.volume_id, run.server.uuid));
      const connection = to === null ? null : await volumes.connect(attachment, connectorOf(to, row.device_name));
      run.point('volumes', 'middle');
      await run.commit(async () => ({ notes: { volumes: { ...takenOf(run), [row.uuid]: { attachment, connection } } } }));
    }
    return 'finished';
  },
  async undo(run) {
    const { volumes } = run.parts;
    const { from, to, arrived } = await wayOf(run);
    const rows = await rowsOf(run);
    if (rows.length === 0 || arrived || from === to) return undefined;
    const held = await volumes.attachmentsOf(run.server.uuid);
    for (const row of rows) {
      const there = held.some((one) => one.id === row.attachment_id);
      // It may have let go of its old one already.
      if (!there) {
        const attachment = await volumes.reserve(row.volume_id, run.server.uuid).catch((cause) => {
          // Somebody else has it by now, or it is gone: the server goes back without it.
          if (!(cause instanceof CloudError) || !['invalid', 'notFound', 'conflict'].includes(cause.kind)) throw cause;
          run.parts.log.error(
            { err: cause, server: run.server.uuid, volume: row.volume_id },
            'a volume of a server that comes back is lost to it',
          );
          return null;
        });
        if (attachment === null) continue;
        const connection = from === null ? null : await volumes.connect(attachment, connectorOf(from, row.device_name));
        if (from !== null) await volumes.complete(attachment);
        await run.commit(async (tx) => {
          await setBlockDevice(tx, row.uuid, { attachment_id: attachment, connection: connection && JSON.stringify(connection) });
          return {};
        });
      }
      for (const one of held) if (one.volumeId === row.volume_id && one.id !== row.attachment_id) await volumes.release(one.id);
    }
    return undefined;
  },
});

/** The server has arrived: its volumes are in use there, and let go of by the host it left. A service that does not answer is waited for. */
export const keepVolumes = <K extends JobKind>(): Step<K> => ({
  name: 'joined',
  async do(run) {
    const { volumes, log } = run.parts;
    try {
      for (const row of await rowsOf(run)) {
        const taken = takenOf(run)[row.uuid];
        if (!taken) continue;
        if (taken.connection !== null) await volumes.complete(taken.attachment);
        if (row.attachment_id !== null && row.attachment_id !== taken.attachment) await volumes.release(row.attachment_id);
        run.point('joined', 'middle');
      }
    } catch (cause) {
      if (leaves(cause) || !(cause instanceof CloudError)) throw cause;
      log.warn({ err: cause, server: run.server.uuid }, 'volumes of a server that moved cannot be settled yet');
      await run.commit(async () => ({ to: 'queued', inMs: 2000 }));
      return 'waiting';
    }
    return 'finished';
  },
});

/** Writes that down, in the transaction that ends the move. */
export async function writeVolumes(tx: Query, run: Run, at: Micros): Promise<void> {
  for (const [device, { attachment, connection }] of Object.entries(takenOf(run)))
    await setBlockDevice(tx, device, {
      attachment_id: attachment,
      connection: connection && JSON.stringify(connection),
      updated_at: at,
    });
}

/** The disks of the guest as the host it goes to has them. */
export async function disksThere(run: Run): Promise<GuestDisks> {
  if (!hasOwnDisks(run.server)) return { volumes: [], local: null };
  const taken = takenOf(run);
  const rows = await blockDevicesOf(run.parts.db.read, run.server.uuid);
  const joined = rows.map((row) => {
    const connection = taken[row.uuid]?.connection;
    return connection ? { ...row, connection: JSON.stringify(connection) } : row;
  });
  const volumes = joined.filter((row) => row.volume_id !== null && row.connection !== null).map(guestVolume);
  return { volumes, local: localDisksOf(run.server, rows) };
}
