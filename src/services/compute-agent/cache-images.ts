import type { ImageRef } from '../../hypervisors/driver.ts';
import { imageUnusable } from '../../model/errors-hypervisor.ts';
import type { AgentParts } from './parts.ts';

const FORMATS: ReadonlySet<string> = new Set<ImageRef['diskFormat']>(['qcow2', 'raw', 'aki', 'ari']);

/** Fetches images before a server needs them, one after the other, and answers which are here now. What cannot be had is logged and left out: a build that
 *  needs it fetches again.  Spec: microversion 2.81. */
export async function cacheImages(
  parts: AgentParts,
  imageIds: readonly string[],
  signal: AbortSignal,
): Promise<{ cached: string[]; failed: string[] }> {
  const { driver, image, log } = parts;
  const there: string[] = [];
  const failed: string[] = [];
  for (const id of imageIds) {
    if (signal.aborted) break;
    try {
      const { diskFormat, sizeBytes, hashAlgo, hashValue } = await image.show(id);
      if (sizeBytes === null || hashAlgo === null || hashValue === null) throw imageUnusable({ id, why: 'it has no data' });
      if (diskFormat === null || !FORMATS.has(diskFormat)) throw imageUnusable({ id, why: `a disk format ${diskFormat} is not cached` });
      const ref: ImageRef = { id, diskFormat: diskFormat as ImageRef['diskFormat'], sizeBytes, hashAlgo, hashValue }; // one of them by the line above
      const { cached, ms } = await driver.fetchImage(ref, () => image.download(id), signal);
      log.info({ image: id, cached, ms }, 'image is in the cache');
      there.push(id);
    } catch (cause) {
      failed.push(id);
      log.warn({ err: cause, image: id }, 'an image could not be cached ahead of time');
    }
  }
  return { cached: there, failed };
}
