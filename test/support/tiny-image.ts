import { cpSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildTinyImage, type TinyImage } from '../../src/cloud/tiny-image.ts';
import { silentLog } from '../../src/lib/log.ts';

/** Where tests keep what they download and build once for all. A `share` is in it as in the default data dir. */
export const tinyFolder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kilonova-test', 'share');

/** The tiny image, built by whoever needs it first. */
export const sharedTinyImage = (): Promise<TinyImage> =>
  buildTinyImage({ outDir: join(tinyFolder, 'tiny-image'), workDir: tinyFolder, log: silentLog, signal: new AbortController().signal });

/** Puts it where a cloud looks for the one it built before, so that a story about guests does not wait for another. */
export async function placeTinyImage(dataDir: string): Promise<void> {
  await sharedTinyImage();
  cpSync(join(tinyFolder, 'tiny-image'), join(dataDir, 'tiny-image'), { recursive: true, filter: (path) => !path.includes('/.tiny-') });
}
