import type { Insertable, Selectable, Updateable } from 'kysely';
import type { Query } from '../../engine.ts';
import { insertRows } from '../../prepared.ts';
import type { BlockDevicesTable } from './tables.ts';

export type BlockDeviceRow = Selectable<BlockDevicesTable>;
export type NewBlockDevice = Insertable<BlockDevicesTable>;

/** Every disk of a server that stands in a table, in the order they were asked for. */
export const blockDevicesOf = (db: Query, serverUuid: string): Promise<BlockDeviceRow[]> =>
  db.selectFrom('block_devices').selectAll().where('server_uuid', '=', serverUuid).orderBy('id').execute();
/** Those that are volumes. */
export const volumeDevicesOf = async (db: Query, serverUuid: string): Promise<BlockDeviceRow[]> =>
  (await blockDevicesOf(db, serverUuid)).filter((row) => row.destination_type === 'volume');
export const findBlockDevice = (db: Query, uuid: string): Promise<BlockDeviceRow | undefined> =>
  db.selectFrom('block_devices').selectAll().where('uuid', '=', uuid).executeTakeFirst();
export const devicesWithVolume = (db: Query, volumeId: string): Promise<BlockDeviceRow[]> =>
  db.selectFrom('block_devices').selectAll().where('volume_id', '=', volumeId).orderBy('id').execute();

export const insertBlockDevices = (tx: Query, rows: readonly NewBlockDevice[]): Promise<number> => insertRows(tx, 'block_devices', rows);
export const setBlockDevice = (tx: Query, uuid: string, set: Updateable<BlockDevicesTable>) =>
  tx.updateTable('block_devices').set(set).where('uuid', '=', uuid).execute();
export const removeBlockDevice = (tx: Query, uuid: string) => tx.deleteFrom('block_devices').where('uuid', '=', uuid).execute();
export const removeBlockDevices = (tx: Query, serverUuid: string) =>
  tx.deleteFrom('block_devices').where('server_uuid', '=', serverUuid).execute();

/** The server's own short list of its volumes, for views that show many servers: it stands in the server's row. */
export const shortList = (rows: readonly Pick<BlockDeviceRow, 'destination_type' | 'volume_id' | 'delete_on_termination'>[]): string =>
  JSON.stringify(
    rows
      .filter((row) => row.destination_type === 'volume')
      .map((row) => ({ volumeId: row.volume_id, deleteOnTermination: row.delete_on_termination === 1 })),
  );
/** Writes that list anew; the caller raises the server's revision in the same transaction. */
export async function refreshShortList(tx: Query, serverUuid: string): Promise<void> {
  const block_devices = shortList(await blockDevicesOf(tx, serverUuid));
  await tx.updateTable('servers').set({ block_devices }).where('uuid', '=', serverUuid).execute();
}

/** The first free name of a guest's disks, '/dev/vdb' and on; 'a' is the root's. */
export function freeDeviceName(taken: Iterable<string | null>, prefix = '/dev/vd'): string {
  const letters = new Set([...taken].map((name) => name?.replace(/^\/dev\//, '').replace(/^[a-z]{2}(?=[a-z])/, '')));
  for (let at = 1; ; at++) {
    const letter =
      at < 26 ? String.fromCharCode(97 + at) : String.fromCharCode(96 + Math.floor(at / 26)) + String.fromCharCode(97 + (at % 26));
    if (!letters.has(letter)) return `${prefix}${letter}`;
  }
}
