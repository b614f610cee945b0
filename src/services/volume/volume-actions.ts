import type { Updateable } from 'kysely';
import { giveVolumeQuota, readVolumeQuotas, takeVolumeQuota } from '../../db/tables/volume/quotas.ts';
import type { VolumesTable } from '../../db/tables/volume/tables.ts';
import { attachmentsOf, moveSnapshot, moveVolume, type VolumeRow } from '../../db/tables/volume/volumes.ts';
import type { Call, Reply } from '../../http/call.ts';
import { isoMicros } from '../../lib/clock.ts';
import { invalidInput } from '../../model/errors.ts';
import {
  volumeFormatNeedsTool,
  volumeInput,
  volumeInvalid,
  volumeMetadataNotFound,
  volumeMigrationRefused,
  volumeNotFound,
  volumeRetypeRefused,
  volumeSizeExceedsLimit,
  volumeSnapshotNotFound,
} from '../../model/errors-volume.ts';
import { DISK_FORMATS, type DiskFormat } from '../../model/image.ts';
import { lockVolume } from './attaching.ts';
import { isMultiattach, readFlag, seenType, seenVolume, wordsOf } from './find.ts';
import { findEncryption } from './luks.ts';
import { extendsInUse, uploadsNameVisibility } from './microversions.ts';
import type { VolumeParts } from './parts.ts';
import type { Reset, Upload, Words } from './shapes.ts';

const ACCEPTED: Reply = { status: 202 };
const DONE: Reply = { status: 200 };
const typeName = async (parts: VolumeParts, row: VolumeRow): Promise<string> =>
  (await parts.db.read.selectFrom('volume_types').select('name').where('uuid', '=', row.type_uuid).executeTakeFirst())?.name ??
  row.type_uuid;

/** Makes a volume larger; one in use too, from 3.42 on. Throws volumeInput, volumeInvalid (400), volumeGigabytesExceeded (413). */
export async function extendVolume(parts: VolumeParts, call: Call<{ 'os-extend': { new_size: number | string } }>): Promise<Reply> {
  const { db, clock, tasks } = parts;
  const row = await seenVolume(parts, call);
  const size = Number(call.body['os-extend'].new_size);
  const limit = (await readVolumeQuotas(db.read, row.project_id)).per_volume_gigabytes?.limit ?? -1;
  if (limit >= 0 && size > limit) throw volumeSizeExceedsLimit({ size, limit });
  const type = await typeName(parts, row);
  const now = clock.now();
  const inUse = extendsInUse(call.version);
  const task = await db.transaction(async (tx) => {
    const locked = await lockVolume(tx, row.uuid, now);
    if (!locked) throw volumeNotFound({ id: row.uuid });
    if (locked.status !== 'available' && !(inUse && locked.status === 'in-use'))
      throw volumeInvalid({
        why: `Volume ${row.uuid} status must be ('available'${inUse ? ", 'in-use'" : ''}) to extend, currently ${locked.status}.`,
      });
    if (size <= locked.size)
      throw volumeInput({ why: `New size for extend must be greater than current size. (current: ${locked.size}, extended: ${size}).` });
    await takeVolumeQuota(tx, db.kind, row.project_id, [
      ['gigabytes', size - locked.size],
      [`gigabytes_${type}`, size - locked.size],
    ]);
    const attachments = locked.status === 'in-use' ? await attachmentsOf(tx, [row.uuid]) : [];
    const servers = attachments.flatMap((one) => (one.server_uuid === null ? [] : [one.server_uuid]));
    await moveVolume(tx, row.uuid, 'any', { status: 'extending', previous_status: locked.status });
    return tasks.add(tx, { kind: 'extend-volume', target: row.uuid, size, servers });
  });
  tasks.begin(task);
  return ACCEPTED;
}

const STATUSES = new Set(
  'creating available deleting error error_deleting attaching detaching in-use maintenance reserved error_extending error_restoring error_managing'.split(
    ' ',
  ),
);
const ATTACH_STATUSES = new Set(['attached', 'detached', 'reserved', 'attaching', 'detaching', 'error_attaching', 'error_detaching']);

const MIGRATION_STATUSES = new Set(['migrating', 'error', 'success', 'completing', 'none', 'starting']);

/** Says what a volume's state is, whatever it was: the operator's word. `attach_status` detached forgets its attachments. */
export async function resetStatus(parts: VolumeParts, call: Call<{ 'os-reset_status': Reset }>): Promise<Reply> {
  const row = await seenVolume(parts, call);
  const { status, attach_status, migration_status } = call.body['os-reset_status'];
  if (!status && !attach_status && !migration_status)
    throw invalidInput({ why: 'Must specify status, attach_status or migration_status for reset status.' });
  if (status && !STATUSES.has(status.toLowerCase())) throw invalidInput({ why: `Must specify a valid status. Invalid: ${status}` });
  if (attach_status && !ATTACH_STATUSES.has(attach_status.toLowerCase()))
    throw invalidInput({ why: `Must specify a valid attach status. Invalid: ${attach_status}` });
  if (migration_status && !MIGRATION_STATUSES.has(migration_status.toLowerCase()))
    throw invalidInput({ why: `Must specify a valid migration status. Invalid: ${migration_status}` });
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    const moves = migration_status?.toLowerCase();
    if (moves) await moveVolume(tx, row.uuid, 'any', { migration_status: moves === 'none' ? null : moves, updated_at: now });
    if (attach_status === 'detached') await tx.deleteFrom('volume_attachments').where('volume_uuid', '=', row.uuid).execute();
    if (status) await moveVolume(tx, row.uuid, 'any', { status: status.toLowerCase(), updated_at: now });
  });
  return ACCEPTED;
}

const set = async (parts: VolumeParts, row: VolumeRow, values: Updateable<VolumesTable>) => {
  const now = parts.clock.now();
  await parts.db.transaction((tx) => moveVolume(tx, row.uuid, 'any', { ...values, updated_at: now }));
};

export async function setBootable(parts: VolumeParts, call: Call<{ 'os-set_bootable': { bootable: boolean | string } }>): Promise<Reply> {
  const row = await seenVolume(parts, call);
  await set(parts, row, { bootable: readFlag('bootable', call.body['os-set_bootable'].bootable) ? 1 : 0 });
  return DONE;
}

/** Only while nobody has it attached. Throws volumeInvalid (400). */
export async function setReadonly(
  parts: VolumeParts,
  call: Call<{ 'os-update_readonly_flag': { readonly: boolean | string } }>,
): Promise<Reply> {
  const row = await seenVolume(parts, call);
  const flag = readFlag('readonly', call.body['os-update_readonly_flag'].readonly) ? 1 : 0;
  const now = parts.clock.now();
  const done = await parts.db.transaction((tx) => moveVolume(tx, row.uuid, ['available'], { readonly: flag, updated_at: now }));
  if (!done)
    throw volumeInvalid({
      why: `Volume ${row.uuid} status must be available to update readonly flag, but current status is: ${row.status}.`,
    });
  return ACCEPTED;
}

/** Gives a volume another type. There is one backend, so nothing moves; what may differ is whether several servers can have it, and that only while no
 *  server has. Throws volumeTypeNotFound (404), volumeRetypeRefused (400). */
export async function retypeVolume(parts: VolumeParts, call: Call<{ 'os-retype': { new_type: string } }>): Promise<Reply> {
  const { db, clock } = parts;
  const row = await seenVolume(parts, call);
  const type = await seenType(parts, call, call.body['os-retype'].new_type);
  if (type.uuid === row.type_uuid)
    throw volumeRetypeRefused({ why: `New volume type is the same as the current one of volume ${row.uuid}.` });
  if ((await findEncryption(db.read, type.uuid)) !== undefined || row.encryption_key_id !== null)
    throw volumeRetypeRefused({ why: `volume ${row.uuid} would have to be encrypted anew, and nothing moves it here.` });
  const old = await typeName(parts, row);
  const multiattach = isMultiattach(type) ? 1 : 0;
  const allowed = multiattach === row.multiattach ? ['available', 'in-use'] : ['available'];
  const now = clock.now();
  await db.transaction(async (tx) => {
    if (!(await moveVolume(tx, row.uuid, allowed, { type_uuid: type.uuid, multiattach, updated_at: now })))
      throw volumeRetypeRefused({
        why: `Retype needs volume ${row.uuid} to be ${allowed.join(' or ')}${multiattach === row.multiattach ? '' : ' because the types differ in multiattach'}, currently ${row.status}.`,
      });
    await takeVolumeQuota(tx, db.kind, row.project_id, [
      [`gigabytes_${type.name}`, row.size],
      [`volumes_${type.name}`, 1],
    ]);
    await giveVolumeQuota(tx, row.project_id, [
      [`gigabytes_${old}`, row.size],
      [`volumes_${old}`, 1],
    ]);
  });
  return ACCEPTED;
}

export async function refuseMigration(parts: VolumeParts, call: Call): Promise<Reply> {
  await seenVolume(parts, call);
  throw volumeMigrationRefused({});
}

/** Puts a volume back to its newest snapshot. Throws volumeInvalid (400).  Spec: block storage api-ref "Revert volume to snapshot". */
export async function revertVolume(parts: VolumeParts, call: Call<{ revert: { snapshot_id: string } }>): Promise<Reply> {
  const { db, clock, tasks } = parts;
  const row = await seenVolume(parts, call);
  const id = call.body.revert.snapshot_id.toLowerCase();
  const newest = await db.read
    .selectFrom('volume_snapshots')
    .selectAll()
    .where('volume_uuid', '=', row.uuid)
    .orderBy('id', 'desc')
    .executeTakeFirst();
  if (!newest) throw volumeSnapshotNotFound({ id });
  if (newest.uuid !== id) throw volumeInvalid({ why: `Specified snapshot ${id} is not the latest one of volume ${row.uuid}.` });
  if (newest.size !== row.size)
    throw volumeInvalid({ why: `Can't revert volume ${row.uuid} to its latest snapshot ${id}: the volume was extended since.` });
  const now = clock.now();
  const task = await db.transaction(async (tx) => {
    if (!(await moveVolume(tx, row.uuid, ['available'], { status: 'reverting', updated_at: now })))
      throw volumeInvalid({ why: `Can't revert volume ${row.uuid}: its status must be available, currently ${row.status}.` });
    if (!(await moveSnapshot(tx, id, ['available'], { status: 'restoring', updated_at: now })))
      throw volumeInvalid({ why: `Can't revert volume ${row.uuid}: the snapshot's status must be available, currently ${newest.status}.` });
    return tasks.add(tx, { kind: 'revert-volume', target: row.uuid, snapshot: id });
  });
  tasks.begin(task);
  return ACCEPTED;
}

/** Copies a volume into a new image. One in use only with `force`.  Spec: block storage api-ref "Upload volume to image". */
export async function uploadVolume(parts: VolumeParts, call: Call<{ 'os-volume_upload_image': Upload }>): Promise<Reply> {
  const { db, clock, tasks, images, store } = parts;
  const row = await seenVolume(parts, call);
  const wish = call.body['os-volume_upload_image'];
  if (row.encryption_key_id !== null)
    throw volumeInvalid({
      why: `Volume ${row.uuid} is encrypted, and its key would not be in an image: make a server's image or a snapshot of it.`,
    });
  const format = wish.disk_format || 'raw';
  const container = wish.container_format || 'bare';
  const known = DISK_FORMATS.find((one) => one === format);
  if (!known) throw volumeInput({ why: `disk_format '${format}' is not one of ${DISK_FORMATS.join(', ')}` });
  if (!store.speaks(format)) throw volumeFormatNeedsTool({ format });
  const visibility = uploadsNameVisibility(call.version) ? (wish.visibility ?? 'private') : 'private';
  if (visibility === 'public') call.allow({ project_id: row.project_id }, 'volume_actions:upload_public');
  const force = wish.force === undefined || wish.force === null ? false : readFlag('force', wish.force);
  const allowed = force ? ['available', 'in-use'] : ['available'];
  const busy = () =>
    volumeInvalid({ why: `Volume ${row.uuid} status must be ${allowed.join(' or ')}, but current status is: ${row.status}.` });
  if (!allowed.includes(row.status)) throw busy();
  const {
    image_id: _id,
    image_name: _name,
    checksum: _sum,
    container_format: _c,
    disk_format: _d,
    min_disk,
    min_ram,
    size: _s,
    ...properties
  } = wordsOf(row.image_metadata);
  const image = await images.create({
    name: wish.image_name,
    diskFormat: known satisfies DiskFormat,
    containerFormat: container,
    visibility,
    owner: row.project_id,
    minDiskGiB: Math.max(row.size, Number(min_disk ?? 0) || 0),
    minMemoryMiB: Number(min_ram ?? 0) || 0,
    properties,
  });
  const now = clock.now();
  let task: string;
  try {
    task = await db.transaction(async (tx) => {
      const locked = await lockVolume(tx, row.uuid, now);
      if (!locked || !allowed.includes(locked.status)) throw busy();
      await moveVolume(tx, row.uuid, 'any', { status: 'uploading', previous_status: locked.status, updated_at: now });
      return tasks.add(tx, { kind: 'upload-volume', target: row.uuid, image: image.id, format: known });
    });
  } catch (cause) {
    await images.remove(image.id);
    throw cause;
  }
  tasks.begin(task);
  const upload = {
    id: row.uuid,
    updated_at: isoMicros(now),
    status: 'uploading',
    display_description: row.description,
    size: row.size,
    volume_type: { id: row.type_uuid, name: await typeName(parts, row) },
    image_id: image.id,
    image_name: wish.image_name,
    container_format: container,
    disk_format: format,
    ...(uploadsNameVisibility(call.version) ? { visibility, protected: false } : {}),
  };
  return { status: 202, body: { 'os-volume_upload_image': upload } };
}

const imageWords = async (parts: VolumeParts, row: VolumeRow, how: (words: Record<string, string>) => Record<string, string>) => {
  const now = parts.clock.now();
  return parts.db.transaction(async (tx) => {
    const locked = await lockVolume(tx, row.uuid, now);
    const words = how(wordsOf(locked?.image_metadata ?? '{}'));
    await moveVolume(tx, row.uuid, 'any', { image_metadata: JSON.stringify(words) });
    return words;
  });
};

export async function setImageMetadata(parts: VolumeParts, call: Call<{ 'os-set_image_metadata': { metadata: Words } }>): Promise<Reply> {
  const row = await seenVolume(parts, call);
  const metadata = await imageWords(parts, row, (words) => ({ ...words, ...call.body['os-set_image_metadata'].metadata }));
  return { status: 200, body: { metadata } };
}

export async function unsetImageMetadata(parts: VolumeParts, call: Call<{ 'os-unset_image_metadata': { key: string } }>): Promise<Reply> {
  const row = await seenVolume(parts, call);
  const { key } = call.body['os-unset_image_metadata'];
  await imageWords(parts, row, (words) => {
    if (words[key] === undefined) throw volumeMetadataNotFound({ id: row.uuid, key });
    return Object.fromEntries(Object.entries(words).filter(([name]) => name !== key));
  });
  return DONE;
}

export async function showImageMetadata(parts: VolumeParts, call: Call): Promise<Reply> {
  return { status: 200, body: { metadata: wordsOf((await seenVolume(parts, call)).image_metadata) } };
}
