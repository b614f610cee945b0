import { readVolumeQuotas, takesOf, takeVolumeQuota } from '../../db/tables/volume/quotas.ts';
import { findVolume, type TypeRow, type VolumeRow } from '../../db/tables/volume/volumes.ts';
import { isUniqueViolation } from '../../db/unique.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import {
  volumeFormatNeedsTool,
  volumeImageUnusable,
  volumeInput,
  volumeInvalid,
  volumeKeyReused,
  volumeSizeExceedsLimit,
  volumeSnapshotInvalid,
} from '../../model/errors-volume.ts';
import type { Image } from '../../model/image.ts';
import { DEFAULT_TYPE, isMultiattach, projectOf, readFlag, seenSnapshot, seenType, seenVolume } from './find.ts';
import { findEncryption, findKey, makeKey } from './luks.ts';
import type { VolumeParts } from './parts.ts';
import type { VolumeCreate } from './shapes.ts';
import { GIB } from './store.ts';
import { acceptedVolumeView } from './views.ts';

type Wish = VolumeCreate['volume'];
/** What a new volume begins as. */
interface Source {
  readonly size: number | undefined;
  readonly bootable: boolean;
  readonly imageMetadata: string;
  readonly typeUuid: string | undefined;
  readonly zone: string | undefined;
  readonly snapshot: string | null;
  readonly volume: string | null;
  readonly image: Image | null;
  /** Null: what it is copied from is plain, or there is nothing to copy. */
  readonly keyId: string | null;
}
const NOTHING: Source = {
  size: undefined,
  bootable: false,
  imageMetadata: '{}',
  typeUuid: undefined,
  zone: undefined,
  snapshot: null,
  volume: null,
  image: null,
  keyId: null,
};

/** Accepts a volume: 202 and `creating`, its quota taken. With an `Idempotency-Key` a repeat answers the volume of the first request.
 *  Throws 400 for what cannot be meant, volumeLimitExceeded, volumeGigabytesExceeded (413).  Spec: block storage api-ref "Create a volume". */
export async function createVolume(parts: VolumeParts, call: Call<VolumeCreate>): Promise<Reply> {
  const { db, clock } = parts;
  const project = projectOf(call);
  call.allow({ project_id: project });
  const wish = call.body.volume;
  const header = call.headers['idempotency-key'];
  const key = typeof header === 'string' && header !== '' ? `${project}/${header.slice(0, 200)}` : null;
  const before = key === null ? undefined : await byKey(parts, key);
  if (before) return { status: 202, body: { volume: await acceptedVolumeView(parts, call, sameAs(before, wish)) } };

  const source = await sourceOf(parts, call, wish);
  const size = sizeOf(wish, source);
  mustHold(size, source);
  const type = await typeOf(parts, call, wish, source);
  if (wish.consistencygroup_id || wish.group_id || wish.backup_id)
    throw volumeInput({ why: 'groups and backups are not served here; leave consistencygroup_id, group_id and backup_id out' });
  if (wish.availability_zone && wish.availability_zone !== parts.zone)
    throw volumeInput({ why: `Availability zone '${wish.availability_zone}' is invalid.` });
  const encryption = await findEncryption(db.read, type.uuid);
  const copied = await mustMatch(parts, source, encryption !== undefined);
  const shared = isMultiattach(type) || readFlag('multiattach', wish.multiattach ?? false); // the flag: how it was asked for before types said it
  if (encryption && shared) throw volumeInput({ why: 'an encrypted volume cannot be attached to several servers (multiattach)' });
  const uuid = newUuid();
  const now = clock.now();
  const limit = (await readVolumeQuotas(db.read, project)).per_volume_gigabytes?.limit ?? -1;
  if (limit >= 0 && size > limit) throw volumeSizeExceedsLimit({ size, limit });
  const row = {
    uuid,
    project_id: project,
    user_id: call.caller.userId,
    name: wish.name ?? wish.display_name ?? null,
    description: wish.description ?? wish.display_description ?? null,
    size,
    status: 'creating',
    metadata: JSON.stringify(wish.metadata ?? {}),
    created_at: now,
    updated_at: now,
    previous_status: null,
    migration_status: null,
    type_uuid: type.uuid,
    bootable: source.bootable ? 1 : 0,
    multiattach: shared ? 1 : 0,
    readonly: 0,
    availability_zone: source.zone ?? parts.zone,
    snapshot_uuid: source.snapshot,
    source_uuid: source.volume,
    image_id: source.image?.id ?? null,
    image_metadata: source.imageMetadata,
    request_key: key,
    encryption_key_id: null as string | null,
  };
  let task: string;
  try {
    task = await db.transaction(async (tx) => {
      await takeVolumeQuota(tx, db.kind, project, takesOf('volumes', type.name, size));
      if (encryption) row.encryption_key_id = await makeKey(tx, encryption, copied, now);
      await tx.insertInto('volumes').values(row).execute();
      return parts.tasks.add(tx, { kind: 'create-volume', target: uuid });
    });
  } catch (cause) {
    const other = key !== null && isUniqueViolation(cause) ? await byKey(parts, key) : undefined;
    if (!other) throw cause;
    return { status: 202, body: { volume: await acceptedVolumeView(parts, call, sameAs(other, wish)) } };
  }
  parts.tasks.begin(task);
  const made = await findVolume(db.read, uuid);
  return { status: 202, body: { volume: await acceptedVolumeView(parts, call, { ...row, id: made?.id ?? 0 }) } };
}

/** A copy has the bytes of what it is copied from: both are encrypted, or neither. Answers the key of that. Throws volumeInput (400). */
async function mustMatch({ db }: VolumeParts, source: Source, encrypted: boolean) {
  if (source.snapshot === null && source.volume === null) return undefined;
  if (encrypted !== (source.keyId !== null))
    throw volumeInput({
      why: `a copy of ${encrypted ? 'a plain volume cannot be of an encrypted type' : 'an encrypted volume cannot be of a plain type'}`,
    });
  return findKey(db.read, source.keyId);
}

const byKey = ({ db }: VolumeParts, key: string) =>
  db.read.selectFrom('volumes').selectAll().where('request_key', '=', key).executeTakeFirst();

function sameAs(row: VolumeRow, wish: Wish): VolumeRow {
  const size = wish.size ? Number(wish.size) : row.size;
  const same =
    row.size === size &&
    row.snapshot_uuid === (wish.snapshot_id ?? null) &&
    row.source_uuid === (wish.source_volid ?? null) &&
    row.image_id === (wish.imageRef ?? wish.image_id ?? null);
  if (!same) throw volumeKeyReused({});
  return row;
}

async function sourceOf(parts: VolumeParts, call: Call, wish: Wish): Promise<Source> {
  const image = wish.imageRef ?? wish.image_id;
  const named = [wish.snapshot_id, wish.source_volid, image].filter((one) => one);
  if (named.length > 1) throw invalidInput({ why: 'A volume can be made of one of snapshot_id, source_volid and imageRef only.' });
  if (wish.snapshot_id) {
    const snapshot = await seenSnapshot(parts, call, { id: wish.snapshot_id, rule: 'volume:get_snapshot' });
    if (snapshot.status !== 'available')
      throw volumeSnapshotInvalid({ why: `Originating snapshot status must be one of 'available' values, not '${snapshot.status}'` });
    const of = await findVolume(parts.db.read, snapshot.volume_uuid);
    return { ...fromVolume(of), size: snapshot.size, snapshot: snapshot.uuid };
  }
  if (wish.source_volid) {
    const volume = await seenVolume(parts, call, { id: wish.source_volid, rule: 'volume:get' });
    if (volume.status !== 'available' && volume.status !== 'in-use')
      throw volumeInvalid({ why: `Originating source status must be one of 'available', 'in-use' values, not '${volume.status}'` });
    return { ...fromVolume(volume), volume: volume.uuid };
  }
  return image ? fromImage(parts, call, image) : NOTHING;
}

const fromVolume = (row: VolumeRow | undefined): Source =>
  row === undefined
    ? NOTHING
    : {
        ...NOTHING,
        size: row.size,
        bootable: row.bootable === 1,
        imageMetadata: row.image_metadata,
        typeUuid: row.type_uuid,
        zone: row.availability_zone,
        keyId: row.encryption_key_id,
      };

/** What an image makes of a volume. Throws volumeImageUnusable, volumeFormatNeedsTool (400). */
export async function fromImage({ images, store }: VolumeParts, call: Call, id: string): Promise<Source> {
  const image = await images.show(id, call.token === null ? {} : { token: call.token }).catch((cause) => {
    if (cause instanceof CloudError && ['notFound', 'invalid', 'forbidden'].includes(cause.kind))
      throw volumeImageUnusable({ why: 'Invalid image identifier or unable to access requested image.' }, { cause });
    throw cause;
  });
  if (image.status !== 'active') throw volumeImageUnusable({ why: `Invalid input received: Image ${image.id} is not active.` });
  if (!store.speaks(image.diskFormat ?? 'raw')) throw volumeFormatNeedsTool({ format: image.diskFormat ?? '' });
  const facts = {
    ...image.properties,
    image_id: image.id,
    image_name: image.name ?? '',
    checksum: image.checksum ?? '',
    container_format: image.containerFormat ?? '',
    disk_format: image.diskFormat ?? '',
    min_disk: String(image.minDiskGiB),
    min_ram: String(image.minMemoryMiB),
    size: String(image.sizeBytes ?? 0),
  };
  return { ...NOTHING, bootable: true, imageMetadata: JSON.stringify(facts), image };
}

function sizeOf(wish: Wish, source: Source): number {
  const given = wish.size ?? source.size;
  const size = typeof given === 'string' && /^\d{1,9}$/.test(given) ? Number(given) : given;
  if (typeof size !== 'number' || size < 1 || size > 2 ** 31 - 1)
    throw volumeInput({
      why: `Invalid volume size provided for create request: ${given ?? 'None'} (size argument must be an integer (or string representation of an integer) and greater than zero).`,
    });
  return size;
}

/** Throws volumeInput (400) when the volume is too small for it. */
export function mustHold(size: number, { size: least, snapshot, image }: Source): void {
  if (least !== undefined && size < least)
    throw volumeInput({
      why:
        snapshot !== null
          ? `Volume size '${size}'GB cannot be smaller than the snapshot size ${least}GB. They must be >= original snapshot size.`
          : `Volume size '${size}'GB cannot be smaller than original volume size ${least}GB. They must be >= original volume size.`,
    });
  if (!image) return;
  const imageGiB = Math.ceil(Math.max(image.sizeBytes ?? 0, image.virtualSizeBytes ?? 0) / GIB);
  if (imageGiB > size) throw volumeInput({ why: `Size of specified image ${imageGiB}GB is larger than volume size ${size}GB.` });
  if (image.minDiskGiB > size)
    throw volumeInput({ why: `Volume size ${size}GB cannot be smaller than the image minDisk size ${image.minDiskGiB}GB.` });
}

async function typeOf(parts: VolumeParts, call: Call, wish: Wish, source: Source): Promise<TypeRow> {
  const fromImageName = source.image?.properties.cinder_img_volume_type;
  const named = wish.volume_type || fromImageName;
  if (named) return seenType(parts, call, named);
  const kept =
    source.typeUuid === undefined
      ? undefined
      : await parts.db.read.selectFrom('volume_types').selectAll().where('uuid', '=', source.typeUuid).executeTakeFirst();
  return kept ?? seenType(parts, call, DEFAULT_TYPE);
}
