import { access, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { sparseFile } from '../../lib/sparse-file.ts';
import type { BackendName, KeptDisk } from './disk-book.ts';
import { describeImage } from './image-cache.ts';
import { type LvmOptions, lvmBackend } from './lvm-backend.ts';
import { runProgram } from './programs.ts';

/** Where and in which form a host keeps its guests' disks. */
export interface DiskBackend {
  readonly name: BackendName;
  /** Where a disk of this name is to be; says nothing of whether it is there. */
  locate(guest: { readonly uuid: string; readonly folder: string }, name: string): Pick<KeptDisk, 'file' | 'format'>;
  /** Makes a disk: whole, or none. `fill` writes into it before it is whole. Throws noDiskSpace, hypervisorFailed. */
  make(disk: Place, wish: DiskWish, signal: AbortSignal): Promise<void>;
  has(disk: Place): Promise<boolean>;
  /** In bytes, as the guest sees it. */
  size(disk: Place): Promise<number>;
  grow(disk: Place, bytes: number, signal: AbortSignal): Promise<void>;
  /** Safe when it is not there. */
  remove(disk: Place): Promise<void>;
}
export type Place = Pick<KeptDisk, 'file' | 'format'>;
export interface DiskWish {
  readonly bytes: number;
  /** What is in it; null: nothing. */
  readonly image: { readonly file: string; readonly format: 'qcow2' | 'raw' } | null;
  readonly fill?: (file: string) => Promise<void>;
  /** How much of the image has been copied, of 1. */
  readonly progress?: (part: number) => void;
}
/** Spec: [libvirt] images_type and its companions; preallocate_images, use_cow_images. */
export interface DiskOptions {
  readonly type: BackendName;
  readonly preallocate: boolean;
  readonly lvm: LvmOptions | null;
}
export const usualDisks: DiskOptions = { type: 'qcow2', preallocate: false, lvm: null };
export type Backends = (name: BackendName) => DiskBackend;

/** Every backend this host can use: disks stay with theirs when the config names another one for new disks. */
export function diskBackends(options: DiskOptions): Backends {
  const table: Readonly<Record<BackendName, () => DiskBackend>> = {
    qcow2: () => fileBackend('qcow2', options.preallocate),
    raw: () => fileBackend('raw', options.preallocate),
    lvm: () => lvmBackend(options.lvm ?? { group: '', sparse: false, clear: 'zero', clearMiB: 0 }),
  };
  return (name) => table[name]();
}

/** Files in the guest's folder: roots as overlays over the cached image, or as whole copies; what is blank is a raw file in both. */
function fileBackend(name: 'qcow2' | 'raw', preallocate: boolean): DiskBackend {
  return {
    name,
    locate: ({ folder }, disk) => ({ file: join(folder, disk), format: disk === 'disk' ? name : 'raw' }),
    async make({ file, format }, { bytes, image, fill, progress }, signal) {
      const part = `${file}.part`;
      try {
        if (image === null) await sparseFile(part, bytes);
        else
          for (const args of rootCommands({ file: part, format }, image, bytes))
            await runProgram('qemu-img', args, { signal, timeoutMs: COPY_MS, ...(progress ? { progress } : {}) });
        if (preallocate) await runProgram('fallocate', ['-n', '-l', String(bytes), part], { signal });
        await fill?.(part);
        await rename(part, file);
      } catch (cause) {
        await rm(part, { force: true });
        throw cause;
      }
    },
    has: ({ file }) =>
      access(file).then(
        () => true,
        () => false,
      ),
    size: async ({ file, format }) => (await describeImage(file, format))['virtual-size'],
    async grow({ file, format }, bytes, signal) {
      if (preallocate) await runProgram('fallocate', ['-n', '-l', String(bytes), file], { signal }); // without room nothing has changed
      await runProgram('qemu-img', ['resize', '-q', '-f', format, file, String(bytes)], { signal });
    },
    async remove({ file }) {
      await rm(`${file}.part`, { force: true });
      await rm(file, { force: true });
    },
  };
}
/** A copy of a big image takes its time; it is not a hung program. */
const COPY_MS = 6 * 3600 * 1000;

/** How qemu-img makes a root file of an image; one command after another. Pure. */
export function rootCommands({ file, format }: Place, image: NonNullable<DiskWish['image']>, bytes: number): string[][] {
  if (format === 'qcow2') return [['create', '-q', '-f', 'qcow2', '-F', image.format, '-b', image.file, file, String(bytes)]];
  return [
    ['convert', '-p', '-f', image.format, '-O', 'raw', '-S', '64k', image.file, file],
    ['resize', '-q', '-f', 'raw', file, String(bytes)],
  ];
}

/** Name of a disk by its file, in whichever backend. */
export const diskName = (file: string): string =>
  dirname(file).startsWith('/dev/') ? basename(file).replace(/^[0-9a-f-]{36}_/, '') : basename(file);
