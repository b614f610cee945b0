import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, truncate } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import type { Readable } from 'node:stream';
import { CloudError } from '../../model/errors.ts';
import { volumeCopyFailed, volumeFormatNeedsTool, volumeStoreDenied, volumeStoreFull } from '../../model/errors-volume.ts';
import { headerBytes, type Lock } from './luks.ts';

export const GIB = 1024 ** 3;
/** What lies in the store: a volume's data or a snapshot's. */
export type Kept = `volume-${string}` | `snapshot-${string}`;

/** Volumes and snapshots as raw sparse files (mode 0600) in one directory; `<name>.part` while one is being written. All of it is safe to repeat. */
export interface VolumeStore {
  /** Where guests find it. */
  path(name: Kept): string;
  has(name: Kept): Promise<boolean>;
  /** An empty disk. */
  blank(name: Kept, bytes: number, lock?: Lock): Promise<void>;
  /** A copy of another, at least `bytes` long. */
  copy(from: Kept, to: Kept, bytes: number, signal: AbortSignal, cover?: Cover): Promise<void>;
  /** The data of an image, in its format, as a disk of at least `bytes`. Throws volumeFormatNeedsTool, volumeCopyFailed (also for one that is too long). */
  fill(name: Kept, data: Readable, format: string, bytes: number, signal: AbortSignal, lock?: Lock): Promise<void>;
  /** Makes it longer; never shorter. */
  extend(name: Kept, bytes: number, cover?: Cover): Promise<void>;
  /** The data in an image's format, to be read; `done` throws away what was made for it. */
  read(name: Kept, format: string, signal: AbortSignal): Promise<{ data: Readable; done: () => Promise<void> }>;
  remove(name: Kept): Promise<void>;
  /** Whether images of the format can be read and written here. */
  speaks(format: string): boolean;
  /** Whether volumes can be encrypted here. */
  readonly locks: boolean;
}
/** Whether a header stands before the data. Sizes are always those of the data. */
export type Cover = 'plain' | 'locked';

const BLOCK = 1024 * 1024;
const RAW = new Set(['raw', 'iso', 'aki', 'ari', 'ami']);

function find(program: string): string | undefined {
  for (const folder of [...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/bin']) {
    if (folder === '') continue;
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {}
  }
  return undefined;
}

function run(program: string, args: readonly string[], signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { signal, env: { ...process.env, LC_ALL: 'C' } }, (cause, _out, stderr) => {
      if (!cause) return resolve();
      if (/No space left|Disk quota/.test(stderr)) return reject(volumeStoreFull({}, { cause }));
      reject(
        volumeCopyFailed(
          {
            why:
              stderr
                .trim()
                .split('\n')
                .at(-1)
                ?.replaceAll(/'?\/\S+'?/g, 'the file') || 'it was interrupted',
          },
          { cause, detail: stderr },
        ),
      );
    });
    child.stdin?.end();
  });
}

/** Opens the directory, made when absent. Throws volumeStoreDenied. `qemuImg`: path of the program, null to do without. */
export async function openVolumeStore(dir: string, more: { qemuImg?: string | null } = {}): Promise<VolumeStore> {
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw volumeStoreDenied({ why: String(cause) }, { cause, detail: `mkdir ${dir}` });
  }
  const qemuImg = more.qemuImg === undefined ? find('qemu-img') : (more.qemuImg ?? undefined);
  const cp = find('cp');
  const path = (name: string) => join(dir, name);
  const speaks = (format: string) => RAW.has(format) || (qemuImg !== undefined && ['qcow2', 'vmdk', 'vdi', 'vhd'].includes(format));
  const tool = (format: string): string => {
    if (qemuImg === undefined) throw volumeFormatNeedsTool({ format });
    return qemuImg;
  };
  /** Makes `name` by way of its part: there whole, or not at all. */
  const whole = async (name: Kept, bytes: number, write: (part: string) => Promise<void>) => {
    const part = path(`${name}.part`);
    try {
      await rm(part, { force: true });
      await (await open(part, 'wx', 0o600)).close();
      await write(part);
      if ((await stat(part)).size < bytes) await truncate(part, bytes);
      const handle = await open(part, 'r+');
      await handle.sync().finally(() => handle.close());
      await rename(part, path(name));
    } catch (cause) {
      await rm(part, { force: true });
      throw storeError(cause);
    }
  };
  /** Runs qemu-img with the secret in a file of its own, which lives as long as that. */
  const withSecret = async (name: Kept, lock: Lock, signal: AbortSignal, args: (object: string[]) => string[]) => {
    const file = path(`${name}.key.part`);
    try {
      await rm(file, { force: true });
      const handle = await open(file, 'wx', 0o600);
      await handle.writeFile(lock.secret).finally(() => handle.close());
      await run(tool('luks'), args(['--object', `secret,id=key,file=${file.replaceAll(',', ',,')}`]), signal);
    } finally {
      await rm(file, { force: true });
    }
  };
  const createLocked = (name: Kept, part: string, bytes: number, lock: Lock, signal: AbortSignal) =>
    withSecret(name, lock, signal, (object) => [
      ...['create', '-q', '-f', 'luks', ...object, '-o', `key-secret=key,${lock.words}`, part, String(bytes)],
    ]);
  /** How long the file of a disk of so many bytes is. */
  const fileBytes = async (file: string, bytes: number, cover: Cover) => bytes + (cover === 'locked' ? await headerBytes(file) : 0);
  return {
    path,
    speaks,
    locks: qemuImg !== undefined,
    has: (name) =>
      stat(path(name)).then(
        () => true,
        () => false,
      ),
    blank: (name, bytes, lock) =>
      whole(name, bytes, (part) => (lock ? createLocked(name, part, bytes, lock, new AbortController().signal) : Promise.resolve())),
    copy: async (from, to, bytes, signal, cover = 'plain') =>
      whole(to, await fileBytes(path(from), bytes, cover).catch(rethrow), async (part) => {
        if (cp === undefined) return copySparse(path(from), part, signal);
        try {
          await run(cp, ['--sparse=always', '--reflink=auto', path(from), part], signal);
        } catch (cause) {
          if (signal.aborted || (cause instanceof CloudError && cause.code !== 'volume.copy_failed')) throw cause;
          await copySparse(path(from), part, signal); // a cp that does not know the words
        }
      }),
    fill: (name, data, format, bytes, signal, lock) =>
      whole(name, bytes, async (part) => {
        if (lock) {
          const given = path(`${name}.image.part`);
          try {
            await (await open(given, 'w', 0o600)).close();
            await pour(data, given);
            const from = RAW.has(format) ? 'raw' : format === 'vhd' ? 'vpc' : format;
            await withSecret(name, lock, signal, (object) => [
              ...['convert', '-q', '-f', from, '-O', 'luks', ...object, '-o', `key-secret=key,${lock.words}`, given, part],
            ]);
          } finally {
            await rm(given, { force: true });
          }
          const whole = await fileBytes(part, bytes, 'locked');
          if ((await stat(part)).size < whole) await truncate(part, whole);
        } else if (RAW.has(format)) {
          await pour(data, part);
        } else {
          const given = path(`${name}.image.part`);
          const program = tool(format);
          try {
            await (await open(given, 'w', 0o600)).close();
            await pour(data, given);
            await run(program, ['convert', '-f', format === 'vhd' ? 'vpc' : format, '-O', 'raw', '-S', '64k', given, part], signal);
          } finally {
            await rm(given, { force: true });
          }
        }
        const header = lock ? await headerBytes(part) : 0;
        const size = (await stat(part)).size - header;
        if (size > bytes) throw volumeCopyFailed({ why: `the disk in the image has ${size} bytes, the volume ${bytes}` });
      }),
    async extend(name, bytes, cover = 'plain') {
      try {
        const whole = await fileBytes(path(name), bytes, cover);
        if ((await stat(path(name))).size < whole) await truncate(path(name), whole);
      } catch (cause) {
        throw storeError(cause);
      }
    },
    async read(name, format, signal) {
      let from = path(name);
      let made: string | undefined;
      if (!RAW.has(format)) {
        made = path(`${name}.${format}.part`);
        const program = tool(format);
        try {
          await rm(made, { force: true });
          await (await open(made, 'wx', 0o600)).close();
          await run(program, ['convert', '-U', '-f', 'raw', '-O', format === 'vhd' ? 'vpc' : format, from, made], signal);
        } catch (cause) {
          await rm(made, { force: true });
          throw storeError(cause);
        }
        from = made;
      }
      try {
        const handle = await open(from, 'r');
        const done = async () => (made === undefined ? undefined : rm(made, { force: true }));
        return { data: handle.createReadStream({ highWaterMark: 256 * 1024 }), done };
      } catch (cause) {
        throw storeError(cause);
      }
    },
    async remove(name) {
      for (const file of await readdir(dir))
        if (file === name || (file.startsWith(`${name}.`) && file.endsWith('.part'))) await rm(path(file), { force: true });
    },
  };
}

const isZero = (block: Buffer) => block.length === 0 || (block[0] === 0 && block.subarray(1).equals(block.subarray(0, -1)));

/** Writes a stream into a file and leaves out what is only zeros. */
async function pour(data: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    let at = 0;
    for await (const chunk of data) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      if (!isZero(bytes)) await writeAll(handle, bytes, at);
      at += bytes.length;
    }
    await handle.truncate(at);
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Buffer, at: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) done += (await handle.write(bytes, done, bytes.length - done, at + done)).bytesWritten;
}

async function copySparse(from: string, to: string, signal: AbortSignal): Promise<void> {
  const source = await open(from, 'r');
  const target = await open(to, 'r+');
  try {
    const { size, blocks } = await source.stat();
    const block = Buffer.alloc(BLOCK);
    // A file without any block on disk is all zeros.
    for (let at = 0; at < size && blocks > 0; ) {
      signal.throwIfAborted();
      const { bytesRead } = await source.read(block, 0, BLOCK, at);
      if (bytesRead === 0) break;
      const bytes = block.subarray(0, bytesRead);
      if (!isZero(bytes)) await writeAll(target, bytes, at);
      at += bytesRead;
    }
    await target.truncate(size);
  } finally {
    await source.close();
    await target.close();
  }
}

const rethrow = (cause: unknown): never => {
  throw storeError(cause);
};
function storeError(cause: unknown): unknown {
  if (cause instanceof CloudError) return cause;
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG') return volumeStoreFull({}, { cause });
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOENT')
    return volumeStoreDenied({ why: String(code) }, { cause, detail: String(cause) });
  return cause;
}
