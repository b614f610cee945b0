import { row } from './errors.ts';

// Block storage. Texts that clients see follow Cinder's.
type Nothing = Record<string, never>;
export const volumeNotFound = row<{ id: string }>('volume.not_found', 'notFound', (p) => `Volume ${p.id} could not be found.`);
export const volumeSnapshotNotFound = row<{ id: string }>(
  'volume_snapshot.not_found',
  'notFound',
  (p) => `Snapshot ${p.id} could not be found.`,
);
export const volumeTypeNotFound = row<{ id: string }>(
  'volume_type.not_found',
  'notFound',
  (p) => `Volume type ${p.id} could not be found.`,
);
export const volumeEncryptionInvalid = row<{ why: string }>('volume_type.encryption_invalid', 'invalid', (p) => p.why);
export const volumeEncryptionNotFound = row<{ id: string }>(
  'volume_type.encryption_not_found',
  'notFound',
  (p) => `There is no encryption for ${p.id}.`,
);
export const volumeTypeTaken = row<{ name: string }>('volume_type.taken', 'conflict', (p) => `Volume Type ${p.name} already exists.`);
export const volumeTypeInUse = row<{ id: string; why: string }>('volume_type.in_use', 'invalid', (p) => `Volume Type ${p.id} ${p.why}`);
export const volumeTypeSpecNotFound = row<{ id: string; key: string }>(
  'volume_type.spec_not_found',
  'notFound',
  (p) => `Volume Type ${p.id} has no extra specs with key ${p.key}.`,
);
export const volumeTypeAccessExists = row<{ id: string; project: string }>(
  'volume_type.access_exists',
  'conflict',
  (p) => `Volume type access for ${p.id} / ${p.project} combination already exists.`,
);
export const volumeTypeAccessNotFound = row<{ id: string; project: string }>(
  'volume_type.access_not_found',
  'notFound',
  (p) => `Volume type access not found for ${p.id} / ${p.project} combination.`,
);
export const volumeAttachmentNotFound = row<{ id: string }>(
  'volume_attachment.not_found',
  'notFound',
  (p) => `Volume attachment could not be found with filter: attachment_id = ${p.id}.`,
);
export const volumeMetadataNotFound = row<{ id: string; key: string }>(
  'volume.metadata_not_found',
  'notFound',
  (p) => `Volume ${p.id} has no metadata with key ${p.key}.`,
);
export const volumeMessageNotFound = row<{ id: string }>(
  'volume_message.not_found',
  'notFound',
  (p) => `Message ${p.id} could not be found.`,
);
/** The volume is not in a state for this. */
export const volumeInvalid = row<{ why: string }>('volume.invalid', 'invalid', (p) => `Invalid volume: ${p.why}`);
export const volumeSnapshotInvalid = row<{ why: string }>('volume_snapshot.invalid', 'invalid', (p) => `Invalid snapshot: ${p.why}`);
export const volumeInput = row<{ why: string }>('volume.bad_input', 'invalid', (p) => `Invalid input received: ${p.why}`);
export const volumeImageUnusable = row<{ why: string }>('volume.image_unusable', 'invalid', (p) => p.why);
export const volumeRetypeRefused = row<{ why: string }>('volume.retype_refused', 'invalid', (p) => `Invalid volume: ${p.why}`);
export const volumeMigrationRefused = row<Nothing>(
  'volume.migration_refused',
  'invalid',
  () => 'Invalid host: there is one storage backend only, so there is nowhere to migrate a volume to.',
);
export const volumeUsedByServer = row<{ server: string }>(
  'volume.used_by_server',
  'conflict',
  (p) => `Detach volume from instance ${p.server} using the Compute API`,
);
export const volumeLimitExceeded = row<{ what: 'volumes' | 'snapshots'; name: string; allowed: number }>(
  'volume.limit_exceeded',
  'tooLarge',
  (p) =>
    `${p.what === 'volumes' ? 'VolumeLimitExceeded' : 'SnapshotLimitExceeded'}: Maximum number of ${p.what} allowed (${p.allowed}) exceeded for quota '${p.name}'.`,
);
export const volumeGigabytesExceeded = row<{ name: string; requested: number; quota: number; consumed: number }>(
  'volume.gigabytes_exceeded',
  'tooLarge',
  (p) =>
    `VolumeSizeExceedsAvailableQuota: Requested volume or snapshot exceeds allowed ${p.name} quota. Requested ${p.requested}G, quota is ${p.quota}G and ${p.consumed}G has been consumed.`,
);
export const volumeSizeExceedsLimit = row<{ size: number; limit: number }>(
  'volume.size_exceeds_limit',
  'tooLarge',
  (p) => `VolumeSizeExceedsLimit: Requested volume size ${p.size}G is larger than maximum allowed limit ${p.limit}G.`,
);
export const volumeStoreDenied = row<{ why: string }>(
  'volume.store_denied',
  'unavailable',
  () => 'The directory of the volumes cannot be written or read.',
);
export const volumeStoreFull = row<Nothing>('volume.store_full', 'unavailable', () => 'There is not enough disk space for the volume.');
export const volumeFormatNeedsTool = row<{ format: string }>(
  'volume.format_needs_tool',
  'invalid',
  (p) =>
    `Images of the format ${p.format} are converted by qemu-img, which is not installed. Install it (apt-get install qemu-utils) or use raw.`,
);
export const volumeCopyFailed = row<{ why: string }>('volume.copy_failed', 'internal', (p) => `The data could not be copied: ${p.why}`);
export const volumeForeignProject = row<{ project: string }>('volume.foreign_project', 'invalid', () => 'Malformed request url');
export const volumeKeyReused = row<Nothing>(
  'volume.key_reused',
  'conflict',
  () => 'This Idempotency-Key was used for a volume with another size or source.',
);
export const volumeServiceAbsent = row<Nothing>(
  'volume.service_absent',
  'invalid',
  () => 'This cloud has no block storage service, so there are no volumes.',
);
