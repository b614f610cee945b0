import type { Call, Reply } from '../../http/call.ts';
import { rescueImageUnusable, serverNotRescuable } from '../../model/errors-acts.ts';
import type { ImageSnapshot, Server } from '../../model/server.ts';
import { actOn } from './server-actions.ts';
import { volumeBackedCanBeRescued } from './server-behaviours.ts';
import { askerOf, serverOf } from './server-find.ts';
import { newPassword } from './server-names.ts';
import type { ServerParts } from './server-parts.ts';
import { mustAllow } from './server-tasks.ts';
import { mustLackTpm } from './server-tpm.ts';
import { isVolumeBacked } from './volume-backed.ts';

// Actions that are one deed to the guest. Each answers 202 at once.  Spec: compute api-ref, "Servers - run an action".

export const pauseServer = (parts: ServerParts, call: Call) => actOn(parts, call, { rule: 'pause', action: 'pause' });
export const unpauseServer = (parts: ServerParts, call: Call) => actOn(parts, call, { rule: 'unpause', action: 'unpause' });
export const suspendServer = (parts: ServerParts, call: Call) => actOn(parts, call, { rule: 'suspend', action: 'suspend' });
export const resumeServer = (parts: ServerParts, call: Call) => actOn(parts, call, { rule: 'resume', action: 'resume' });
export const unrescueServer = (parts: ServerParts, call: Call) => actOn(parts, call, { rule: 'unrescue', action: 'unrescue' });
export const triggerCrashDump = (parts: ServerParts, call: Call) =>
  actOn(parts, call, { rule: 'triggerCrashDump', action: 'triggerCrashDump' });

/** changePassword. The password stands in the job alone, and goes with it. */
export const changePassword = (parts: ServerParts, call: Call<{ changePassword: { adminPass: string } }>) =>
  actOn(parts, call, { rule: 'changePassword', action: 'changePassword', args: { password: call.body.changePassword.adminPass } });

/** rescue: boots the server from another image, its own disks beside it. Answers 200 with the password. Throws rescueImageUnusable, serverNotRescuable
 *  (400). */
export async function rescueServer(
  parts: ServerParts,
  call: Call<{ rescue: { adminPass?: string; rescue_image_ref?: string } | null }>,
): Promise<Reply> {
  const wish = call.body.rescue ?? {};
  const server = await serverOf(parts.db.read, call);
  mustAllow('rescue', 'rescue', server, call);
  mustLackTpm('rescue', server);
  const image = await rescueImage(parts, call, server, wish.rescue_image_ref);
  const password = wish.adminPass ?? newPassword();
  const { kernel_id: kernelId = null, ramdisk_id: ramdiskId = null } = image.properties;
  const args = { image: imageRefOf(image), kernelId, ramdiskId, properties: image.properties, password };
  await actOn(parts, call, { rule: 'rescue', action: 'rescue', args }, server);
  return { status: 200, body: parts.showPasswords === false ? {} : { adminPass: password } };
}

/** The image that rescues: the one named, the cloud's own, or the server's. */
async function rescueImage(parts: ServerParts, call: Call, server: Server, named: string | undefined): Promise<ImageSnapshot> {
  const backed = isVolumeBacked(server);
  if (backed && !volumeBackedCanBeRescued(call.version))
    throw serverNotRescuable({ id: server.uuid, why: 'Cannot rescue a volume-backed instance' });
  const ref = named ?? parts.rescueImage;
  if (ref === undefined && server.image !== null && !backed) return server.image;
  if (ref === undefined)
    throw serverNotRescuable({ id: server.uuid, why: 'Cannot rescue a volume-backed instance without a rescue image' });
  const image = await parts.images.show(ref, askerOf(call));
  if (image?.status !== 'active') throw rescueImageUnusable({ id: ref });
  // The rescue disk must come beside the volume and not in its place.
  const stable = image.properties.hw_rescue_device !== undefined || image.properties.hw_rescue_bus !== undefined;
  if (backed && !stable)
    throw serverNotRescuable({
      id: server.uuid,
      why: 'Cannot rescue a volume-backed instance with an image that has neither hw_rescue_device nor hw_rescue_bus',
    });
  const { status: _status, ...snapshot } = image;
  return snapshot;
}

/** Amazon machine images and ISOs are written to disk byte by byte, as raw ones are. */
const imageRefOf = ({ id, diskFormat, sizeBytes, hashAlgo, hashValue }: ImageSnapshot) => ({
  id,
  diskFormat: diskFormat === 'ami' || diskFormat === 'iso' ? 'raw' : diskFormat,
  sizeBytes,
  hashAlgo,
  hashValue,
});
