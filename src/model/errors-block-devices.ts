import { row } from './errors.ts';

// Disks of servers. Texts that clients see follow Nova's.
type Nothing = Record<string, never>;
export const volumeUnknown = row<{ id: string }>('block_device.volume_unknown', 'notFound', (p) => `Volume ${p.id} could not be found.`);
export const volumeNotAttached = row<{ server: string; volume: string }>(
  'block_device.not_attached',
  'notFound',
  (p) => `Instance ${p.server} is not attached to volume ${p.volume}.`,
);
export const volumeUnfit = row<{ why: string }>('block_device.volume_unfit', 'invalid', (p) => `Invalid volume: ${p.why}`);
export const volumeAttachedTwice = row<{ volume: string; server: string }>(
  'block_device.attached_twice',
  'invalid',
  (p) => `Invalid volume: volume ${p.volume} already attached to instance ${p.server}`,
);
export const multiattachTooOld = row<Nothing>(
  'block_device.multiattach_too_old',
  'invalid',
  () => 'Multiattach volumes are only supported starting with compute API version 2.60.',
);
export const multiattachOffloaded = row<Nothing>(
  'block_device.multiattach_offloaded',
  'invalid',
  () => 'Attaching multiattach volumes is not supported for shelved-offloaded instances.',
);
export const tagOffloaded = row<Nothing>(
  'block_device.tag_offloaded',
  'invalid',
  () => 'Attaching a tagged device to a shelved-offloaded instance is not supported.',
);
export const rootVolumeKept = row<Nothing>('block_device.root_kept', 'invalid', () => 'Cannot detach a root device volume');
export const deviceNameTaken = row<{ name: string }>(
  'block_device.name_taken',
  'conflict',
  (p) => `The supplied device path (${p.name}) is in use.`,
);
export const deviceNameInvalid = row<{ name: string }>(
  'block_device.name_invalid',
  'invalid',
  (p) => `The supplied device path (${p.name}) is invalid.`,
);
export const volumeNotMigrating = row<{ volume: string }>(
  'block_device.not_migrating',
  'conflict',
  (p) => `volume ${p.volume} is not migrating; this API should only be called by Cinder`,
);
export const newVolumeUnknown = row<{ id: string }>(
  'block_device.new_volume_unknown',
  'invalid',
  (p) => `Volume ${p.id} could not be found.`,
);
export const multiattachSwap = row<Nothing>(
  'block_device.multiattach_swap',
  'invalid',
  () => 'Swapping multi-attach volumes with more than one read/write attachment is not supported.',
);
export const attachmentFieldFixed = row<{ field: string }>(
  'block_device.field_fixed',
  'invalid',
  (p) => `The ${p.field} field of a volume attachment cannot be changed, only delete_on_termination.`,
);
export const deviceMappingInvalid = row<{ why: string }>(
  'block_device.mapping_invalid',
  'invalid',
  (p) => `Block Device Mapping is Invalid: ${p.why}`,
);
export const bootSequenceInvalid = row<Nothing>(
  'block_device.boot_sequence',
  'invalid',
  () => 'Block Device Mapping is Invalid: Boot sequence for the instance and image/block device mapping combination is not valid.',
);
export const localDevicesTooMany = row<{ limit: number }>(
  'block_device.too_many_local',
  'invalid',
  (p) => `Block Device Mapping is Invalid: You specified more local devices than the limit allows (${p.limit})`,
);
export const volumeTypeUnknown = row<{ name: string }>(
  'block_device.type_unknown',
  'invalid',
  (p) => `Volume type ${p.name} could not be found.`,
);
export const volumeForMany = row<Nothing>(
  'block_device.volume_for_many',
  'invalid',
  () => 'Cannot attach one or more volumes to multiple instances',
);
/** Why a server that needs a new volume cannot be built. */
export const volumeNotMade = row<{ id: string; why: string }>(
  'block_device.volume_not_made',
  'invalid',
  (p) => `Volume ${p.id} was not made: ${p.why}`,
);
/** Why a server's volumes did not become an image. */
export const snapshotNotMade = row<{ volume: string; status: string }>(
  'block_device.snapshot_not_made',
  'invalid',
  (p) => `The snapshot of volume ${p.volume} was not made: it is ${p.status}.`,
);
export const volumeTooSmall = row<{ size: number; least: number }>(
  'block_device.volume_too_small',
  'invalid',
  (p) =>
    `Volume is smaller than the minimum size specified in image metadata. Volume size is ${p.size * 1024 ** 3} bytes, minimum size is ${p.least * 1024 ** 3} bytes.`,
);
export const volumeNotBootable = row<{ id: string }>(
  'block_device.not_bootable',
  'invalid',
  (p) => `Block Device ${p.id} is not bootable.`,
);
export const snapshotUnknown = row<{ id: string }>(
  'block_device.snapshot_unknown',
  'invalid',
  (p) => `Block Device Mapping is Invalid: failed to get snapshot ${p.id}.`,
);
export const blockVolumeMissing = row<{ id: string }>(
  'block_device.volume_missing',
  'invalid',
  (p) => `Block Device Mapping is Invalid: failed to get volume ${p.id}.`,
);
