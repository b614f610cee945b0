import { access, mkdir, open, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { deedUnsupported, hypervisorFailed, imageUnusable } from '../../model/errors-hypervisor.ts';
import type { GuestSpec, ImageRef, LocalDisk, RescueSpec } from '../driver.ts';
import { makeConfigDrive } from './config-drive.ts';
import type { GuestPaths } from './guest-paths.ts';
import { describeImage, type ImageCache } from './image-cache.ts';
import { runProgram, withDiskSpace } from './programs.ts';
import { mustHaveVolume } from './volume-disk.ts';

export interface GuestDisk {
  readonly file: string;
  readonly format: 'qcow2' | 'raw';
  readonly readOnly: boolean;
  /** The cached image below an overlay. */
  readonly backing: string | null;
  /** Which place in the machine it takes: its own name, for a rescue disk that stands last `disk.rescue.stable`. */
  readonly place: string;
  /** Its own bus; null: the guest's usual one. */
  readonly bus: string | null;
}
const GiB = 1024 ** 3;
const MiB = 1024 ** 2;

/** A guest's blank disks by the name of their file. Throws deedUnsupported for more than one ephemeral disk: its machine has one place for it. */
export function blankDisks(spec: GuestSpec): ReadonlyMap<string, LocalDisk> {
  const whole = { format: null, device: null };
  const usual: LocalDisk[] = [
    { kind: 'ephemeral', sizeMiB: spec.ephemeralGiB * 1024, ...whole },
    { kind: 'swap', sizeMiB: spec.swapMiB, ...whole },
  ];
  const disks = (spec.localDisks ?? usual).filter((disk) => disk.sizeMiB > 0);
  const ephemeral = disks.filter((disk) => disk.kind === 'ephemeral');
  if (ephemeral.length > 1) throw deedUnsupported({ deed: 'make disks', why: 'guests on QEMU have at most one ephemeral disk' });
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

/** Which disks a guest has, in the order it sees them: root, ephemeral, swap, config drive; when it is rescued the rescue disk comes first,
 *  or last where its image names a stable device. */
export function disksOf(spec: GuestSpec, paths: GuestPaths, backing: string | null, rescue: RescueSpec | null = null): GuestDisk[] {
  const disk = (name: string, format: 'qcow2' | 'raw', more: Partial<GuestDisk> = {}): GuestDisk => ({
    file: join(paths.folder, name),
    format,
    readOnly: false,
    backing: null,
    place: name,
    bus: null,
    ...more,
  });
  const { hw_rescue_device: device, hw_rescue_bus: bus } = rescue?.properties ?? {};
  const stable = device !== undefined || bus !== undefined;
  const rescueDisk = rescue ? [disk('disk.rescue', 'qcow2', { bus: bus ?? null, ...(stable ? { place: 'disk.rescue.stable' } : {}) })] : [];
  const drive = rescue?.configDrive ? 'disk.config.rescue' : 'disk.config';
  return [
    ...(stable ? [] : rescueDisk),
    ...(spec.image ? [disk('disk', 'qcow2', { backing })] : []),
    ...[...blankDisks(spec).keys()].map((name) => disk(name, 'raw')),
    ...(rescue?.configDrive || spec.configDrive ? [disk(drive, 'raw', { readOnly: true })] : []),
    ...(stable ? rescueDisk : []),
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

/** Throws hypervisorFailed when a disk or the file of a volume is not there. */
export async function mustHaveDisks(spec: GuestSpec, disks: readonly GuestDisk[]): Promise<void> {
  for (const volume of spec.volumes) await mustHaveVolume(spec, volume);
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
  const { 'virtual-size': size } = await describeImage(disk.backing, image.diskFormat === 'qcow2' ? 'qcow2' : 'raw');
  if (spec.rootGiB > 0 && spec.rootGiB * GiB < size) {
    throw imageUnusable({ id: image.id, why: `it needs ${Math.ceil(size / GiB)} GiB, the root disk has ${spec.rootGiB}` });
  }
  await makeOverlay(image, disk.backing, file, spec.rootGiB, signal);
}

/** An overlay over a cached image; `sizeGiB` 0: as large as the image. */
async function makeOverlay(image: ImageRef, backing: string, file: string, sizeGiB: number, signal: AbortSignal) {
  const format = image.diskFormat === 'qcow2' ? 'qcow2' : 'raw';
  const grown = sizeGiB > 0 ? [String(sizeGiB * GiB)] : [];
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', format, '-b', backing, file, ...grown], { signal });
}

const RESCUE_FILES = ['disk.rescue', 'disk.config.rescue'];

/** The disks a guest is rescued with, made afresh: an overlay over the rescue image, and a config drive where it has one. */
export async function createRescueDisks(paths: GuestPaths, rescue: RescueSpec, cache: ImageCache, signal: AbortSignal): Promise<void> {
  const backing = await cache.path(rescue.image);
  for (const image of [rescue.kernel, rescue.ramdisk]) if (image) await cache.path(image);
  const [overlay = '', drive = ''] = RESCUE_FILES.map((name) => join(paths.folder, name));
  try {
    await makeOverlay(rescue.image, backing, `${overlay}.part`, 0, signal);
    if (rescue.configDrive) await makeConfigDrive(`${drive}.part`, rescue.configDrive);
    await rename(`${overlay}.part`, overlay);
    if (rescue.configDrive) await rename(`${drive}.part`, drive);
  } catch (cause) {
    for (const file of [overlay, drive]) await rm(`${file}.part`, { force: true });
    throw withDiskSpace(cause, 'the rescue disk was made');
  }
}
export async function removeRescueDisks(paths: GuestPaths): Promise<void> {
  for (const name of RESCUE_FILES) await rm(join(paths.folder, name), { force: true });
}

export const SNAPSHOT_PREFIX = 'snapshot.';
/** Removes copies that nobody came for before their agent died. */
export async function removeSnapshots(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => []))
    if (name.startsWith(SNAPSHOT_PREFIX)) await rm(join(folder, name), { force: true });
}

/** Grows what is smaller than `spec` wants and makes what is missing; nothing is ever made smaller. The swap disk holds nothing worth
 *  keeping and is made anew. Throws noDiskSpace, hypervisorFailed. */
export async function growDisks(spec: GuestSpec, paths: GuestPaths, signal: AbortSignal): Promise<void> {
  const part = (name: string) => join(paths.folder, `${name}.part`);
  const makeAnew = async (disk: GuestDisk) => {
    await makeDisk(spec, disk, part(basename(disk.file)), signal);
    await rename(part(basename(disk.file)), disk.file);
  };
  try {
    const blank = blankDisks(spec);
    for (const disk of disksOf(spec, paths, null)) {
      const name = basename(disk.file);
      const bytes = name === 'disk' ? spec.rootGiB * GiB : (blank.get(name)?.sizeMiB ?? 0) * MiB;
      if (bytes === 0 && !disk.readOnly) continue;
      if (disk.readOnly && (await exists(disk.file))) continue;
      if (!(await exists(disk.file))) {
        if (name === 'disk') throw hypervisorFailed({ why: `guest ${spec.uuid} has no disk ${name}` });
        await makeAnew(disk);
        continue;
      }
      const { 'virtual-size': size } = await describeImage(disk.file, disk.format);
      if (name === 'disk.swap' ? size === bytes : size >= bytes) continue;
      if (name === 'disk.swap') await makeAnew(disk);
      else await runProgram('qemu-img', ['resize', '-q', '-f', disk.format, disk.file, String(bytes)], { signal });
    }
  } catch (cause) {
    for (const name of ['disk.eph0', 'disk.swap', 'disk.config']) await rm(part(name), { force: true });
    throw withDiskSpace(cause, `the disks of ${spec.uuid} were grown`);
  }
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
