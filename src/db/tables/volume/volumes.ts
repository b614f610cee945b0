import type { Selectable, Updateable } from 'kysely';
import type { Query } from '../../engine.ts';
import type {
  VolumeAttachmentsTable,
  VolumeMessagesTable,
  VolumeSnapshotsTable,
  VolumesTable,
  VolumeTasksTable,
  VolumeTypesTable,
} from './tables.ts';

export type VolumeRow = Selectable<VolumesTable>;
export type SnapshotRow = Selectable<VolumeSnapshotsTable>;
export type AttachmentRow = Selectable<VolumeAttachmentsTable>;
export type TypeRow = Selectable<VolumeTypesTable>;
export type TaskRow = Selectable<VolumeTasksTable>;
export type MessageRow = Selectable<VolumeMessagesTable>;

export const findVolume = (db: Query, uuid: string): Promise<VolumeRow | undefined> =>
  db.selectFrom('volumes').selectAll().where('uuid', '=', uuid).executeTakeFirst();
export const findSnapshot = (db: Query, uuid: string): Promise<SnapshotRow | undefined> =>
  db.selectFrom('volume_snapshots').selectAll().where('uuid', '=', uuid).executeTakeFirst();
export const findAttachment = (db: Query, uuid: string): Promise<AttachmentRow | undefined> =>
  db.selectFrom('volume_attachments').selectAll().where('uuid', '=', uuid).executeTakeFirst();

/** Changes a volume that stands in one of these states ('any': whatever it is). One conditional statement; false when it does not. */
export async function moveVolume(
  tx: Query,
  uuid: string,
  from: readonly string[] | 'any',
  set: Updateable<VolumesTable>,
): Promise<boolean> {
  const update = tx.updateTable('volumes').set(set).where('uuid', '=', uuid);
  const done = await (from === 'any' ? update : update.where('status', 'in', [...from])).executeTakeFirst();
  return done.numUpdatedRows > 0n;
}
/** The same for a snapshot. */
export async function moveSnapshot(
  tx: Query,
  uuid: string,
  from: readonly string[] | 'any',
  set: Updateable<VolumeSnapshotsTable>,
): Promise<boolean> {
  const update = tx.updateTable('volume_snapshots').set(set).where('uuid', '=', uuid);
  const done = await (from === 'any' ? update : update.where('status', 'in', [...from])).executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** Attachments of these volumes, oldest first. */
export const attachmentsOf = (db: Query, volumes: readonly string[]): Promise<AttachmentRow[]> =>
  volumes.length === 0
    ? Promise.resolve([])
    : db
        .selectFrom('volume_attachments')
        .selectAll()
        .where('volume_uuid', 'in', [...volumes])
        .orderBy('id')
        .execute();

/** What a volume's attachments make of it. */
export const statusOf = (attachments: readonly Pick<AttachmentRow, 'status'>[]): string => {
  const has = (status: string) => attachments.some((one) => one.status === status);
  return has('attaching') ? 'attaching' : has('reserved') ? 'reserved' : has('attached') ? 'in-use' : 'available';
};
