import { statSync, unlinkSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { CacheReport, CacheRules } from '../driver.ts';
import { readDiskBook } from './disk-book.ts';
import { readBackingName } from './image-header.ts';

/** Whether a file of the cache goes by this name. */
export const isImageName = (name: string) => IMAGE.test(name);
const IMAGE = /^[\w-]{1,64}\.[0-9a-f]{16}\.(qcow2|raw|aki|ari)$/;
/** An image that was asked for a moment ago is about to be used, whatever the limit says. */
const ABOUT_TO_BE_USED_MS = 60_000;

/** Removes cached images that nobody stands on. A file's own time is that of its last use: whoever is about to use an image sets it first, and here it
 *  is looked at once more in the same breath in which the file goes. `touch` sets it of images in use. */
export async function tidyCache(
  folder: string,
  used: ReadonlySet<string>,
  rules: CacheRules,
  nowMs: number,
  touch: (file: string) => Promise<void>,
): Promise<CacheReport> {
  const found: { file: string; bytes: number; usedMs: number }[] = [];
  let [images, bytes, inUse] = [0, 0, 0];
  for (const name of await readdir(folder).catch(() => [])) {
    if (!isImageName(name)) continue;
    const file = join(folder, name);
    const seen = await stat(file).catch(() => undefined);
    if (!seen) continue;
    images++;
    bytes += seen.size;
    if (used.has(name)) {
      inUse++;
      await touch(file);
    } else found.push({ file, bytes: seen.size, usedMs: seen.mtimeMs });
  }
  const removed: string[] = [];
  let freedBytes = 0;
  for (const one of found.sort((a, b) => a.usedMs - b.usedMs)) {
    const tooMuch = rules.limitBytes > 0 && bytes - freedBytes > rules.limitBytes;
    if (!rules.removeUnused && !tooMuch) continue;
    const least = tooMuch ? Math.min(rules.minimumAgeMs, ABOUT_TO_BE_USED_MS) : rules.minimumAgeMs;
    if (!removeUnless(one.file, (usedMs) => nowMs - usedMs < least)) continue;
    removed.push(basename(one.file));
    freedBytes += one.bytes;
  }
  return { images: images - removed.length, bytes: bytes - freedBytes, inUse, removed, freedBytes };
}

/** No wait between the look and the deed: nobody of this process comes between. */
function removeUnless(file: string, spared: (usedMs: number) => boolean): boolean {
  const seen = statSync(file, { throwIfNoEntry: false });
  if (!seen || spared(Math.floor(seen.mtimeMs))) return false;
  unlinkSync(file);
  return true;
}

/** What may stand on an image, half made too. All other disks are raw: what a guest writes at their beginning is no header. */
const OVERLAY = /^disk(\.rescue)?(\.part)?$/;
/** Names of the images that disks in these guests' folders stand on, whatever is known of the guests. A folder that cannot be read is somebody's loss of
 *  sight, not of disks: then this throws, and nothing is removed. */
export async function backingsIn(instances: string): Promise<Set<string>> {
  const names = new Set<string>();
  for (const folder of await readdir(instances)) {
    const files = await readdir(join(instances, folder)).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOTDIR' || cause.code === 'ENOENT') return []; // no guest's, or gone meanwhile
      throw cause;
    });
    const book = files.length > 0 ? await readDiskBook({ folder: join(instances, folder) }) : {};
    for (const file of files) {
      if (!OVERLAY.test(file) || book[file.replace(/\.part$/, '')]?.format === 'raw') continue;
      const backing = await readBackingName(join(instances, folder, file)).catch((cause: NodeJS.ErrnoException) => {
        if (cause.code === 'ENOENT') return null;
        throw cause;
      });
      if (backing) names.add(basename(backing));
    }
  }
  return names;
}
