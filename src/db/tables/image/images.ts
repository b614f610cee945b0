import type { Insertable, Selectable, Updateable } from 'kysely';
import type { DiskFormat, Image, ImageStatus, Visibility } from '../../../model/image.ts';
import type { Query } from '../../engine.ts';
import type { ImagesTable } from './tables.ts';

export type ImageRow = Selectable<ImagesTable>;
/** An image with the key of its row, by which tags, properties and members hang on it. */
export interface KeyedImage {
  readonly key: number;
  readonly seeded: boolean;
  readonly image: Image;
}

/** Rows as images, each with its properties and tags; in the given order. */
export async function imagesOf(q: Query, rows: readonly ImageRow[]): Promise<KeyedImage[]> {
  if (rows.length === 0) return [];
  const keys = rows.map((row) => row.id);
  const properties = await q.selectFrom('image_properties').selectAll().where('image_id', 'in', keys).orderBy('name').execute();
  const tags = await q.selectFrom('image_tags').selectAll().where('image_id', 'in', keys).orderBy('tag').execute();
  const propertiesOf = Map.groupBy(properties, (property) => property.image_id);
  const tagsOf = Map.groupBy(tags, (tag) => tag.image_id);
  return rows.map((row) => ({
    key: row.id,
    seeded: row.seeded === 1,
    image: {
      id: row.uuid,
      name: row.name,
      status: row.status as ImageStatus, // only these are ever written
      visibility: row.visibility as Visibility,
      owner: row.owner,
      diskFormat: row.disk_format as DiskFormat | null,
      containerFormat: row.container_format,
      protected: row.protected === 1,
      hidden: row.os_hidden === 1,
      minDiskGiB: row.min_disk,
      minMemoryMiB: row.min_ram,
      sizeBytes: row.size,
      virtualSizeBytes: row.virtual_size,
      checksum: row.checksum,
      hashAlgo: row.os_hash_algo,
      hashValue: row.os_hash_value,
      properties: Object.fromEntries((propertiesOf.get(row.id) ?? []).map(({ name, value }) => [name, value])),
      tags: (tagsOf.get(row.id) ?? []).map(({ tag }) => tag),
      createdAt: row.created_at,
      updatedAt: row.updated_at,
    },
  }));
}

/** The living image of that id, or undefined. */
export async function findImage(q: Query, id: string): Promise<KeyedImage | undefined> {
  const row = await q.selectFrom('images').selectAll().where('uuid', '=', id).where('deleted', '=', 0).executeTakeFirst();
  return row && (await imagesOf(q, [row]))[0];
}

/** Whether the id was ever given, to a living image or a deleted one. */
export async function imageIdTaken(q: Query, id: string): Promise<boolean> {
  return (await q.selectFrom('images').select('id').where('uuid', '=', id).executeTakeFirst()) !== undefined;
}

/** Takes the row for the rest of the transaction, so that what is read next stays true; false when there is no such living image. */
export async function lockImage(tx: Query, id: string, now: number): Promise<boolean> {
  const done = await tx.updateTable('images').set({ updated_at: now }).where('uuid', '=', id).where('deleted', '=', 0).executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** Writes a new image. Fails on the unique key when the id was given before. */
export async function insertImage(tx: Query, image: Image, more: { upload?: string; seeded?: boolean } = {}): Promise<void> {
  const values: Insertable<ImagesTable> = {
    uuid: image.id,
    ...columnsOf(image),
    size: image.sizeBytes,
    virtual_size: image.virtualSizeBytes,
    checksum: image.checksum,
    os_hash_algo: image.hashAlgo,
    os_hash_value: image.hashValue,
    upload: more.upload ?? null,
    seeded: more.seeded ? 1 : 0,
    created_at: image.createdAt,
    deleted: 0,
    deleted_at: null,
    status: image.status,
  };
  await tx.insertInto('images').values(values).execute();
  const { id } = await tx.selectFrom('images').select('id').where('uuid', '=', image.id).executeTakeFirstOrThrow();
  await writeProperties(tx, id, image.properties);
  await writeTags(tx, id, image.tags);
}

/** Writes what users may change: everything but status and the facts about the data. */
export async function updateImage(tx: Query, key: number, image: Image): Promise<void> {
  await tx.updateTable('images').set(columnsOf(image)).where('id', '=', key).execute();
  await tx.deleteFrom('image_properties').where('image_id', '=', key).execute();
  await tx.deleteFrom('image_tags').where('image_id', '=', key).execute();
  await writeProperties(tx, key, image.properties);
  await writeTags(tx, key, image.tags);
}

const columnsOf = (image: Image) => ({
  name: image.name,
  visibility: image.visibility,
  owner: image.owner,
  disk_format: image.diskFormat,
  container_format: image.containerFormat,
  protected: image.protected ? 1 : 0,
  os_hidden: image.hidden ? 1 : 0,
  min_disk: image.minDiskGiB,
  min_ram: image.minMemoryMiB,
  updated_at: image.updatedAt,
});

async function writeProperties(tx: Query, key: number, properties: Readonly<Record<string, string>>) {
  const rows = Object.entries(properties).map(([name, value]) => ({ image_id: key, name, value }));
  if (rows.length > 0) await tx.insertInto('image_properties').values(rows).execute();
}

async function writeTags(tx: Query, key: number, tags: readonly string[]) {
  const rows = [...new Set(tags)].map((tag) => ({ image_id: key, tag }));
  if (rows.length > 0) await tx.insertInto('image_tags').values(rows).execute();
}

/** Moves the image on only if it still is where the caller thinks: one conditional statement decides among those who try at once. */
export async function moveImage(
  tx: Query,
  id: string,
  from: { status: readonly ImageStatus[]; upload?: string },
  to: Updateable<ImagesTable>,
): Promise<boolean> {
  let query = tx.updateTable('images').set(to).where('uuid', '=', id).where('deleted', '=', 0).where('status', 'in', from.status);
  if (from.upload !== undefined) query = query.where('upload', '=', from.upload);
  return (await query.executeTakeFirst()).numUpdatedRows > 0n;
}

/** Marks the image deleted and drops what hangs on it. False when it was gone already. */
export async function deleteImage(tx: Query, id: string, now: number): Promise<boolean> {
  const row = await tx.selectFrom('images').select('id').where('uuid', '=', id).executeTakeFirst();
  const done = await tx
    .updateTable('images')
    .set({ deleted: 1, deleted_at: now, updated_at: now, status: 'deleted', upload: null })
    .where('uuid', '=', id)
    .where('deleted', '=', 0)
    .executeTakeFirst();
  if (!row || done.numUpdatedRows === 0n) return false;
  for (const table of ['image_properties', 'image_tags', 'image_members'] as const)
    await tx.deleteFrom(table).where('image_id', '=', row.id).execute();
  return true;
}

/** Images the cloud itself put there under that name, newest first. */
export async function seededImages(q: Query, name: string, owner: string): Promise<KeyedImage[]> {
  const rows = await q
    .selectFrom('images')
    .selectAll()
    .where('name', '=', name)
    .where('owner', '=', owner)
    .where('seeded', '=', 1)
    .where('deleted', '=', 0)
    .orderBy('id', 'desc')
    .execute();
  return imagesOf(q, rows);
}
