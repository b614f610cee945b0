import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { CloudError } from '../../model/errors.ts';
import { imageDataMissing, imageStoreDenied, imageStoreFull, imageTooLarge } from '../../model/errors-image.ts';
import type { DiskFormat } from '../../model/image.ts';
import { inspectFormat } from './inspect-format.ts';

/** What is known of data that has been written. */
export interface WrittenData {
  readonly sizeBytes: number;
  readonly virtualSizeBytes: number | null;
  /** MD5 in hex. */
  readonly checksum: string;
  readonly hashAlgo: 'sha512';
  readonly hashValue: string;
}

/** Image data as files `<id>` (mode 0600) in one directory; `<id>.<upload>.part` while they are being written. One process owns the directory. */
export interface ImageStore {
  /** Writes, hashes, inspects and syncs the data beside its final place. Throws what went wrong as a CloudError, and then nothing is left. */
  write(id: string, upload: string, source: AsyncIterable<Uint8Array>, want: WriteWish): Promise<WrittenData>;
  /** Puts written data at its place, durably. */
  publish(id: string, upload: string): Promise<void>;
  /** The data from byte `first` to `last`, both included. A later `remove` does not disturb it. */
  read(id: string, first: number, last: number): Promise<Readable>;
  /** Removes data and half-written data of the image; fine when there is none. */
  remove(id: string, upload?: string): Promise<void>;
  /** Ids and unfinished uploads found in the directory. */
  found(): Promise<{ readonly ids: readonly string[]; readonly parts: readonly string[] }>;
  removePart(name: string): Promise<void>;
}
export interface WriteWish {
  readonly format: DiskFormat;
  readonly maxBytes: number;
}

const DATA = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const FLUSH_EVERY = 32 * 1024 * 1024;

/** Opens the directory, made when absent. Throws imageStoreDenied when that is not possible. */
export async function openImageStore(dir: string): Promise<ImageStore> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw imageStoreDenied({ why: String(cause) }, { cause, detail: `mkdir ${dir}` });
  }
  const part = (id: string, upload: string) => join(dir, `${id}.${upload}.part`);
  return {
    async write(id, upload, source, want) {
      const path = part(id, upload);
      let handle: FileHandle | undefined;
      try {
        handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
        const facts = await pour(source, handle, want.maxBytes);
        const { virtualSizeBytes } = await inspectFormat(path, want.format);
        await handle.sync();
        await handle.close();
        handle = undefined;
        return { ...facts, virtualSizeBytes };
      } catch (cause) {
        await handle?.close().catch(() => undefined); // a full disk may refuse even that
        await rm(path, { force: true });
        throw storeError(cause, id);
      }
    },
    async publish(id, upload) {
      try {
        await rename(part(id, upload), join(dir, id));
        await syncDirectory(dir);
      } catch (cause) {
        await rm(part(id, upload), { force: true });
        throw storeError(cause, id);
      }
    },
    async read(id, first, last) {
      try {
        const handle = await open(join(dir, id), 'r');
        return createReadStream('', { fd: handle, start: first, end: last, highWaterMark: 256 * 1024 });
      } catch (cause) {
        if (codeOf(cause) === 'ENOENT') throw imageDataMissing({ id }, { cause });
        throw storeError(cause, id);
      }
    },
    async remove(id, upload) {
      await rm(upload === undefined ? join(dir, id) : part(id, upload), { force: true });
    },
    async found() {
      const names = await readdir(dir).catch((cause: unknown) => {
        throw imageStoreDenied({ why: String(codeOf(cause)) }, { cause, detail: `readdir ${dir}` });
      });
      return { ids: names.filter((name) => DATA.test(name)), parts: names.filter((name) => name.endsWith('.part')) };
    },
    removePart: (name) => rm(join(dir, name), { force: true }),
  };
}

/** Copies the source into the file, one chunk at a time: the next is only asked for when the last is written. */
async function pour(source: AsyncIterable<Uint8Array>, handle: FileHandle, maxBytes: number) {
  const md5 = createHash('md5');
  const sha512 = createHash('sha512');
  let size = 0;
  let unflushed = 0;
  for await (const chunk of source) {
    if (size + chunk.length > maxBytes) throw imageTooLarge({ limit: maxBytes });
    md5.update(chunk);
    sha512.update(chunk);
    await writeAll(handle, chunk);
    size += chunk.length;
    unflushed += chunk.length;
    if (unflushed >= FLUSH_EVERY) {
      await handle.datasync(); // or gigabytes of dirty pages wait for the one sync at the end
      unflushed = 0;
    }
  }
  return { sizeBytes: size, checksum: md5.digest('hex'), hashAlgo: 'sha512' as const, hashValue: sha512.digest('hex') };
}

async function writeAll(handle: FileHandle, chunk: Uint8Array) {
  for (let done = 0; done < chunk.length; ) done += (await handle.write(chunk, done, chunk.length - done)).bytesWritten;
}

async function syncDirectory(dir: string) {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const codeOf = (cause: unknown): string | undefined =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : undefined;

function storeError(cause: unknown, id: string): unknown {
  if (cause instanceof CloudError) return cause;
  const code = codeOf(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return imageStoreFull({ id }, { cause, detail: code });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT')
    return imageStoreDenied({ why: code }, { cause, detail: String(cause) });
  return cause;
}
