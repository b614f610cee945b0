import { row } from './errors.ts';

export const guestNotFound = row<{ uuid: string }>('guest.not_found', 'notFound', (p) => `Guest ${p.uuid} does not exist on this host.`);
export const imageCorrupt = row<{ id: string; why: string }>(
  'guest.image_corrupt',
  'conflict',
  (p) => `Image ${p.id} is corrupt: ${p.why}`,
);
export const imageUnusable = row<{ id: string; why: string }>(
  'guest.image_unusable',
  'invalid',
  (p) => `Image ${p.id} cannot be used: ${p.why}`,
);
export const noDiskSpace = row<{ why: string }>(
  'guest.no_disk_space',
  'unavailable',
  (p) => `The host has not enough disk space: ${p.why}`,
);
export const hypervisorFailed = row<{ why: string }>('guest.hypervisor_failed', 'internal', (p) => `The hypervisor failed: ${p.why}`);
/** Another host may have what this one has not. */
export const claimedPlaceGone = row<{ why: string }>(
  'guest.claimed_place_gone',
  'unavailable',
  (p) => `The place that is claimed for the guest is not there on its host: ${p.why}`,
);
/** Of a guest that was handed over while its memory followed. Its disks are whole on the other host, and it is that one's. */
export const guestLostThere = row<{ why: string }>(
  'guest.lost_there',
  'internal',
  (p) =>
    `The memory of the guest was lost on its way (${p.why}). Its disks are whole on the host it went to: a hard reboot starts it there.`,
);
/** The same before the other host took it: it is still this one's. */
export const guestLostHere = row<{ why: string }>(
  'guest.lost_here',
  'internal',
  (p) => `The memory of the guest was lost on its way (${p.why}). Its disks are whole where it was: a hard reboot starts it there.`,
);
export const hypervisorMissing = row<{ program: string; install: string }>(
  'guest.hypervisor_missing',
  'unavailable',
  (p) => `The program ${p.program} is missing. Install it with: ${p.install}`,
);
export const deedUnsupported = row<{ deed: string; why: string }>(
  'guest.deed_unsupported',
  'notImplemented',
  (p) => `The hypervisor driver of this host cannot do this (${p.deed}): ${p.why}`,
);
export const networkUnsupported = row<{ why: string }>('guest.network_unsupported', 'invalid', (p) => p.why);
export const tinyImageFailed = row<{ why: string }>(
  'guest.tiny_image_failed',
  'internal',
  (p) => `The tiny guest image could not be built: ${p.why}`,
);
