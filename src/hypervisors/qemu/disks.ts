import { access, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { hypervisorFailed, imageUnusable } from '../../model/errors-hypervisor.ts';
import type { GuestSpec, LocalDisk } from '../driver.ts';
import { makeConfigDrive } from './config-drive.ts';
import type { GuestPaths } from './guest-paths.ts';
import { describeImage, type ImageCache } from './image-cache.ts';
import { runProgram, withDiskSpace } from './programs.ts';

export interface GuestDisk {
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
  readonly readOnly: boolean;
  /** The cached image below an overlay. */
  readonly backing: string | null;
}
const GiB = 1024 ** 3;
const MiB = 1024 ** 2;

/** A guest's blank disks by the name of their file. */
export function blankDisks(spec: GuestSpec): ReadonlyMap<string, LocalDisk> {
  const whole = { format: null, device: null };
  const usual: LocalDisk[] = [
    { kind: 'ephemeral', sizeMiB: spec.ephemeralGiB * 1024, ...whole },
    { kind: 'swap', sizeMiB: spec.swapMiB, ...whole },
  ];
  const disks = (spec.localDisks ?? usual).filter((disk) => disk.sizeMiB > 0);
  const ephemeral = disks.filter((disk) => disk.kind === 'ephemeral');
  const swap = disks.filter((disk) => disk.kind === 'swap').slice(0, 1);
  return new Map([...ephemeral.map((disk, at) => [`disk.eph${at}`, disk] as const), ...swap.map((disk) => ['disk.swap', disk] as const)]);
}

/** Makes a file system. Throws hypervisorFailed for one that is not known; the program is named when it is missing. */
async function format(file: string, type: string, label: string, signal: AbortSignal): Promise<void> {
  if (/^ext[234]$/.test(type)) await runProgram('mke2fs', ['-q', '-F', '-t', type, '-L', label, '-m', '0', file], { signal });
  else if (type === 'xfs') await runProgram('mkfs.xfs', ['-q', '-f', '-L', label.slice(0, 12), file], { signal });
  else if (type === 'vfat') await runProgram('mkfs.vfat', ['-n', label.slice(0, 11).toUpperCase(), file], { signal });
  else throw hypervisorFailed({ why: `an ephemeral disk cannot be formatted as ${type}: ext2, ext3, ext4, xfs and vfat are known` });
}

/** Which disks a guest has, in the order it sees them: root, ephemeral, swap, config drive. */
export function disksOf(spec: GuestSpec, paths: GuestPaths, backing: string | null): GuestDisk[] {
  const disk = (name: string, format: 'qcow2' | 'raw', more: Partial<GuestDisk> = {}): GuestDisk => ({
    file: join(paths.folder, name),
    format,
    readOnly: false,
    backing: null,
    ...more,
  });
  return [
    ...(spec.image ? [disk('disk', 'qcow2', { backing })] : []),
    ...[...blankDisks(spec).keys()].map((name) => disk(name, 'raw')),
    ...(spec.configDrive ? [disk('disk.config', 'raw', { readOnly: true })] : []),
  ];
}

/** Makes what is not there yet; each disk gets its name only when it is whole. A failure takes back what this call made.
 *  Throws imageUnusable, noDiskSpace, hypervisorFailed. */
export async function createDisks(spec: GuestSpec, paths: GuestPaths, cache: ImageCache, signal: AbortSignal): Promise<void> {
  const backing = spec.image ? await cache.path(spec.image) : null;
  for (const image of [spec.kernel, spec.ramdisk]) if (image) await cache.path(image);
  await mkdir(paths.folder, { recursive: true, mode: 0o700 });
  const made: string[] = [];
  try {
    for (const name of await readdir(paths.folder)) if (name.endsWith('.part')) await rm(join(paths.folder, name), { force: true });
    for (const disk of disksOf(spec, paths, backing)) {
      if (await exists(disk.file)) continue;
      signal.throwIfAborted();
      made.push(`${disk.file}.part`);
      await makeDisk(spec, disk, `${disk.file}.part`, signal);
      await rename(`${disk.file}.part`, disk.file);
      made.push(disk.file);
    }
  } catch (cause) {
    for (const file of made) await rm(file, { force: true });
    await rmdir(paths.folder).catch(() => undefined); // stays when something else lies in it
    throw withDiskSpace(cause, `the disks of ${spec.uuid} were made`);
  }
}

/** Throws hypervisorFailed when a disk is not there. */
export async function mustHaveDisks(spec: GuestSpec, disks: readonly GuestDisk[]): Promise<void> {
  for (const disk of disks) {
    if (!(await exists(disk.file))) throw hypervisorFailed({ why: `guest ${spec.uuid} has no disk ${basename(disk.file)}` });
  }
}

async function makeDisk(spec: GuestSpec, disk: GuestDisk, file: string, signal: AbortSignal): Promise<void> {
  const name = basename(disk.file);
  if (name === 'disk') return makeRoot(spec, disk, file, signal);
  const blank = blankDisks(spec).get(name);
  if (blank) {
    await sparse(file, blank.sizeMiB * MiB);
    if (blank.kind === 'swap') await runProgram('mkswap', [file], { signal });
    else await format(file, blank.format ?? 'ext4', name.replace('disk.eph', 'ephemeral'), signal);
  } else await makeConfigDrive(file, spec.configDrive ?? {});
}

async function makeRoot(spec: GuestSpec, disk: GuestDisk, file: string, signal: AbortSignal) {
  const { image } = spec;
  if (!image || disk.backing === null) throw hypervisorFailed({ why: `guest ${spec.uuid} has no image` });
  const format = image.diskFormat === 'qcow2' ? 'qcow2' : 'raw';
  const { 'virtual-size': size } = await describeImage(disk.backing, format);
  if (spec.rootGiB > 0 && spec.rootGiB * GiB < size) {
    throw imageUnusable({ id: image.id, why: `it needs ${Math.ceil(size / GiB)} GiB, the root disk has ${spec.rootGiB}` });
  }
  const grown = spec.rootGiB > 0 ? [String(spec.rootGiB * GiB)] : [];
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', format, '-b', disk.backing, file, ...grown], { signal });
}

async function sparse(file: string, bytes: number) {
  const handle = await open(file, 'w', 0o600);
  try {
    await handle.truncate(bytes);
  } finally {
    await handle.close();
  }
}

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );
