import type { Call, Reply } from '../../http/call.ts';
import { one } from '../../http/call.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import { imageGone } from '../../model/errors-misc-api.ts';
import type { Image } from '../../model/image.ts';
import { nextLink, pageLimit } from './links.ts';
import type { MiscParts } from './misc-parts.ts';
import type { Asker } from './server-parts.ts';
import { imageNameView, imageView } from './views/images.ts';

/** Filters of old clients, and what the image service calls them. */
const WORDS: Readonly<Record<string, string>> = {
  name: 'name',
  status: 'status',
  server: 'instance_uuid',
  type: 'image_type',
  minRam: 'min_ram',
  minDisk: 'min_disk',
  'changes-since': 'updated_at',
};
const PROPERTY = 'property-';

export const askerOf = (call: Call): Asker => ({
  token: call.token,
  projectId: call.caller.projectId ?? '',
  userId: call.caller.userId,
  requestId: call.requestId,
});

/** GET /images: names and links.  Spec: compute api-ref "List Images". */
export const listImageNames = (parts: MiscParts, call: Call): Promise<Reply> => list(parts, call, 'images', imageNameView);

/** GET /images/detail.  Spec: compute api-ref "List Images With Details". */
export const listImageDetails = (parts: MiscParts, call: Call): Promise<Reply> => list(parts, call, 'images/detail', imageView);

/** GET /images/{id}.  Throws imageGone (404). */
export async function showImage(parts: MiscParts, call: Call): Promise<Reply> {
  const image = await imageOf(parts, call);
  return { status: 200, body: { image: imageView(call, image, parts.imageProxy.publicUrl(call.origin)) } };
}

/** DELETE /images/{id}.  Throws imageGone (404), and 403 for an image that is protected or another's. */
export async function removeImage(parts: MiscParts, call: Call): Promise<Reply> {
  await orGone(parts.imageProxy.remove(call.params.id ?? '', askerOf(call)));
  return { status: 204 };
}

/** The image the URL names, as the caller may see it. Throws imageGone (404). */
export const imageOf = (parts: MiscParts, call: Call): Promise<Image> => orGone(parts.imageProxy.show(call.params.id ?? '', askerOf(call)));

/** Says imageGone for whatever the image service does not find. */
export async function orGone<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (cause) {
    if (cause instanceof CloudError && cause.kind === 'notFound') throw imageGone({}, { cause });
    throw cause;
  }
}

async function list(parts: MiscParts, call: Call, path: string, view: (call: Call, image: Image, url: string) => object): Promise<Reply> {
  const limit = pageLimit(call, parts.maxLimit ?? 1000);
  const images = limit === 0 ? [] : await page(parts, call, limit);
  const url = parts.imageProxy.publicUrl(call.origin);
  const next = nextLink(call, 'images', path, { full: images.length === limit && limit > 0, marker: images.at(-1)?.id });
  return { status: 200, body: { images: images.map((image) => view(call, image, url)), ...next } };
}

async function page(parts: MiscParts, call: Call, limit: number): Promise<readonly Image[]> {
  try {
    return await parts.imageProxy.list(filters(call), { limit, marker: one(call, 'marker') }, askerOf(call));
  } catch (cause) {
    if (cause instanceof CloudError && (cause.kind === 'invalid' || cause.kind === 'notFound'))
      throw invalidInput({ why: cause.message }, { cause });
    throw cause;
  }
}

/** Query words in the image service's own terms. */
function filters(call: Call): Record<string, string> {
  const words: Record<string, string> = {};
  for (const word of Object.keys(call.query)) {
    const value = one(call, word) ?? '';
    const name = Object.hasOwn(WORDS, word) ? WORDS[word] : word.startsWith(PROPERTY) ? word.slice(PROPERTY.length) : undefined;
    if (!name) continue;
    if (word === 'status') words[name] = value.toLowerCase();
    else if (word === 'changes-since') words[name] = `gte:${value}`;
    // Old clients name a server by its address.
    else if (word === 'server') words[name] = value.split('/').at(-1) ?? value;
    else words[name] = value;
  }
  return words;
}
