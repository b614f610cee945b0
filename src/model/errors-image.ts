import { row } from './errors.ts';

export const imageNotFound = row<{ id: string }>('image.not_found', 'notFound', (p) => `No image found with ID ${p.id}`);
export const imageExists = row<{ id: string }>('image.exists', 'conflict', (p) => `Image ID ${p.id} already exists!`);
export const imageProtected = row<{ id: string }>(
  'image.protected',
  'forbidden',
  (p) => `Image ${p.id} is protected and cannot be deleted.`,
);
export const imageTransition = row<{ from: string; to: string }>(
  'image.transition',
  'conflict',
  (p) => `Image status transition from ${p.from} to ${p.to} is not allowed`,
);
export const imageFormatsMissing = row<{ missing: string }>(
  'image.formats_missing',
  'invalid',
  (p) => `Properties ${p.missing} must be set prior to saving data.`,
);
export const imageGoneInUpload = row<{ id: string }>(
  'image.gone_in_upload',
  'gone',
  (p) => `Image ${p.id} could not be found after upload. The image may have been deleted during the upload. The uploaded data was removed.`,
);
export const imageUploadBroken = row<{ why: string }>(
  'image.upload_broken',
  'invalid',
  (p) => `The upload did not complete: ${p.why}. Nothing of it was kept; the image is queued again.`,
);
export const imageTooLarge = row<{ limit: number }>(
  'image.too_large',
  'tooLarge',
  (p) => `The incoming image is too large: at most ${p.limit} bytes are taken.`,
);
export const imageStoreFull = row<{ id: string }>(
  'image.store_full',
  'tooLarge',
  (p) => `Image storage media is full: There is not enough disk space for the data of image ${p.id}. Nothing of it was kept.`,
);
export const imageStoreDenied = row<{ why: string }>(
  'image.store_denied',
  'unavailable',
  () => 'Insufficient permissions on image storage media: the image data directory cannot be written or read.',
);
export const imageDataMissing = row<{ id: string }>(
  'image.data_missing',
  'unavailable',
  (p) => `The data of image ${p.id} is not where it was stored. An operator has to look after the image data directory.`,
);
export const imageFormatMismatch = row<{ why: string }>(
  'image.format_mismatch',
  'unsupportedMedia',
  (p) => `Image content does not match its disk_format: ${p.why}`,
);
export const imageMediaType = row<{ got: string; want: string }>(
  'image.media_type',
  'unsupportedMedia',
  (p) => `Content type ${p.got} is not taken here. Send ${p.want}.`,
);
export const imageDeactivated = row<{ id: string }>(
  'image.deactivated',
  'forbidden',
  () => 'The requested image has been deactivated. Image data download is forbidden.',
);
export const imageActionInStatus = row<{ action: string; status: string }>(
  'image.action_in_status',
  'forbidden',
  (p) => `Not allowed to ${p.action} image in status '${p.status}'`,
);
export const imageReadOnly = row<{ name: string }>('image.read_only', 'forbidden', (p) => `Attribute '${p.name}' is read-only.`);
export const imageReserved = row<{ name: string }>('image.reserved', 'forbidden', (p) => `Attribute '${p.name}' is reserved.`);
export const imageNotRemovable = row<{ name: string }>('image.not_removable', 'forbidden', (p) => `Property ${p.name} may not be removed.`);
export const imageQueuedOnly = row<{ name: string }>(
  'image.queued_only',
  'forbidden',
  (p) => `Attribute ${p.name} can be only replaced for a queued image.`,
);
export const imagePropertyMissing = row<{ name: string }>(
  'image.property_missing',
  'conflict',
  (p) => `Property ${p.name} does not exist.`,
);
export const imagePropertyPresent = row<{ name: string }>(
  'image.property_present',
  'conflict',
  (p) => `Property ${p.name} already present.`,
);
export const imageLimit = row<{ what: string; limit: number; attempted: number }>(
  'image.limit',
  'tooLarge',
  (p) => `The limit has been exceeded on the number of allowed image ${p.what}. Attempted: ${p.attempted}, Maximum: ${p.limit}`,
);
export const imageOwnerForbidden = row<{ owner: string }>(
  'image.owner_forbidden',
  'forbidden',
  (p) => `You are not permitted to create images owned by '${p.owner}'.`,
);
export const imageTagNotFound = row<{ tag: string; id: string }>(
  'image.tag_not_found',
  'notFound',
  (p) => `Tag ${p.tag} not found on image ${p.id}.`,
);
export const imageNotShared = row<Record<string, never>>('image.not_shared', 'forbidden', () => 'Only shared images have members.');
export const imageMemberExists = row<{ member: string; id: string }>(
  'image.member_exists',
  'conflict',
  (p) => `Member ${p.member} is duplicated for image ${p.id}`,
);
export const imageMemberNotFound = row<{ member: string; id: string }>(
  'image.member_not_found',
  'notFound',
  (p) => `${p.member} not found in the member list of the image ${p.id}.`,
);
export const imageStagingAbsent = row<Record<string, never>>(
  'image.staging_absent',
  'badMethod',
  () => 'This image service has no staging area. Send the data with PUT to /v2/images/{image_id}/file.',
);
export const imageImportMethod = row<{ method: string }>(
  'image.import_method',
  'invalid',
  (p) => `Unsupported import method '${p.method}'. No import method is enabled here; send the data with PUT to /v2/images/{image_id}/file.`,
);
export const imageSingleStore = row<Record<string, never>>(
  'image.single_store',
  'notFound',
  () => 'Multi backend is not supported at this site.',
);
