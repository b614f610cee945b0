import { row } from './errors.ts';

// What is said when an action on a server where it stands is refused. Texts that clients see follow Nova's.
type Nothing = Record<string, never>;
export const rescueImageUnusable = row<{ id: string }>(
  'server.rescue_image_unusable',
  'invalid',
  (p) => `Requested rescue image '${p.id}' is not supported`,
);
export const serverNotRescuable = row<{ id: string; why: string }>(
  'server.not_rescuable',
  'invalid',
  (p) => `Instance ${p.id} cannot be rescued: ${p.why}`,
);
export const backupNeedsLocalDisk = row<Nothing>(
  'server.backup_of_volume',
  'invalid',
  () => 'Backup is not supported for volume-backed instances.',
);
export const imageQuotaExceeded = row<{ why: string }>('server.image_quota', 'forbidden', (p) => p.why);
export const rebuildImageUnknown = row<Nothing>('server.rebuild_image_unknown', 'invalid', () => 'Cannot find image for rebuild');
export const volumeReimageRefused = row<Nothing>(
  'server.volume_reimage_refused',
  'invalid',
  () => 'Unable to rebuild with a different image for a volume-backed server.',
);
export const rebuildCellsDiffer = row<Nothing>(
  'server.rebuild_cells_differ',
  'invalid',
  () => "An instance's NUMA topology cannot be changed as part of a rebuild. The image provided is invalid for this instance.",
);
export const diagnosticsNeedRunning = row<{ id: string; state: string }>(
  'server.diagnostics_need_running',
  'conflict',
  (p) => `Cannot 'get_diagnostics' instance ${p.id} while it is in power state ${p.state}`,
);
export const shareNotFound = row<{ id: string }>('server.share_not_found', 'notFound', (p) => `Share ${p.id} could not be found.`);
export const sharesUnsupported = row<Nothing>(
  'server.shares_unsupported',
  'forbidden',
  () => 'Shares cannot be attached: this cloud has no shared file system service.',
);
export const preserveEphemeralUnsupported = row<Nothing>(
  'guest.preserve_ephemeral_unsupported',
  'notImplemented',
  () => 'The hypervisor driver of this host does not support preserving ephemeral partitions.',
);
