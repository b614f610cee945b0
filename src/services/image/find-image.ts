import type { Database } from '../../db/engine.ts';
import { findImage, type KeyedImage } from '../../db/tables/image/images.ts';
import type { Viewer } from '../../db/tables/image/list-images.ts';
import { findMember } from '../../db/tables/image/members.ts';
import type { Call } from '../../http/call.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { imageNotFound } from '../../model/errors-image.ts';
import type { Image } from '../../model/image.ts';
import type { Target } from '../../model/policy.ts';
import type { ImageStore } from './store.ts';

/** What the image service is made of. */
export interface ImageParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly store: ImageStore;
  readonly maxImageBytes: number;
}

export const viewerOf = (call: Call): Viewer => ({ projectId: call.caller.projectId, admin: call.allows('context_is_admin') });

export interface SeenImage extends KeyedImage {
  /** What policy rules are held against. */
  readonly target: Target;
}

/** The image a request names, if its caller may know of it. Throws imageNotFound (404) otherwise, alike for absent and for hidden ones. */
export async function seenImage({ db }: ImageParts, call: Call): Promise<SeenImage> {
  const id = call.params.id ?? '';
  const found = await findImage(db.read, id.toLowerCase());
  if (!found) throw imageNotFound({ id: id.slice(0, 100) });
  const { image } = found;
  const { projectId, admin } = viewerOf(call);
  const own = projectId !== null && image.owner === projectId;
  const member = !own && projectId !== null && image.visibility === 'shared' ? await findMember(db.read, found, projectId) : undefined;
  const target = targetOf(image, member ? projectId : null);
  const open = image.visibility === 'public' || image.visibility === 'community';
  if (!(admin || own || open || member) || !call.allows('get_image', target)) throw imageNotFound({ id });
  return { ...found, target };
}

export const targetOf = (image: Pick<Image, 'owner' | 'visibility'>, memberId: string | null): Target => ({
  project_id: image.owner,
  owner: image.owner,
  visibility: image.visibility,
  member_id: memberId,
});
