import { row } from './errors.ts';

// Servers: what their API says when it refuses. Texts that clients see follow Nova's.
type Nothing = Record<string, never>;
export const serverNotFound = row<{ id: string }>('server.not_found', 'notFound', (p) => `Instance ${p.id} could not be found.`);
export const serverWrongState = row<{ id: string; action: string; attribute: string; value: string | null }>(
  'server.wrong_state',
  'conflict',
  (p) =>
    p.value === null
      ? `Instance ${p.id} is in an invalid state for '${p.action}'`
      : `Cannot '${p.action}' instance ${p.id} while it is in ${p.attribute} ${p.value}`,
);
export const serverLocked = row<{ id: string }>('server.locked', 'conflict', (p) => `Instance ${p.id} is locked`);
export const serverNotReady = row<{ id: string }>('server.not_ready', 'conflict', (p) => `Instance ${p.id} is not ready`);
export const serverChanged = row<{ id: string }>(
  'server.changed_meanwhile',
  'conflict',
  (p) => `Instance ${p.id} was changed by other requests at the same time. Try again.`,
);

export const flavorUnusable = row<{ id: string }>('server.flavor_unusable', 'invalid', (p) => `Flavor ${p.id} could not be found.`);
export const imageMissing = row<Nothing>('server.image_missing', 'invalid', () => 'Missing imageRef attribute');
export const imageUnknown = row<{ id: string }>('server.image_unknown', 'invalid', () => 'Can not find requested image');
export const imageNotActive = row<{ id: string }>('server.image_not_active', 'invalid', (p) => `Image ${p.id} is not active.`);
export const flavorMemoryTooSmall = row<Nothing>(
  'server.flavor_memory_too_small',
  'invalid',
  () => "Flavor's memory is too small for requested image.",
);
export const flavorDiskSmallerThanImage = row<{ flavorBytes: number; imageBytes: number }>(
  'server.flavor_disk_smaller_than_image',
  'invalid',
  (p) => `Flavor's disk is too small for requested image. Flavor disk is ${p.flavorBytes} bytes, image is ${p.imageBytes} bytes.`,
);
export const flavorDiskSmallerThanMinDisk = row<{ flavorBytes: number; minBytes: number }>(
  'server.flavor_disk_smaller_than_min_disk',
  'invalid',
  (p) =>
    `The created instance's disk would be smaller than the minimum specified in image metadata. Created disk is ${p.flavorBytes} bytes, minimum size is ${p.minBytes} bytes.`,
);
export const volumeNeededForZeroDisk = row<Nothing>(
  'server.zero_disk_flavor',
  'forbidden',
  () => 'Only volume-backed servers are allowed for flavors with zero disk.',
);
export const keyNameUnknown = row<Nothing>('server.key_name_unknown', 'invalid', () => 'Invalid key_name provided.');
export const zoneUnknown = row<{ zone: string }>(
  'server.zone_unknown',
  'invalid',
  () => 'The requested availability zone is not available',
);
export const hostUnknown = row<{ host: string }>('server.host_unknown', 'invalid', (p) => `Compute host ${p.host} could not be found.`);
export const groupUnknown = row<{ id: string }>('server.group_unknown', 'invalid', (p) => `Instance group ${p.id} could not be found.`);
export const countsTurned = row<Nothing>('server.counts_turned', 'invalid', () => 'min_count must be <= max_count');
export const hostnameAmbiguous = row<Nothing>(
  'server.hostname_ambiguous',
  'invalid',
  () => 'Unable to allocate a single hostname to multiple instances',
);
export const pinRefused = row<{ id: string }>(
  'server.pin_refused',
  'conflict',
  (p) => `Instance ${p.id} can be pinned only to the availability zone it is in, and from one zone to another only after unpinning it.`,
);
export const metadataItemMissing = row<Nothing>('server.metadata_item_missing', 'notFound', () => 'Metadata item was not found');
export const metadataKeyMismatch = row<Nothing>('server.metadata_key_mismatch', 'invalid', () => 'Request body and URI mismatch');
export const networkLabelUnknown = row<{ label: string }>(
  'server.network_label_unknown',
  'notFound',
  () => 'Instance is not a member of specified network',
);
export const markerUnknown = row<{ marker: string }>('server.marker_unknown', 'invalid', (p) => `marker [${p.marker}] not found`);
export const idempotencyConflict = row<{ key: string }>(
  'server.idempotency_conflict',
  'conflict',
  () => 'This Idempotency-Key was used for a request with another body.',
);
export const adminOnlySort = row<{ key: string }>(
  'server.admin_only_sort',
  'forbidden',
  (p) => `Only administrators can sort servers by ${p.key}`,
);
export const adminOnlyDeleted = row<Nothing>(
  'server.admin_only_deleted',
  'forbidden',
  () => 'Only administrators may list deleted instances',
);

// Quotas: one 403 for each way to ask too much.
export const quotaExceeded = row<{ over: string; asked: string; used: string; limit: string }>(
  'quota.exceeded',
  'forbidden',
  (p) => `Quota exceeded for ${p.over}: Requested ${p.asked}, but already used ${p.used} of ${p.limit} ${p.over}`,
);
export const metadataQuotaExceeded = row<{ limit: number; asked: number }>(
  'quota.metadata_items',
  'forbidden',
  (p) => `Maximum number of metadata items exceeds ${p.limit}: ${p.asked} were asked for.`,
);
export const fileCountExceeded = row<{ limit: number; asked: number }>(
  'quota.injected_files',
  'forbidden',
  (p) => `Personality file limit exceeded: ${p.asked} files were asked for, ${p.limit} are allowed.`,
);
export const filePathExceeded = row<{ limit: number; asked: number }>(
  'quota.injected_file_path_bytes',
  'forbidden',
  (p) => `Personality file path exceeds maximum ${p.limit}: it has ${p.asked} bytes.`,
);
export const fileContentExceeded = row<{ limit: number; asked: number }>(
  'quota.injected_file_content_bytes',
  'forbidden',
  (p) => `Personality file content exceeds maximum ${p.limit}: it has ${p.asked} bytes.`,
);
export const groupMembersExceeded = row<{ limit: number; used: number; asked: number }>(
  'quota.server_group_members',
  'forbidden',
  (p) => `Quota exceeded, too many servers in group. Requested ${p.asked}, but already used ${p.used} of ${p.limit}.`,
);
