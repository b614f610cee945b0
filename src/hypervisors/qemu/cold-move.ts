import { createReadStream } from 'node:fs';
import { access, mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isUuid } from '../../lib/ids.ts';
import { deedUnsupported, guestNotFound, hypervisorFailed, imageUnusable } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestSpec, MoveOffer } from '../driver.ts';
import { type DiskBook, readDiskBook, writeDiskBook } from './disk-book.ts';
import { leaveProbe, removeProbe, seesProbe, takeStake } from './disk-stakes.ts';
import { disksOf, type GuestDisk } from './disks.ts';
import { nvramFile } from './firmware.ts';
import { disksAreApart, type GuestPaths, guestPaths, ownFolder } from './guest-paths.ts';
import { describeImage } from './image-cache.ts';
import { isUp } from './live-guests.ts';
import { type AskMove, receiveFile, sendFile, writeLine } from './move-line.ts';
import type { MoveHandler, MoveServer } from './move-server.ts';
import type { QemuHands } from './power-deeds.ts';
import { runProgram, withDiskSpace } from './programs.ts';
import { isTpmFile, tpmFiles } from './tpm.ts';

type ColdDeeds = Pick<Driver, 'offerDisks' | 'fetchDisks' | 'withdrawDisks'>;
interface OfferedDisk {
  readonly name: string;
  /** Of the file, holes included. */
  readonly bytes: number;
  /** Name of the cached image below it. */
  readonly backing: string | null;
  /** Absent: an overlay for the root, else raw. */
  readonly format?: 'qcow2' | 'raw';
}
interface Offered {
  readonly disks: readonly OfferedDisk[];
  /** Name of a file beside them, there until the asker hangs up. */
  readonly probe?: string;
}
/** What of a guest's folder other hosts may fetch. */
const DISKS = ['disk', ...Array.from({ length: 8 }, (_none, at) => `disk.eph${at}`), 'disk.swap', 'disk.config', 'nvram'];
const ANSWER_MS = 60_000;
const plainDisk = { format: 'raw', readOnly: false, backing: null, bus: null } as const;

/** While this file lies beside a guest's disks, other hosts may fetch them. */
const markOf = (paths: GuestPaths) => join(paths.own, 'offered');

/** Moves of guests that are off: the disks as they are, overlay and all; the image below is fetched from where they come from when this
 *  host does not have it. */
export function createColdMove({ live, onGuest, hostname, ask }: QemuHands, server: MoveServer): ColdDeeds {
  return {
    offerDisks: (uuid) =>
      onGuest(uuid, async () => {
        const paths = guestPaths(live.stateDir, uuid);
        const guest = live.get(uuid);
        if (guest && isUp(guest)) throw hypervisorFailed({ why: 'the disks of a running guest cannot be moved' });
        if (guest?.record.power === 'suspended')
          throw hypervisorFailed({ why: 'a suspended guest cannot be moved: its memory fits only its own host' });
        if (Object.values(await readDiskBook(paths)).some((kept) => kept.backend === 'lvm'))
          throw deedUnsupported({ deed: 'move disks', why: 'they are logical volumes of this host' });
        if ((await offered(paths)).length === 0) throw guestNotFound({ uuid });
        await mkdir(paths.own, { recursive: true, mode: 0o700 });
        await writeFile(markOf(paths), '', { mode: 0o600 });
        return server.offer(uuid);
      }),
    async withdrawDisks(uuid) {
      await rm(markOf(guestPaths(live.stateDir, uuid)), { force: true });
    },
    fetchDisks: (spec, offer, signal, progress) =>
      onGuest(spec.uuid, async (hurry) => {
        const both = AbortSignal.any([signal, hurry]);
        const paths = guestPaths(live.stateDir, spec.uuid);
        const { answer, socket } = await ask<Offered>(offer, { want: 'disks' }, ANSWER_MS);
        const shared = answer.probe !== undefined && (await seesProbe(paths, answer.probe));
        socket.destroy();
        await takeStake(live.stateDir, paths, hostname);
        await fetchTpm(ask, answer.disks, paths, offer, both);
        if (shared) return; // they are here
        const stands = answer.disks.find((one) => one.backing !== null)?.backing ?? null;
        const backing = stands === null ? null : await imageHere(spec, stands, offer, both);
        const book = { ...(await readDiskBook(paths)), ...bookOf(answer.disks, paths) };
        await mkdir(paths.folder, { recursive: true, mode: 0o700 });
        await writeDiskBook(paths, book);
        const wanted = disksOf(spec, paths, backing, null, book).filter((disk) =>
          answer.disks.some((one) => one.name === basename(disk.file)),
        );
        if (spec.image && !wanted.some((disk) => disk.place === 'disk'))
          throw hypervisorFailed({ why: 'the other host offers no root disk' });
        const sizes = new Map(answer.disks.map((one) => [one.name, one]));
        const total = wanted.reduce((sum, disk) => sum + (sizes.get(basename(disk.file))?.bytes ?? 0), 0);
        const firmware = sizes.get('nvram');
        if (firmware) wanted.push({ ...plainDisk, file: nvramFile(paths), place: 'nvram' });
        let before = 0;
        const tell = (bytes: number) =>
          progress({
            memoryTotal: 0,
            memoryProcessed: 0,
            memoryRemaining: 0,
            diskTotal: total,
            diskProcessed: before + bytes,
            diskRemaining: total - before - bytes,
          });
        for (const disk of wanted) {
          const told = sizes.get(basename(disk.file));
          if (told && !(await isThere(disk.file))) await fetchOne(ask, disk, told, offer, tell, both);
          before += told?.bytes ?? 0;
          tell(0);
        }
      }),
  };

  /** The image below the root disk, out of the cache or from the other host: the guest's own, or one it came by (it was unshelved, say). */
  async function imageHere({ image }: GuestSpec, name: string, offer: MoveOffer, signal: AbortSignal): Promise<string> {
    if (image && live.cache.nameOf(image) === name) {
      await live.cache.fetch(image, async () => (await ask<object>(offer, { want: 'image' }, ANSWER_MS)).socket, signal);
      return live.cache.path(image);
    }
    return live.cache.adopt(name, async (part) => {
      const { answer, socket } = await ask<{ bytes: number }>(offer, { want: 'base', name }, ANSWER_MS);
      await receiveFile(socket, part, answer.bytes, () => {}, signal).finally(() => socket.destroy());
    });
  }
}

/** The state of a TPM is each host's own, also where hosts have their disks in common. */
async function fetchTpm(ask: AskMove, offered: readonly OfferedDisk[], paths: GuestPaths, offer: MoveOffer, signal: AbortSignal) {
  for (const told of offered.filter(({ name }) => isTpmFile(name))) {
    const file = join(paths.own, told.name);
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    if (!(await isThere(file))) await fetchOne(ask, { ...plainDisk, file, place: told.name }, told, offer, () => {}, signal);
  }
}

async function fetchOne(
  ask: AskMove,
  disk: GuestDisk,
  told: OfferedDisk,
  offer: MoveOffer,
  tell: (bytes: number) => void,
  signal: AbortSignal,
) {
  const part = `${disk.file}.part`;
  const { socket } = await ask<object>(offer, { want: 'disk', name: told.name }, ANSWER_MS);
  try {
    await receiveFile(socket, part, told.bytes, tell, signal);
    if (told.backing !== null) {
      const local = basename(disk.backing ?? '');
      if (disk.backing === null || told.backing !== local)
        throw imageUnusable({ id: local, why: `the disk that comes stands on ${told.backing}` });
      const format = local.endsWith('.qcow2') ? 'qcow2' : 'raw';
      await runProgram('qemu-img', ['rebase', '-q', '-u', '-f', 'qcow2', '-F', format, '-b', disk.backing, part], { signal });
      await describeImage(part, 'qcow2');
    }
    await rename(part, disk.file);
  } catch (cause) {
    await rm(part, { force: true });
    throw withDiskSpace(cause, `${told.name} was fetched`);
  } finally {
    socket.destroy();
  }
}

/** What another host that fetches disks may ask. */
export function coldHandlers({ live }: Pick<QemuHands, 'live'>): Record<'disks' | 'disk' | 'base' | 'image', MoveHandler> {
  const open = async (uuid: string) => {
    const paths = guestPaths(live.stateDir, uuid);
    const guest = live.get(uuid);
    if (!(await isThere(markOf(paths))) || (guest && isUp(guest)))
      throw hypervisorFailed({ why: `the disks of ${uuid} are not offered any more` });
    return paths;
  };
  return {
    async disks({ uuid }, socket) {
      const paths = await open(uuid);
      const probe = disksAreApart(live.stateDir) ? await leaveProbe(paths) : undefined;
      writeLine(socket, { disks: await offered(paths), ...(probe === undefined ? {} : { probe }) } satisfies Offered);
      if (probe === undefined) return void socket.end();
      socket.setTimeout(ANSWER_MS, () => socket.destroy());
      socket.once('close', () => void removeProbe(paths, probe).catch(() => undefined)); // left, it means nothing to anybody
    },
    async disk({ uuid, name = '' }, socket) {
      const paths = await open(uuid);
      if (!DISKS.includes(name) && !isTpmFile(name)) throw hypervisorFailed({ why: 'there is no such disk' });
      writeLine(socket, {});
      await sendFile(join(isTpmFile(name) ? paths.own : paths.folder, name), socket);
      socket.end();
    },
    async base({ uuid, name }, socket) {
      const { backing } = await describeRoot(await open(uuid));
      if (backing === null || basename(backing) !== name) throw hypervisorFailed({ why: 'the disk stands on another image' });
      writeLine(socket, { bytes: (await stat(backing)).size });
      await sendFile(backing, socket);
      socket.end();
    },
    async image({ uuid }, socket) {
      const { backing } = await describeRoot(await open(uuid));
      if (backing === null) throw hypervisorFailed({ why: 'the disk stands on no image' });
      writeLine(socket, {});
      await pipeline(createReadStream(backing), socket);
    },
  };
}

/** Whether some guest of this host is on offer. */
export async function hasOffers(stateDir: string): Promise<boolean> {
  for (const uuid of await readdir(ownFolder(stateDir)).catch(() => [])) {
    if (isUuid(uuid) && (await isThere(markOf(guestPaths(stateDir, uuid))))) return true;
  }
  return false;
}

async function offered(paths: GuestPaths): Promise<OfferedDisk[]> {
  const found: OfferedDisk[] = [];
  for (const name of DISKS) {
    const there = await stat(join(paths.folder, name)).catch(() => undefined);
    if (!there) continue;
    const format = (await readDiskBook(paths))[name]?.format ?? (name === 'disk' ? 'qcow2' : 'raw');
    const backing = name === 'disk' && format === 'qcow2' ? (await describeRoot(paths)).backing : null;
    found.push({ name, bytes: there.size, backing: backing && basename(backing), format });
  }
  for (const name of await tpmFiles(paths))
    found.push({ name, bytes: (await stat(join(paths.own, name))).size, backing: null, format: 'raw' });
  return found;
}
/** How disks that come are kept here: as files of the form they come in, whatever this host makes new ones of. */
function bookOf(disks: readonly OfferedDisk[], { folder }: GuestPaths): DiskBook {
  const files = disks.filter(({ name }) => name !== 'disk.config' && name !== 'nvram' && !isTpmFile(name));
  return Object.fromEntries(
    files.map(({ name, format = name === 'disk' ? 'qcow2' : 'raw' }) => [
      name,
      { backend: format, file: join(folder, name), format, making: false },
    ]),
  );
}
async function describeRoot(paths: GuestPaths): Promise<{ backing: string | null }> {
  const { 'backing-filename': backing } = await describeImage(join(paths.folder, 'disk'), 'qcow2');
  return { backing: backing ?? null };
}
const isThere = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );
