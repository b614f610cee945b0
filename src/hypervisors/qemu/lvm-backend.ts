import { stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { DiskBackend, DiskWish, Place } from './disk-backends.ts';
import { runProgram } from './programs.ts';

export interface LvmOptions {
  /** Spec: [libvirt] images_volume_group. */
  readonly group: string;
  /** Volumes that take room as they are written. Spec: sparse_logical_volumes. */
  readonly sparse: boolean;
  /** What is done to a volume before its room is given back. Spec: volume_clear. */
  readonly clear: 'none' | 'zero' | 'shred';
  /** Only the first so many MiB; 0: all. Spec: volume_clear_size. */
  readonly clearMiB: number;
}
/** A program and its arguments; there is no shell. */
export type Command = readonly [program: string, ...args: string[]];
const MiB = 1024 ** 2;
/** A sparse volume begins with this much room of its own. */
const FIRST_ROOM = '64m';
const LONG_MS = 6 * 3600 * 1000;

/** Everything that is ever asked of LVM, as lists of arguments. Pure; golden. Volumes are named like Nova's: {uuid}_{disk}. */
export const lvmCommands = {
  create: ({ group, sparse }: LvmOptions, file: string, bytes: number): Command =>
    sparse
      ? ['lvcreate', '-y', '-L', FIRST_ROOM, '--virtualsize', `${bytes}b`, '-n', basename(file), group]
      : ['lvcreate', '-y', '-W', 'y', '-L', `${bytes}b`, '-n', basename(file), group],
  fill: (file: string, image: NonNullable<DiskWish['image']>): Command => [
    'qemu-img',
    ...['convert', '-p', '-n', '-t', 'none', '-f', image.format, '-O', 'raw', image.file, file],
  ],
  size: (file: string): Command => ['lvs', '--noheadings', '--nosuffix', '--units', 'b', '-o', 'lv_size', file],
  grow: (file: string, bytes: number): Command => ['lvextend', '-L', `${bytes}b`, file],
  list: ({ group }: LvmOptions): Command => ['lvs', '--noheadings', '-o', 'lv_name', group],
  room: ({ group }: LvmOptions): Command => [
    'vgs',
    ...['--noheadings', '--nosuffix', '--units', 'b', '--separator', '|', '-o', 'vg_size,vg_free', group],
  ],
  /** `bytes`: of the volume. Clearing a sparse one would give it all the room it never had. */
  clear: ({ clear, clearMiB, sparse }: LvmOptions, file: string, bytes: number): Command[] => {
    if (clear === 'none' || sparse || bytes === 0) return [];
    const size = clearMiB === 0 ? bytes : Math.min(bytes, clearMiB * MiB);
    return [['shred', ...(clear === 'zero' ? ['-n', '0', '-z'] : ['-n', '3']), '-s', String(size), file]];
  },
  remove: (file: string): Command => ['lvremove', '-f', file],
} as const;

const run = ([program, ...args]: Command, more: { signal?: AbortSignal; timeoutMs?: number } = {}) => runProgram(program, args, more);

/** Disks as logical volumes of one group, raw. */
export function lvmBackend(options: LvmOptions): DiskBackend {
  const names = async () => new Set((await run(lvmCommands.list(options))).split('\n').map((line) => line.trim()));
  const has = async ({ file }: Place) => (await names()).has(basename(file));
  const size = async ({ file }: Place) => Number((await run(lvmCommands.size(file))).trim());
  const remove = async (disk: Place) => {
    if (!(await has(disk))) return;
    for (const command of lvmCommands.clear(options, disk.file, await size(disk))) await run(command, { timeoutMs: LONG_MS });
    await run(lvmCommands.remove(disk.file));
  };
  return {
    name: 'lvm',
    locate({ uuid }, name) {
      if (options.group === '') throw hypervisorFailed({ why: 'this host names no volume group ([libvirt] images_volume_group)' });
      return { file: join('/dev', options.group, `${uuid}_${name}`), format: 'raw' };
    },
    has,
    size,
    async make(disk, { bytes, image, fill, progress }, signal) {
      await remove(disk); // a half-made one
      try {
        await run(lvmCommands.create(options, disk.file, bytes), { signal });
        if (image) await run(lvmCommands.fill(disk.file, image), { signal, timeoutMs: LONG_MS, ...(progress ? { progress } : {}) });
        await fill?.(disk.file);
      } catch (cause) {
        await remove(disk).catch(() => undefined); // the first failure tells more
        throw cause;
      }
    },
    async grow(disk, bytes, signal) {
      await run(lvmCommands.grow(disk.file, bytes), { signal });
    },
    remove,
  };
}

/** What a volume group holds and has left, in bytes. Throws hypervisorFailed. */
export async function lvmRoom(options: LvmOptions): Promise<{ total: number; free: number }> {
  const [total = Number.NaN, free = Number.NaN] = (await run(lvmCommands.room(options))).trim().split('|').map(Number);
  if (!Number.isFinite(total) || !Number.isFinite(free))
    throw hypervisorFailed({ why: `volume group ${options.group} does not tell its size` });
  return { total, free };
}

/** Whether this kernel has a device mapper, without which there are no logical volumes. */
export const hasDeviceMapper = (): Promise<boolean> =>
  stat('/dev/mapper/control').then(
    (found) => found.isCharacterDevice(),
    () => false,
  );
