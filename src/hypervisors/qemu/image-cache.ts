import { createHash, getHashes } from 'node:crypto';
import { chmod, mkdir, open, readdir, rename, rm, stat, statfs, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { openAbortable } from '../../lib/abortable.ts';
import type { Clock } from '../../lib/clock.ts';
import { newSecret } from '../../lib/ids.ts';
import { createSharedWork } from '../../lib/shared-work.ts';
import { CloudError } from '../../model/errors.ts';
import { imageCorrupt, imageUnusable, noDiskSpace } from '../../model/errors-hypervisor.ts';
import type { CacheReport, CacheRules, ImageFetch, ImageRef } from '../driver.ts';
import { readImageHeader } from './image-header.ts';
import { runProgram, withDiskSpace } from './programs.ts';
import { isImageName, tidyCache } from './tidy-cache.ts';

export interface ImageCache {
  /** Makes the folder and removes what an interrupted download left. */
  open(): Promise<void>;
  fetch(image: ImageRef, source: () => Promise<Readable>, signal: AbortSignal): Promise<ImageFetch>;
  /** Path of a cached image. Throws imageUnusable when it is not there. */
  path(image: ImageRef): Promise<string>;
  /** Path of an image by the name of its file, that `fill` brings when it is not there: another host's, of whose digest nobody can be asked any more. */
  adopt(name: string, fill: (part: string) => Promise<void>): Promise<string>;
  /** Name of an image's file. */
  nameOf(image: ImageRef): string;
  /** Removes images whose names `used` does not answer, by the rules. */
  tidy(rules: CacheRules, used: () => Promise<ReadonlySet<string>>): Promise<CacheReport>;
}

/** Images on this host, one read-only file each, named by id and digest: a file under its final name is whole and checked. */
export function createImageCache(place: () => string, clock: Clock): ImageCache {
  let folder = '';
  const share = createSharedWork<boolean>();
  const nameOf = (image: ImageRef) => {
    if (!/^[\w-]{1,64}$/.test(image.id)) throw imageUnusable({ id: image.id, why: 'its id is not a file name' });
    if (!/^[0-9a-f]{16,}$/i.test(image.hashValue)) throw imageUnusable({ id: image.id, why: 'it has no digest' });
    return `${image.id}.${image.hashValue.slice(0, 16).toLowerCase()}.${image.diskFormat}`;
  };
  const fileOf = (image: ImageRef) => join(folder, nameOf(image));
  /** Says that an image is used now; before it is looked at, so that nobody takes it away in between. */
  const touch = async (file: string) => {
    const now = clock.now() / 1e6;
    await utimes(file, now, now).catch(() => undefined); // not there, or another user's: then nothing of ours removes it
  };
  return {
    async open() {
      folder = place();
      await mkdir(folder, { recursive: true, mode: 0o700 });
      for (const name of await readdir(folder)) if (name.endsWith('.part')) await removeLeftover(join(folder, name), clock.now() / 1000);
    },
    async fetch(image, source, signal) {
      const began = clock.now();
      const file = fileOf(image);
      const cached = await share(file, signal, async (stop) => {
        await touch(file);
        if (await isWhole(file, image)) return true;
        const temporary = `${file}.${newSecret(6)}.part`;
        try {
          await download(image, source, temporary, stop);
          await mustBeUsable(image, temporary);
          await chmod(temporary, 0o444);
          await touch(temporary);
          await rename(temporary, file);
          await syncFolder(folder);
          return false;
        } catch (cause) {
          await rm(temporary, { force: true });
          throw withDiskSpace(cause, `image ${image.id} was fetched`);
        }
      });
      return { cached, ms: Math.round((clock.now() - began) / 1000) };
    },
    async path(image) {
      const file = fileOf(image);
      await touch(file);
      if (!(await isWhole(file, image))) throw imageUnusable({ id: image.id, why: 'it is not in the cache of this host' });
      return file;
    },
    async adopt(name, fill) {
      if (!isImageName(name)) throw imageUnusable({ id: name, why: 'it is not one of a cache' });
      const file = join(folder, name);
      await share(file, new AbortController().signal, async () => {
        await touch(file);
        if (await stat(file).catch(() => undefined)) return true;
        const temporary = `${file}.${newSecret(6)}.part`;
        try {
          await fill(temporary);
          await chmod(temporary, 0o444);
          await rename(temporary, file);
          await syncFolder(folder);
          return false;
        } catch (cause) {
          await rm(temporary, { force: true });
          throw withDiskSpace(cause, `image ${name} was fetched`);
        }
      });
      return file;
    },
    nameOf,
    tidy: async (rules, used) => tidyCache(folder, await used(), rules, clock.now() / 1000, touch),
  };
}

/** What this process did not begin is nobody's, unless another host has the folder too and writes just now. */
async function removeLeftover(file: string, nowMs: number): Promise<void> {
  const shared = basename(dirname(file)) === '_base';
  const seen = await stat(file).catch(() => undefined);
  if (seen && (!shared || nowMs - seen.mtimeMs > QUIET_MS)) await rm(file, { force: true });
}
const QUIET_MS = 3600_000;

async function isWhole(file: string, image: ImageRef): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found?.size === image.sizeBytes;
}

async function download(image: ImageRef, source: () => Promise<Readable>, temporary: string, signal: AbortSignal) {
  if (!getHashes().includes(image.hashAlgo)) throw imageUnusable({ id: image.id, why: `unknown hash algorithm ${image.hashAlgo}` });
  const hash = createHash(image.hashAlgo);
  const file = await open(temporary, 'wx', 0o600);
  try {
    const room = await statfs(temporary);
    if (room.bavail * room.bsize < image.sizeBytes) throw noDiskSpace({ why: `image ${image.id} needs ${image.sizeBytes} bytes` });
    let size = 0;
    for await (const chunk of (await openAbortable(source, signal)) as AsyncIterable<Buffer>) {
      // a byte stream, by the port
      hash.update(chunk);
      size += chunk.length;
      if (size > image.sizeBytes) throw imageCorrupt({ id: image.id, why: `it is longer than ${image.sizeBytes} bytes` });
      await file.appendFile(chunk);
    }
    signal.throwIfAborted();
    if (size !== image.sizeBytes) throw imageCorrupt({ id: image.id, why: `it has ${size} bytes instead of ${image.sizeBytes}` });
    const digest = hash.digest('hex');
    if (digest !== image.hashValue.toLowerCase()) throw imageCorrupt({ id: image.id, why: `its ${image.hashAlgo} is ${digest}` });
    await file.sync();
  } finally {
    await file.close();
  }
}

/** The bytes are what was uploaded; now whether they may be booted: a header that names other files would let a guest read the host's. */
async function mustBeUsable(image: ImageRef, file: string) {
  if (image.diskFormat === 'aki' || image.diskFormat === 'ari') return;
  const refuse = (why: string) => imageUnusable({ id: image.id, why });
  const header = readImageHeader(await head(file));
  if (image.diskFormat === 'raw') {
    if (header.format === 'qcow2') throw refuse('it is called raw and begins as a qcow2 image');
    return;
  }
  if (header.format !== 'qcow2') throw refuse('it is called qcow2 and is not');
  if (header.trouble !== null) throw refuse(header.trouble);
  const told = await describeImage(file, 'qcow2').catch((cause: unknown) => {
    throw cause instanceof CloudError && cause.code === 'guest.hypervisor_failed' ? refuse(cause.message) : cause;
  });
  if (told['backing-filename'] !== undefined) throw refuse('it has a backing file');
}

async function head(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(512), 0, 512, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** What qemu-img says of an image; the format is given, never guessed. */
export async function describeImage(file: string, format: 'qcow2' | 'raw') {
  const text = await runProgram('qemu-img', ['info', '--output=json', '-f', format, file]);
  return JSON.parse(text) as { 'virtual-size': number; 'backing-filename'?: string }; // qemu-img's own form
}

export async function syncFolder(folder: string) {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
