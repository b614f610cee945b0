import { access, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { deedUnsupported, hypervisorFailed, imageUnusable } from '../../model/errors-hypervisor.ts';
import type { GuestSpec, ImageRef, LocalDisk, RescueSpec } from '../driver.ts';
import { makeConfigDrive } from './config-drive.ts';
import type { Backends, DiskBackend } from './disk-backends.ts';
import { type BackendName, type DiskBook, type KeptDisk, readDiskBook, writeDiskBook } from './disk-book.ts';
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
  /** Who keeps it; absent for what is always a file of the guest's folder. */
  readonly backend?: BackendName;
}
const GiB = 1024 ** 3;
const MiB = 1024 ** 2;
const MOST_EPHEMERAL = 8;

/** A guest's blank disks by the name of their file. Throws deedUnsupported for more ephemeral disks than its machine has places for. */
export function blankDisks(spec: GuestSpec): ReadonlyMap<string, LocalDisk> {
  const whole = { format: null, device: null };
  const usual: LocalDisk[] = [
    { kind: 'ephemeral', sizeMiB: spec.ephemeralGiB * 1024, ...whole },
    { kind: 'swap', sizeMiB: spec.swapMiB, ...whole },
  ];
  const disks = (spec.localDisks ?? usual).filter((disk) => disk.sizeMiB > 0);
  const ephemeral = disks.filter((disk) => disk.kind === 'ephemeral');
  if (ephemeral.length > MOST_EPHEMERAL)
    throw deedUnsupported({ deed: 'make disks', why: `guests on QEMU have at most ${MOST_EPHEMERAL} ephemeral disks` });
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
 *  or last where its image names a stable device. `book` says where and how each is kept. */
export function disksOf(
  spec: GuestSpec,
  paths: GuestPaths,
  backing: string | null,
  rescue: RescueSpec | null = null,
  book: DiskBook = {},
): GuestDisk[] {
  const disk = (name: string, format: 'qcow2' | 'raw', more: Partial<GuestDisk> = {}): GuestDisk => ({
    file: join(paths.folder, name),
    format,
    readOnly: false,
    backing: null,
    place: name,
    bus: null,
    ...more,
  });
  const kept = (name: string, more: Partial<GuestDisk> = {}): GuestDisk => {
    const { file, format, backend } = book[name] ?? { ...unwritten(name), file: join(paths.folder, name) };
    return { ...disk(name, format, more), file, backend, backing: format === 'qcow2' ? (more.backing ?? null) : null };
  };
  const { hw_rescue_device: device, hw_rescue_bus: bus } = rescue?.properties ?? {};
  const stable = device !== undefined || bus !== undefined;
  const rescueDisk = rescue ? [disk('disk.rescue', 'qcow2', { bus: bus ?? null, ...(stable ? { place: 'disk.rescue.stable' } : {}) })] : [];
  const drive = rescue?.configDrive ? 'disk.config.rescue' : 'disk.config';
  return [
    ...(stable ? [] : rescueDisk),
    ...(spec.image ? [kept('disk', { backing })] : []),
    ...[...blankDisks(spec).keys()].map((name) => kept(name)),
    ...(rescue?.configDrive || spec.configDrive ? [disk(drive, 'raw', { readOnly: true })] : []),
    ...(stable ? rescueDisk : []),
  ];
}
/** What a disk that is in no book is. */
const unwritten = (name: string) => ({
  backend: name === 'disk' ? ('qcow2' as const) : ('raw' as const),
  format: name === 'disk' ? ('qcow2' as const) : ('raw' as const),
});

/** What this host makes disks with. */
export interface DiskTools {
  readonly cache: ImageCache;
  /** For new disks; those that are there stay with theirs. */
  readonly backend: BackendName;
  readonly backends: Backends;
  /** Spec: config_drive_format. */
  readonly driveFormat: 'iso9660' | 'vfat';
}

/** Makes what is not there yet; each disk gets its name only when it is whole. A failure takes back what this call made.
 *  Throws imageUnusable, noDiskSpace, hypervisorFailed. */
export async function createDisks(
  spec: GuestSpec,
  paths: GuestPaths,
  tools: DiskTools,
  signal: AbortSignal,
  progress: (done: number, total: number) => void = () => {},
): Promise<void> {
  const { cache, backends } = tools;
  const backing = spec.image ? await cache.path(spec.image) : null;
  for (const image of [spec.kernel, spec.ramdisk]) if (image) await cache.path(image);
  await mkdir(paths.folder, { recursive: true, mode: 0o700 });
  const made: GuestDisk[] = [];
  try {
    for (const name of await readdir(paths.folder)) if (name.endsWith('.part')) await rm(join(paths.folder, name), { force: true });
    let book = await bookWith(spec, paths, tools);
    for (const disk of disksOf(spec, paths, backing, null, book)) {
      const name = disk.place;
      const backend = backends(disk.backend ?? 'raw');
      if (!book[name]?.making && (await backend.has(disk))) continue;
      signal.throwIfAborted();
      made.push(disk);
      if (disk.readOnly) await makeDrive(spec, disk, tools);
      else {
        await makeDisk(spec, disk, backing, backend, signal, progress);
        book = { ...book, ...whole(book, name) };
        await writeDiskBook(paths, book);
      }
    }
  } catch (cause) {
    for (const disk of made)
      await backends(disk.backend ?? 'raw')
        .remove(disk)
        .catch(() => undefined);
    const others = await readdir(paths.folder).catch(() => []);
    if (others.every((name) => name.startsWith('disks.json'))) await rm(paths.folder, { recursive: true, force: true });
    throw withDiskSpace(cause, `the disks of ${spec.uuid} were made`);
  }
}

/** The book with every disk in it that this guest has or shall have; written down. */
async function bookWith(spec: GuestSpec, paths: GuestPaths, { backend, backends }: DiskTools): Promise<DiskBook> {
  const book: Record<string, KeptDisk> = { ...(await readDiskBook(paths)) };
  const names = [...(spec.image ? ['disk'] : []), ...blankDisks(spec).keys()];
  for (const name of names) {
    if (book[name]) continue;
    const old = await exists(join(paths.folder, name)); // made before there were books
    book[name] = old
      ? { ...unwritten(name), file: join(paths.folder, name), making: false }
      : { backend, ...backends(backend).locate({ uuid: spec.uuid, folder: paths.folder }, name), making: true };
  }
  await writeDiskBook(paths, book);
  return book;
}
const whole = (book: DiskBook, name: string): DiskBook => {
  const kept = book[name];
  return kept ? { [name]: { ...kept, making: false } } : {};
};

/** Takes away what of a guest's disks lies outside its folder. Safe twice. */
export async function removeKeptDisks(paths: GuestPaths, backends: Backends): Promise<void> {
  for (const kept of Object.values(await readDiskBook(paths))) if (kept.backend === 'lvm') await backends('lvm').remove(kept);
}

/** Throws hypervisorFailed when a disk or the file of a volume is not there. */
export async function mustHaveDisks(spec: GuestSpec, disks: readonly GuestDisk[]): Promise<void> {
  for (const volume of spec.volumes) await mustHaveVolume(spec, volume);
  for (const disk of disks) {
    if (!(await exists(disk.file))) throw hypervisorFailed({ why: `guest ${spec.uuid} has no disk ${disk.place}` });
    if (disk.backing !== null && !(await exists(disk.backing)))
      throw hypervisorFailed({ why: `disk ${disk.place} of guest ${spec.uuid} stands on an image that is not on this host` });
  }
}

async function makeDrive(spec: GuestSpec, disk: GuestDisk, { driveFormat }: Pick<DiskTools, 'driveFormat'>): Promise<void> {
  await makeConfigDrive(`${disk.file}.part`, spec.configDrive ?? {}, driveFormat);
  await rename(`${disk.file}.part`, disk.file);
}

async function makeDisk(
  spec: GuestSpec,
  disk: GuestDisk,
  backing: string | null,
  backend: DiskBackend,
  signal: AbortSignal,
  progress: (done: number, total: number) => void,
): Promise<void> {
  const name = disk.place;
  const blank = blankDisks(spec).get(name);
  if (blank) {
    const fill = async (file: string) => {
      if (blank.kind === 'swap') await runProgram('mkswap', [file], { signal });
      else await format(file, blank.format ?? 'ext4', name.replace('disk.eph', 'ephemeral'), signal);
    };
    return backend.make(disk, { bytes: blank.sizeMiB * MiB, image: null, fill }, signal);
  }
  const { image } = spec;
  if (!image || backing === null) throw hypervisorFailed({ why: `guest ${spec.uuid} has no image` });
  const source = { file: backing, format: image.diskFormat === 'qcow2' ? ('qcow2' as const) : ('raw' as const) };
  const { 'virtual-size': size } = await describeImage(source.file, source.format);
  const bytes = spec.rootGiB > 0 ? spec.rootGiB * GiB : size;
  if (bytes < size) throw imageUnusable({ id: image.id, why: `it needs ${Math.ceil(size / GiB)} GiB, the root disk has ${spec.rootGiB}` });
  await backend.make(disk, { bytes, image: source, progress: (part) => progress(Math.round(part * size), size) }, signal);
}

/** An overlay over a cached image; `sizeGiB` 0: as large as the image. */
async function makeOverlay(image: ImageRef, backing: string, file: string, sizeGiB: number, signal: AbortSignal) {
  const format = image.diskFormat === 'qcow2' ? 'qcow2' : 'raw';
  const grown = sizeGiB > 0 ? [String(sizeGiB * GiB)] : [];
  await runProgram('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', format, '-b', backing, file, ...grown], { signal });
}

const RESCUE_FILES = ['disk.rescue', 'disk.config.rescue'];

/** The disks a guest is rescued with, made afresh: an overlay over the rescue image, and a config drive where it has one. */
export async function createRescueDisks(
  paths: GuestPaths,
  rescue: RescueSpec,
  { cache, driveFormat }: Pick<DiskTools, 'cache' | 'driveFormat'>,
  signal: AbortSignal,
): Promise<void> {
  const backing = await cache.path(rescue.image);
  for (const image of [rescue.kernel, rescue.ramdisk]) if (image) await cache.path(image);
  const [overlay = '', drive = ''] = RESCUE_FILES.map((name) => join(paths.folder, name));
  try {
    await makeOverlay(rescue.image, backing, `${overlay}.part`, 0, signal);
    if (rescue.configDrive) await makeConfigDrive(`${drive}.part`, rescue.configDrive, driveFormat);
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
export async function removeSnapshots(folder: string, of = ''): Promise<void> {
  for (const name of await readdir(folder).catch(() => []))
    if (name.startsWith(SNAPSHOT_PREFIX + of)) await rm(join(folder, name), { force: true });
}

/** Grows what is smaller than `spec` wants and makes what is missing; nothing is ever made smaller. The swap disk holds nothing worth
 *  keeping and is made anew. Throws noDiskSpace, hypervisorFailed. */
export async function growDisks(spec: GuestSpec, paths: GuestPaths, tools: DiskTools, signal: AbortSignal): Promise<void> {
  const { backends } = tools;
  try {
    const blank = blankDisks(spec);
    let book = await bookWith(spec, paths, tools);
    for (const disk of disksOf(spec, paths, null, null, book)) {
      const name = disk.place;
      const backend = backends(disk.backend ?? 'raw');
      const there = !book[name]?.making && (await backend.has(disk));
      const makeAnew = async () => {
        await makeDisk(spec, disk, null, backend, signal, () => {}); // a blank one
        book = { ...book, ...whole(book, name) };
        await writeDiskBook(paths, book);
      };
      if (disk.readOnly) {
        if (!there) await makeDrive(spec, disk, tools);
        continue;
      }
      const bytes = name === 'disk' ? spec.rootGiB * GiB : (blank.get(name)?.sizeMiB ?? 0) * MiB;
      if (name === 'disk' && !there) throw hypervisorFailed({ why: `guest ${spec.uuid} has no disk ${name}` });
      if (bytes === 0) continue;
      if (!there) {
        await makeAnew();
        continue;
      }
      const size = await backend.size(disk);
      if (name === 'disk.swap' ? size === bytes : size >= bytes) continue;
      if (name === 'disk.swap') await makeAnew();
      else await backend.grow(disk, bytes, signal);
    }
  } catch (cause) {
    throw withDiskSpace(cause, `the disks of ${spec.uuid} were grown`);
  }
}

const exists = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );
