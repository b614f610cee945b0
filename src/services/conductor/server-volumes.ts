import type { Query } from '../../db/engine.ts';
import {
  type BlockDeviceRow,
  blockDevicesOf,
  refreshShortList,
  removeBlockDevices,
  setBlockDevice,
  volumeDevicesOf,
} from '../../db/tables/compute/block-devices.ts';
import { setServer } from '../../db/tables/compute/placing.ts';
import type { GuestVolume, LocalDisk } from '../../hypervisors/driver.ts';
import { CloudError } from '../../model/errors.ts';
import { volumeNotMade } from '../../model/errors-block-devices.ts';
import type { Server } from '../../model/server.ts';
import type { GuestDisks } from './guests.ts';
import type { Run, Step } from './run-job.ts';

/** What the volume service is told of the host that attaches. */
export const connectorOf = (host: string, device: string | null) => ({
  host,
  platform: 'x86_64',
  os_type: 'linux',
  multipath: false,
  ...(device === null ? {} : { mountpoint: device }),
});

export const guestVolume = (row: BlockDeviceRow): GuestVolume => {
  const connection = JSON.parse(row.connection ?? '{}') as { data?: { access_mode?: unknown } }; // as the volume service answered
  return {
    volumeId: row.volume_id ?? '',
    device: row.device_name ?? '',
    bus: row.disk_bus,
    readOnly: connection.data?.access_mode === 'ro',
    bootIndex: row.boot_index,
    tag: row.tag,
    sizeGiB: row.volume_size_gib ?? 0,
    connection,
  };
};
/** The blank disks on its host that a server was asked to have; null: those of its flavor. Others of the flavor stay as they are. */
export function localDisksOf({ flavor }: Pick<Server, 'flavor'>, rows: readonly BlockDeviceRow[]): LocalDisk[] | null {
  const blank = rows.filter((row) => row.destination_type === 'local' && row.source_type === 'blank');
  if (blank.length === 0) return null;
  const swap = blank.find((row) => row.guest_format === 'swap');
  const ephemeral = blank.filter((row) => row !== swap);
  const whole = { format: null, device: null };
  return [
    ...(ephemeral.length === 0 && flavor.ephemeralGiB > 0
      ? [{ kind: 'ephemeral' as const, sizeMiB: flavor.ephemeralGiB * 1024, ...whole }]
      : ephemeral.map((row) => ({
          kind: 'ephemeral' as const,
          sizeMiB: (row.volume_size_gib ?? flavor.ephemeralGiB) * 1024,
          format: row.guest_format,
          device: row.device_name,
        }))),
    // Sizes of swap disks are in MiB.
    ...(swap || flavor.swapMiB > 0
      ? [{ kind: 'swap' as const, sizeMiB: swap?.volume_size_gib ?? flavor.swapMiB, format: null, device: swap?.device_name ?? null }]
      : []),
  ];
}

/** The disks of a server's guest beside its root: volumes that are connected to its host, and blank ones. */
export async function guestDisksOf(db: Query, server: Server): Promise<GuestDisks> {
  if (!hasOwnDisks(server)) return { volumes: [], local: null };
  const rows = await blockDevicesOf(db, server.uuid);
  const joined = rows.filter((row) => row.destination_type === 'volume' && row.connection !== null && row.volume_id !== null);
  return { volumes: joined.map(guestVolume), local: localDisksOf(server, rows) };
}
/** Whether it may have disks in the table. Blank ones are within what the flavor grants. */
export const hasOwnDisks = ({ volumes, flavor }: Pick<Server, 'volumes' | 'flavor'>): boolean =>
  volumes.length > 0 || flavor.ephemeralGiB > 0 || flavor.swapMiB > 0;

const LOOKS = 20;
const PAUSE_MS = 50;
/** Looks at a volume that must go and is still being made: a minute. */
const PATIENCE = 1200;

/** Gets the volumes of a server ready on the host it was placed on: makes those that are to be made, waits for them, and joins all to the host.
 *  Whatever is found written down is not done again; a volume is made under the key of its device, so that it is made once. */
export const readyVolumes: Step<'build-server'> = {
  name: 'volumes',
  atomic: true,
  async do(run) {
    const { parts, server } = run;
    const { db, volumes, clock } = parts;
    if (server.volumes.length === 0 || server.host === null) return 'finished';
    const begun = run.progress.steps.volumes;
    if (begun !== 'started') await run.commit(async () => ({ marks: { volumes: 'started' } }));
    for (const seen of await volumeDevicesOf(db.read, server.uuid)) {
      const row = seen.volume_id === null ? await makeVolume(run, seen) : seen;
      const volumeId = row.volume_id ?? '';
      let volume = await volumes.show(volumeId);
      for (let look = 0; isComing(volume.status) && look < LOOKS; look++) {
        await clock.sleep(PAUSE_MS);
        volume = await volumes.show(volumeId);
      }
      if (isComing(volume.status)) {
        await run.commit(async () => ({ to: 'queued', inMs: 1000 }));
        return 'waiting';
      }
      if (volume.status === 'error') throw volumeNotMade({ id: volumeId, why: 'the block storage service reports an error' });
      const attachment = row.attachment_id ?? (await reserve(run, row, volumeId));
      const connection = await volumes.connect(attachment, connectorOf(server.host, row.device_name));
      await volumes.complete(attachment);
      run.point('volumes', 'middle');
      const at = clock.now();
      const set = { connection: JSON.stringify(connection), volume_size_gib: volume.sizeGiB, updated_at: at };
      await run.commit(async (tx) => {
        await setBlockDevice(tx, row.uuid, set);
        return {};
      });
    }
    return 'finished';
  },
  async undo(run) {
    if (run.server.volumes.length === 0) return undefined;
    const removed = await letGo(run, run.server, (row) => row.source_type !== 'volume', true);
    const at = run.parts.clock.now();
    await run.commit(async (tx) => {
      for (const row of await volumeDevicesOf(tx, run.server.uuid))
        await setBlockDevice(tx, row.uuid, {
          attachment_id: null,
          connection: null,
          ...(removed.has(row.uuid) ? { volume_id: null } : {}),
          updated_at: at,
        });
      await refreshShortList(tx, run.server.uuid);
      await setServer(tx, run.server, {}, { what: 'volumes', at });
      return {};
    });
    return undefined;
  },
};

export const isComing = (status: string) => status === 'creating' || status === 'downloading';

/** The volume of a device: made, or what was made when it was asked for before. */
const askVolume = (parts: Run['parts'], server: Pick<Server, 'uuid' | 'projectId'>, row: BlockDeviceRow) =>
  parts.volumes.create({
    projectId: server.projectId,
    sizeGiB: row.volume_size_gib ?? 1,
    name: row.source_type === 'blank' ? `${server.uuid}-blank-vol` : '',
    description: '',
    key: row.uuid,
    ...(row.source_type === 'image' && row.image_id !== null ? { imageId: row.image_id } : {}),
    ...(row.source_type === 'snapshot' && row.snapshot_id !== null ? { snapshotId: row.snapshot_id } : {}),
    ...(row.volume_type === null ? {} : { type: row.volume_type }),
  });

async function makeVolume(run: Run<'build-server'>, row: BlockDeviceRow): Promise<BlockDeviceRow> {
  const { parts, server } = run;
  const made = await askVolume(parts, server, row);
  const at = parts.clock.now();
  await writtenOr(
    run,
    () => (row.delete_on_termination === 1 ? removeVolume(run, server, made.id) : Promise.resolve()),
    run.commit(async (tx) => {
      await setBlockDevice(tx, row.uuid, { volume_id: made.id, volume_size_gib: made.sizeGiB, updated_at: at });
      await refreshShortList(tx, server.uuid);
      await setServer(tx, server, {}, { what: 'volumes', at });
      return {};
    }),
  );
  return { ...row, volume_id: made.id, volume_size_gib: made.sizeGiB };
}

/** The attachment for a device: one that a former self made and did not come to write down, or a new one. */
async function reserve(run: Run<'build-server'>, row: BlockDeviceRow, volumeId: string): Promise<string> {
  const { parts, server } = run;
  const mine = (await parts.volumes.attachmentsOf(server.uuid)).find((one) => one.volumeId === volumeId);
  const attachment = mine?.id ?? (await parts.volumes.reserve(volumeId, server.uuid));
  await writtenOr(
    run,
    async () => {
      await parts.volumes.release(attachment);
      if (row.delete_on_termination === 1) await removeVolume(run, server, volumeId);
    },
    run.commit(async (tx) => {
      await setBlockDevice(tx, row.uuid, { attachment_id: attachment });
      return {};
    }),
  );
  return attachment;
}

/** Whether the server is on its end; a lease may also be lost to another conductor, which goes on with the build. */
async function isEnding({ parts, server }: Run<'build-server'>): Promise<boolean> {
  const row = await parts.db.read
    .selectFrom('servers')
    .select(['task_state', 'deleted'])
    .where('uuid', '=', server.uuid)
    .executeTakeFirst();
  return row === undefined || row.deleted !== 0 || row.task_state === 'deleting';
}

/** Takes back what was made at another service when it is not ours any more to write it down: the server is being deleted, and whoever deletes it may
 *  have looked before it was there. */
async function writtenOr(run: Run<'build-server'>, takeBack: () => Promise<unknown>, writing: Promise<void>): Promise<void> {
  try {
    await writing;
  } catch (cause) {
    if (cause instanceof CloudError && cause.code === 'job.lease_lost' && (await isEnding(run))) await takeBack().catch(() => undefined);
    throw cause;
  }
}

/** Ends every attachment of a server, those nobody wrote down too, and removes the volumes that go with it and that `own` agrees to.
 *  `begun`: volumes may have been made whose making nobody heard of. Answers the devices whose volumes were removed. Safe twice. */
export async function letGo(
  { parts }: { parts: Run['parts'] },
  server: Pick<Server, 'uuid' | 'projectId'>,
  own: (row: BlockDeviceRow) => boolean,
  begun: boolean,
): Promise<Set<string>> {
  const { db, volumes } = parts;
  const rows = await volumeDevicesOf(db.read, server.uuid);
  const held = await volumes.attachmentsOf(server.uuid);
  for (const id of new Set([...rows.flatMap((row) => row.attachment_id ?? []), ...held.map((one) => one.id)])) await volumes.release(id);
  const removed = new Set<string>();
  for (const row of rows) {
    if (row.delete_on_termination !== 1 || !own(row)) continue;
    const id = row.volume_id ?? (begun && row.source_type !== 'volume' ? await unheardOf(parts, server, row) : null);
    if (id !== null && (await removeVolume({ parts }, server, id))) removed.add(row.uuid);
  }
  return removed;
}

/** The volume of a device that has none written down: asked for again by its key the service answers the one it made, or makes one that goes at once. */
async function unheardOf(parts: Run['parts'], server: Pick<Server, 'uuid' | 'projectId'>, row: BlockDeviceRow): Promise<string | null> {
  try {
    return (await askVolume(parts, server, row)).id;
  } catch (cause) {
    if (!(cause instanceof CloudError) || cause.kind === 'unavailable') throw cause;
    return null; // it was refused then too
  }
}

/** Removes a volume; one that is still being made is waited for. False: it stays, because somebody took a snapshot of it, or has it as well. */
async function removeVolume({ parts }: { parts: Run['parts'] }, server: Pick<Server, 'uuid'>, id: string): Promise<boolean> {
  const { volumes, clock, log } = parts;
  for (let look = 0; ; look++) {
    try {
      await volumes.remove(id);
      return true;
    } catch (cause) {
      if (!(cause instanceof CloudError) || cause.kind !== 'invalid') throw cause;
      // A build that has not heard yet that it is over may just have set the volume aside.
      const held = (await volumes.attachmentsOf(server.uuid)).filter((one) => one.volumeId === id);
      for (const one of held) await volumes.release(one.id);
      const status = await volumes.show(id).then(
        (volume) => volume.status,
        (gone) => {
          if (gone instanceof CloudError && gone.kind === 'notFound') return 'gone';
          throw gone;
        },
      );
      if (status === 'gone' || status === 'deleting') return true;
      if ((isComing(status) && look < PATIENCE) || ((held.length > 0 || status === 'available') && look < LOOKS)) {
        await clock.sleep(PAUSE_MS);
        continue;
      }
      log.warn({ err: cause, server: server.uuid, volume: id }, 'a volume that should go with its server stays');
      return false;
    }
  }
}

/** For the end of a server: its rows go in the transaction that ends it. */
export const dropDevices = (tx: Query, serverUuid: string) => removeBlockDevices(tx, serverUuid);
