import { quotaLimits } from '../../db/tables/compute/quotas.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import { backupNeedsLocalDisk, imageQuotaExceeded } from '../../model/errors-acts.ts';
import type { SnapshotServerInput } from '../../model/jobs.ts';
import type { Server } from '../../model/server.ts';
import { intend, isMute, type RequestIntent } from './request-intent.ts';
import { imageIdIsInTheBody, imageMetadataIsFree } from './server-behaviours.ts';
import { askerOf, ownerOf, serverOf } from './server-find.ts';
import { defaultLimits, type NewImage, type ServerParts } from './server-parts.ts';
import { beginTask, mustAllow } from './server-tasks.ts';
import { checkMetadata } from './server-wish.ts';
import type { CreateBackup, CreateImage } from './shapes/server-acts.ts';
import { isVolumeBacked } from './volume-backed.ts';

/** createImage: the server's disk becomes an image of the caller's. Answers 202 with its id, before 2.45 with its place.
 *  Spec: compute api-ref "Create Image". */
export async function createServerImage(parts: ServerParts, call: Call<CreateImage>): Promise<Reply> {
  const { name, metadata = {} } = call.body.createImage;
  if (!imageMetadataIsFree(call.version))
    checkMetadata(metadata, await quotaLimits(parts.db.read, call.caller.projectId ?? '', defaultLimits(parts)));
  const server = await serverOf(parts.db.read, call);
  mustAllow('createImage', 'createImage', server, call);
  const wanted = { type: 'snapshot', properties: metadata, backup: null } as const;
  if (isVolumeBacked(server)) {
    call.allow(ownerOf(server), 'os_compute_api:servers:create_image:allow_volume_backed');
    return answer(parts, call, await begin(parts, call, server, { ...wanted, name: nameIn(call, name) }, 'snapshot-volumes'));
  }
  const id = await begin(parts, call, server, { ...wanted, name: nameIn(call, name) });
  return answer(parts, call, id);
}

/** createBackup: as createImage, and of the server's backups of that type only the newest `rotation` are kept. Throws backupNeedsLocalDisk (400).
 *  Spec: compute api-ref "Create Server Back Up". */
export async function createBackup(parts: ServerParts, call: Call<CreateBackup>): Promise<Reply> {
  const { name, backup_type: type, rotation: asked, metadata = {} } = call.body.createBackup;
  const rotation = Number(asked);
  if (!Number.isSafeInteger(rotation)) throw invalidInput({ why: 'rotation must be an integer of at least 0.' });
  if (!imageMetadataIsFree(call.version))
    checkMetadata(metadata, await quotaLimits(parts.db.read, call.caller.projectId ?? '', defaultLimits(parts)));
  const server = await serverOf(parts.db.read, call);
  mustAllow('createBackup', 'createBackup', server, call);
  if (isVolumeBacked(server)) throw backupNeedsLocalDisk({});
  const properties = { ...metadata, backup_type: type };
  const id = await begin(parts, call, server, { name: nameIn(call, name), type: 'backup', properties, backup: { type, rotation } });
  return rotation === 0 && !imageIdIsInTheBody(call.version) ? { status: 202 } : answer(parts, call, id);
}

const nameIn = (call: Call<unknown>, name: string) => (call.legacy ? name.trim() : name);

const answer = (parts: ServerParts, call: Call, id: string): Reply =>
  imageIdIsInTheBody(call.version)
    ? { status: 202, body: { image_id: id } }
    : { status: 202, headers: { location: parts.images.location(id, call.origin) } };

interface Wanted {
  readonly name: string;
  readonly type: 'snapshot' | 'backup';
  readonly properties: Readonly<Record<string, string>>;
  readonly backup: SnapshotServerInput['backup'];
}
/** Registers the image, then begins the task; the image goes again when the task cannot begin. */
async function begin(
  parts: ServerParts,
  call: Call,
  seen: Server,
  wanted: Wanted,
  kind: 'snapshot-server' | 'snapshot-volumes' = 'snapshot-server',
): Promise<string> {
  const { imageId, intent } = await register(parts, call, seen, newImage(call, seen, wanted));
  const actionName = wanted.backup ? 'createBackup' : 'createImage';
  try {
    await beginTask<'snapshot-server' | 'snapshot-volumes'>(parts, call, seen, (server) => {
      mustAllow(actionName, actionName, server, call);
      const { uuid: serverUuid } = server;
      const common = { actionName, details: { imageId }, also: intent.fulfil };
      // The guest has no part in it: no task shows.
      if (kind === 'snapshot-volumes') return { ...common, taskState: null, kind, input: { serverUuid, imageId, imageName: wanted.name } };
      const taskState = wanted.backup ? 'image_backup' : 'image_snapshot_pending';
      return { ...common, taskState, kind, input: { serverUuid, imageId, backup: wanted.backup } };
    });
  } catch (cause) {
    await unregister(parts, call, { imageId, intent }, cause);
    throw cause;
  }
  return imageId;
}

/** Registers an image of a server; whoever accepts the request fulfils the intent, else the image goes again. Throws the image service's refusals; its quotas
 *  are a 403 here, as in Nova. */
export async function register(
  parts: ServerParts,
  call: Call,
  server: Pick<Server, 'uuid'>,
  wish: NewImage,
): Promise<{ readonly imageId: string; readonly intent: RequestIntent }> {
  const id = newUuid();
  const intent = await intend(parts, call, server.uuid, { imageId: id });
  try {
    return { imageId: await parts.images.create({ ...wish, id }, askerOf(call)), intent };
  } catch (cause) {
    if (!isMute(cause)) await intent.forget();
    if (cause instanceof CloudError && cause.kind === 'tooLarge') throw imageQuotaExceeded({ why: cause.message }, { cause });
    throw cause;
  }
}

/** The image goes again, whose request was refused because of `cause`. Where nobody knows whether it was accepted, a conductor sees to it. */
export async function unregister(
  parts: ServerParts,
  call: Call,
  { imageId, intent }: { readonly imageId: string; readonly intent: RequestIntent },
  cause: unknown,
): Promise<void> {
  if (isMute(cause)) return;
  await parts.images
    .remove(imageId)
    .then(intent.forget)
    .catch((undo) => call.log.warn({ err: undo, image: imageId }, 'an unused image could not be removed'));
}

/** Properties that are an image's own and not inherited.  Spec: non_inheritable_image_properties. */
const OWN = new Set([
  'block_device_mapping',
  'bdm_v2',
  'root_device_name',
  'cache_in_nova',
  'bittorrent',
  'img_signature_hash_method',
  'img_signature',
  'img_signature_key_type',
  'img_signature_certificate_uuid',
]);

/** The image a server's disk becomes: it inherits what its own image says of booting, and says where it comes from. */
export function newImage(call: Call, server: Server, wanted: Pick<Wanted, 'name' | 'type' | 'properties'>): NewImage {
  const { image, flavor } = server;
  const inherited = Object.fromEntries(Object.entries(image?.properties ?? {}).filter(([name]) => !OWN.has(name)));
  return {
    name: wanted.name,
    // So that the server's owner sees an image that another project's admin made of it.
    visibility: server.projectId === call.caller.projectId ? 'private' : 'shared',
    minDiskGiB: Math.max(image?.minDiskGiB ?? 0, isVolumeBacked(server) ? 0 : flavor.rootGiB),
    minMemoryMiB: image?.minMemoryMiB ?? 0,
    properties: {
      ...inherited,
      ...(server.imageId === null ? {} : { base_image_ref: server.imageId }),
      image_location: 'snapshot',
      image_state: 'available',
      owner_id: server.projectId,
      image_type: wanted.type,
      ...wanted.properties,
      instance_uuid: server.uuid,
      user_id: call.caller.userId,
    },
  };
}
