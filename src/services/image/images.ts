import { deleteImage, findImage, imageIdTaken, insertImage, lockImage, updateImage } from '../../db/tables/image/images.ts';
import { listImages, markerRow } from '../../db/tables/image/list-images.ts';
import type { Call, Reply } from '../../http/call.ts';
import { newUuid } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { imageExists, imageNotFound, imageOwnerForbidden, imageProtected } from '../../model/errors-image.ts';
import type { Image } from '../../model/image.ts';
import { type ImageParts, seenImage, targetOf, viewerOf } from './find-image.ts';
import { mustBeImageId, mustBeWithinLimits, setField } from './image-fields.ts';
import { applyPatch, readPatch } from './image-patch.ts';
import { imageView } from './image-view.ts';
import { readListQuery } from './list-query.ts';

/** Registers an image that has no data yet. Answers 201 with its place.
 *  Throws 400, read-only and reserved names (403), imageExists (409), imageLimit (413).  Spec: image api-ref "Create image". */
export async function createImage({ db, clock }: ImageParts, call: Call): Promise<Reply> {
  const wish = objectBody(call.body);
  const now = clock.now();
  const draft = { ...freshImage(now), owner: call.caller.projectId };
  if (Object.hasOwn(wish, 'id')) draft.id = mustBeImageId(wish.id);
  for (const [name, value] of Object.entries(wish)) if (name !== 'id') setField(draft, name, value);
  mustBeWithinLimits(draft);
  const image: Image = draft;
  if (image.owner !== call.caller.projectId && !call.allows('context_is_admin'))
    throw imageOwnerForbidden({ owner: String(image.owner).slice(0, 100) });
  call.allow(targetOf(image, null));
  mustBeAllowedVisibility(call, image);
  try {
    await db.transaction((tx) => insertImage(tx, image));
  } catch (cause) {
    // Ids of deleted images stay taken; which of two creates at once was first, only the unique key knows.
    if (await imageIdTaken(db.read, image.id)) throw imageExists({ id: image.id }, { cause });
    throw cause;
  }
  return { status: 201, body: imageView(image), headers: { location: `${call.base}/v2/images/${image.id}` } };
}

export async function showImage(parts: ImageParts, call: Call): Promise<Reply> {
  const { image, target } = await seenImage(parts, call);
  call.allow(target);
  return { status: 200, body: imageView(image) };
}

/** One page of images with links to the first and the next.  Spec: image api-ref "List images". */
export async function listAll({ db }: ImageParts, call: Call): Promise<Reply> {
  const wish = readListQuery(call);
  const viewer = viewerOf(call);
  let after: Awaited<ReturnType<typeof markerRow>>;
  if (wish.marker !== undefined) {
    after = await markerRow(db.read, wish.marker, viewer);
    if (!after) throw invalidInput({ why: `Marker '${wish.marker.slice(0, 100)}' could not be found.` });
  }
  const images = await listImages(db.read, viewer, wish.filter, { sort: wish.sort, limit: wish.limit, after });
  const words = new URLSearchParams();
  for (const [word, values] of Object.entries(call.query)) if (word !== 'marker') for (const value of values) words.append(word, value);
  const link = () => (words.size > 0 ? `/v2/images?${words}` : '/v2/images');
  const first = link();
  const last = images.at(-1);
  if (last) words.append('marker', last.image.id);
  return {
    status: 200,
    body: {
      images: images.map(({ image }) => imageView(image)),
      first,
      schema: '/v2/schemas/images',
      ...(last && images.length === wish.limit ? { next: link() } : {}),
    },
  };
}

/** Applies a JSON patch. Throws 400, 403, 409 (property absent or present), 413, 415.  Spec: image api-ref "Update image". */
export async function patchImage(parts: ImageParts, call: Call): Promise<Reply> {
  const steps = readPatch(call.headers['content-type'], call.body);
  const seen = await seenImage(parts, call);
  // A patch of nothing changes nothing: it asks no more than showing the image does, as upstream.
  call.allow(seen.target, steps.length === 0 ? 'get_image' : 'modify_image');
  if (steps.length === 0) return { status: 200, body: imageView(seen.image) };
  const now = parts.clock.now();
  const changed = await parts.db.transaction(async (tx) => {
    if (!(await lockImage(tx, seen.image.id, now))) throw imageNotFound({ id: seen.image.id });
    const current = await findImage(tx, seen.image.id);
    if (!current) throw imageNotFound({ id: seen.image.id });
    const image = { ...applyPatch(current.image, steps), updatedAt: now };
    if (image.owner !== current.image.owner && !call.allows('context_is_admin'))
      throw imageOwnerForbidden({ owner: String(image.owner).slice(0, 100) });
    if (image.visibility !== current.image.visibility) mustBeAllowedVisibility(call, image);
    await updateImage(tx, current.key, image);
    return image;
  });
  return { status: 200, body: imageView(changed) };
}

/** Removes an image and its data; downloads that run go on. Throws imageProtected (403). */
export async function removeImage(parts: ImageParts, call: Call): Promise<Reply> {
  const { image, target } = await seenImage(parts, call);
  call.allow(target);
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    if (!(await lockImage(tx, image.id, now))) throw imageNotFound({ id: image.id });
    const current = await findImage(tx, image.id);
    if (current?.image.protected) throw imageProtected({ id: image.id });
    await deleteImage(tx, image.id, now);
  });
  try {
    await parts.store.remove(image.id);
  } catch (cause) {
    parts.log.warn(
      { image: image.id, err: cause },
      'data of a deleted image could not be removed now; the next start of the image service does it',
    );
  }
  return { status: 204 };
}

/** An image as it is before anything is said about it. */
export const freshImage = (now: number): { -readonly [K in keyof Image]: Image[K] } => ({
  id: newUuid(),
  name: null,
  status: 'queued',
  visibility: 'shared',
  owner: null,
  diskFormat: null,
  containerFormat: null,
  protected: false,
  hidden: false,
  minDiskGiB: 0,
  minMemoryMiB: 0,
  sizeBytes: null,
  virtualSizeBytes: null,
  checksum: null,
  hashAlgo: null,
  hashValue: null,
  properties: {},
  tags: [],
  createdAt: now,
  updatedAt: now,
});

function mustBeAllowedVisibility(call: Call, image: Image): void {
  const rule = { public: 'publicize_image', community: 'communitize_image', private: undefined, shared: undefined }[image.visibility];
  if (rule) call.allow(targetOf(image, null), rule);
}

export function objectBody(body: unknown): Record<string, unknown> {
  if (body === null || typeof body !== 'object' || Array.isArray(body))
    throw invalidInput({ why: 'The request body must be a JSON object.' });
  return body as Record<string, unknown>; // just seen to be one
}
