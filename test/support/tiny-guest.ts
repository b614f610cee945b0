import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { buildTinyImage } from '../../src/cloud/tiny-image.ts';
import type { Driver, ImageRef } from '../../src/hypervisors/driver.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { silentLog } from '../../src/lib/log.ts';
import { testGuest } from '../contracts/driver.ts';

/** Where tests keep what they download: it is fetched once. */
export const downloads = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'kilonova-test');

/** Brings a file into a host's cache of images, as an image of its own. */
export async function cacheFile(driver: Driver, file: string, diskFormat: ImageRef['diskFormat']): Promise<ImageRef> {
  const bytes = await readFile(file);
  const hashValue = createHash('sha512').update(bytes).digest('hex');
  const ref = { id: newUuid(), diskFormat, sizeBytes: bytes.length, hashAlgo: 'sha512', hashValue };
  await driver.fetchImage(ref, async () => createReadStream(file), new AbortController().signal);
  return ref;
}

/** Builds the tiny operating system in a folder, and a guest of it for a host, not started. */
export async function tinyGuest(driver: Driver, folder: string, more: Parameters<typeof testGuest>[1]) {
  const files = await buildTinyImage({ outDir: folder, workDir: downloads, log: silentLog, signal: new AbortController().signal });
  const guest = testGuest(await cacheFile(driver, files.disk, 'qcow2'), {
    kernel: await cacheFile(driver, files.kernel, 'aki'),
    ramdisk: await cacheFile(driver, files.initrd, 'ari'),
    kernelCommandLine: files.commandLine,
    ...more,
  });
  return { files, guest };
}
