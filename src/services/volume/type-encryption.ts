import type { Query } from '../../db/engine.ts';
import type { VolumeTypeEncryptionsTable } from '../../db/tables/volume/tables.ts';
import type { Call, Reply } from '../../http/call.ts';
import { isoMicros, type Micros } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import { volumeEncryptionInvalid, volumeEncryptionNotFound } from '../../model/errors-volume.ts';
import { seenType, seenVolume } from './find.ts';
import { checkEncryption, findEncryption, findKey } from './luks.ts';
import type { VolumeParts } from './parts.ts';
import type { EncryptionWish } from './shapes.ts';

const LOCATION = 'front-end';

/** The encryption of a type; an empty object for one whose volumes are plain.  Spec: block storage api-ref "Show an encryption type". */
export async function showTypeEncryption(parts: VolumeParts, call: Call): Promise<Reply> {
  const type = await seenType(parts, call);
  const row = await findEncryption(parts.db.read, type.uuid);
  return { status: 200, body: row ? view(row) : {} };
}
const view = (row: VolumeTypeEncryptionsTable) => ({
  volume_type_id: row.type_uuid,
  encryption_id: row.uuid,
  provider: row.provider,
  cipher: row.cipher,
  key_size: row.key_size,
  control_location: LOCATION,
  created_at: isoMicros(row.created_at),
  updated_at: row.updated_at === null ? null : isoMicros(row.updated_at),
  deleted: false,
  deleted_at: null,
});

export async function showTypeEncryptionKey(parts: VolumeParts, call: Call): Promise<Reply> {
  const type = await seenType(parts, call);
  const row = await findEncryption(parts.db.read, type.uuid);
  const key = call.params.key ?? '';
  const value = row && (view(row) as Readonly<Record<string, unknown>>)[key]; // by name
  if (value === undefined) throw volumeEncryptionNotFound({ id: type.uuid });
  return { status: 200, body: { [key]: value } };
}

/** Changes of a type's encryption wait for each other on its row. */
const holdType = (tx: Query, typeUuid: string, now: Micros) =>
  tx.updateTable('volume_types').set({ updated_at: now }).where('uuid', '=', typeUuid).execute();
async function heldEncryption(tx: Query, typeUuid: string, call: Call<unknown>, now: Micros): Promise<VolumeTypeEncryptionsTable> {
  await holdType(tx, typeUuid, now);
  const row = await findEncryption(tx, typeUuid);
  if (!row || row.uuid !== call.params.encryptionId) throw volumeEncryptionNotFound({ id: typeUuid });
  return row;
}
async function mustBeUnused(tx: Query, typeUuid: string, what: 'create' | 'update' | 'delete'): Promise<void> {
  if (await tx.selectFrom('volumes').select('uuid').where('type_uuid', '=', typeUuid).executeTakeFirst())
    throw volumeEncryptionInvalid({ why: `Cannot ${what} encryption specs. Volume type in use.` });
}

/** Throws volumeEncryptionInvalid (400): there is one already, volumes are of the type, or it cannot be done. */
export async function createTypeEncryption(parts: VolumeParts, call: Call<{ encryption: EncryptionWish }>): Promise<Reply> {
  const { db, clock } = parts;
  const type = await seenType(parts, call);
  const { encryption: wish } = call.body;
  const row: VolumeTypeEncryptionsTable = {
    type_uuid: type.uuid,
    uuid: newUuid(),
    provider: wish.provider ?? '',
    cipher: wish.cipher ?? null,
    key_size: wish.key_size ?? null,
    created_at: clock.now(),
    updated_at: null,
  };
  checkEncryption({ provider: row.provider, cipher: row.cipher, keySize: row.key_size, location: wish.control_location ?? LOCATION });
  if (parts.store.locks === false)
    throw volumeEncryptionInvalid({ why: 'encrypted volumes need qemu-img where the block storage service runs' });
  await db.transaction(async (tx) => {
    await holdType(tx, type.uuid, row.created_at);
    if (await findEncryption(tx, type.uuid))
      throw volumeEncryptionInvalid({ why: `Volume type encryption for type ${type.uuid} already exists.` });
    await mustBeUnused(tx, type.uuid, 'create');
    await tx.insertInto('volume_type_encryptions').values(row).execute();
  });
  return { status: 200, body: { encryption: { ...wish, volume_type_id: type.uuid, encryption_id: row.uuid } } };
}

/** Throws volumeEncryptionNotFound (404), volumeEncryptionInvalid (400). */
export async function updateTypeEncryption(parts: VolumeParts, call: Call<{ encryption: EncryptionWish }>): Promise<Reply> {
  const { db, clock } = parts;
  const type = await seenType(parts, call);
  const { encryption: wish } = call.body;
  const now = clock.now();
  await db.transaction(async (tx) => {
    const row = await heldEncryption(tx, type.uuid, call, now);
    await mustBeUnused(tx, type.uuid, 'update');
    const set = {
      provider: wish.provider ?? row.provider,
      cipher: wish.cipher === undefined ? row.cipher : wish.cipher,
      key_size: wish.key_size === undefined ? row.key_size : wish.key_size,
    };
    checkEncryption({ provider: set.provider, cipher: set.cipher, keySize: set.key_size, location: wish.control_location ?? LOCATION });
    await tx
      .updateTable('volume_type_encryptions')
      .set({ ...set, updated_at: now })
      .where('type_uuid', '=', type.uuid)
      .execute();
  });
  return { status: 200, body: { encryption: wish } };
}

/** Throws volumeEncryptionNotFound (404), volumeEncryptionInvalid (400) while volumes are of the type. */
export async function deleteTypeEncryption(parts: VolumeParts, call: Call): Promise<Reply> {
  const { db, clock } = parts;
  const type = await seenType(parts, call);
  const now = clock.now();
  await db.transaction(async (tx) => {
    await heldEncryption(tx, type.uuid, call, now);
    await mustBeUnused(tx, type.uuid, 'delete');
    await tx.deleteFrom('volume_type_encryptions').where('type_uuid', '=', type.uuid).execute();
  });
  return { status: 202 };
}

/** How a volume is encrypted; of a plain one only that there is no key.  Spec: block storage api-ref "Show a volume's encryption". */
export async function showVolumeEncryption(parts: VolumeParts, call: Call): Promise<Reply> {
  return { status: 200, body: await encryptionOf(parts, call) };
}
async function encryptionOf(parts: VolumeParts, call: Call): Promise<Readonly<Record<string, unknown>>> {
  const row = await seenVolume(parts, call);
  const key = await findKey(parts.db.read, row.encryption_key_id);
  if (!key) return { encryption_key_id: null };
  const { provider, cipher, key_size } = key;
  return { encryption_key_id: key.uuid, provider, cipher, key_size, control_location: LOCATION };
}
export async function showVolumeEncryptionKey(parts: VolumeParts, call: Call): Promise<Reply> {
  const key = call.params.key ?? '';
  const known = await encryptionOf(parts, call);
  return { status: 200, body: { [key]: known[key] ?? null } };
}

/** What opens an encrypted volume: told to services of this cloud alone, for the host whose guest has it. Not in Cinder's API, whose keys lie with a key
 *  manager. Throws volumeEncryptionNotFound (404) for a plain volume. */
export async function showVolumeSecret(parts: VolumeParts, call: Call): Promise<Reply> {
  const row = await seenVolume(parts, call);
  const key = await findKey(parts.db.read, row.encryption_key_id);
  if (!key) throw volumeEncryptionNotFound({ id: row.uuid });
  return { status: 200, body: { secret: key.secret } };
}
