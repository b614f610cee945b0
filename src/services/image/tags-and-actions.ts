import { findImage, lockImage, moveImage, updateImage } from '../../db/tables/image/images.ts';
import type { Call, Reply } from '../../http/call.ts';
import { imageActionInStatus, imageNotFound, imageTagNotFound } from '../../model/errors-image.ts';
import type { Image, ImageStatus } from '../../model/image.ts';
import { type ImageParts, seenImage } from './find-image.ts';
import { mustBeTag, mustBeWithinLimits } from './image-fields.ts';

/** What is being done to an image behind a request: nothing ever, data comes and goes within requests here. */
export async function listImageTasks(parts: ImageParts, call: Call): Promise<Reply> {
  const { target } = await seenImage(parts, call);
  call.allow(target);
  return { status: 200, body: { tasks: [] } };
}

/** Adds a tag; fine when it is there. */
export function addTag(parts: ImageParts, call: Call): Promise<Reply> {
  const tag = mustBeTag(call.params.tag);
  return change(parts, call, (image) => ({ ...image, tags: [...new Set([...image.tags, tag])] }));
}

/** Removes a tag. Throws imageTagNotFound (404). */
export function removeTag(parts: ImageParts, call: Call): Promise<Reply> {
  const tag = call.params.tag ?? '';
  return change(parts, call, (image) => {
    if (!image.tags.includes(tag)) throw imageTagNotFound({ tag: tag.slice(0, 255), id: image.id });
    return { ...image, tags: image.tags.filter((other) => other !== tag) };
  });
}

async function change(parts: ImageParts, call: Call, how: (image: Image) => Image): Promise<Reply> {
  const { image, target } = await seenImage(parts, call);
  call.allow(target);
  const now = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    const current = (await lockImage(tx, image.id, now)) ? await findImage(tx, image.id) : undefined;
    if (!current) throw imageNotFound({ id: image.id });
    const changed = how(current.image);
    mustBeWithinLimits(changed);
    await updateImage(tx, current.key, changed);
  });
  return { status: 204 };
}

/** Which states allow which action, and where it leads; in the state it leads to it changes nothing. */
const ACTIONS = {
  deactivate: { from: ['active', 'deactivated'], to: 'deactivated' },
  reactivate: { from: ['deactivated', 'active'], to: 'active' },
} satisfies Record<string, { from: readonly ImageStatus[]; to: ImageStatus }>;

/** Withholds the data from everybody but admins, or gives it free again. Throws imageActionInStatus (403). */
export const act =
  (action: keyof typeof ACTIONS) =>
  async (parts: ImageParts, call: Call): Promise<Reply> => {
    const { image, target } = await seenImage(parts, call);
    call.allow(target);
    const { from, to } = ACTIONS[action];
    const now = parts.clock.now();
    const done = await parts.db.transaction((tx) => moveImage(tx, image.id, { status: from }, { status: to, updated_at: now }));
    if (!done) {
      const current = await findImage(parts.db.read, image.id);
      if (!current) throw imageNotFound({ id: image.id });
      throw imageActionInStatus({ action, status: current.image.status });
    }
    return { status: 204 };
  };
