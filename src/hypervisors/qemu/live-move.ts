import { mkdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { deedUnsupported, hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestSpec, MoveOffer, MoveProgress } from '../driver.ts';
import { dropJob, dropJobs, dropNode, JOB, jobReaches } from './block-jobs.ts';
import { bookFile, writeDiskBook } from './disk-book.ts';
import { leaveProbe, removeProbe, seesProbe, takeStake } from './disk-stakes.ts';
import { disksOf } from './disks.ts';
import { disksAreApart, type GuestPaths, guestPaths } from './guest-paths.ts';
import { readBackingName } from './image-header.ts';
import { isUp, type LiveGuest } from './live-guests.ts';
import { askMove, joinSockets, readAnswer, readLine, receiveFile, sendFile, writeLine } from './move-line.ts';
import type { MoveHandler, MoveServer } from './move-server.ts';
import { planNetwork } from './network-plan.ts';
import { lineTo, type QemuHands, settled } from './power-deeds.ts';
import { runProgram, withDiskSpace } from './programs.ts';
import type { Qmp } from './qmp.ts';
import type { Slot } from './slots.ts';
import { sizeOfDrive } from './snapshot.ts';
import { memoryArrived, migrationReaches } from './suspend.ts';
import { tpmOf } from './tpm.ts';
import { mustHaveVolume } from './volume-disk.ts';

type LiveDeeds = Pick<Driver, 'prepareIncoming' | 'migrateLive' | 'forceMigration'>;
/** The machine a guest is in, for the host that shall build the same one. */
interface Layout {
  readonly slots: readonly Slot[];
  readonly disks: readonly { readonly name: string; readonly bytes: number; readonly backing: string | null; readonly readOnly: boolean }[];
  /** Both hosts have these very disks: only memory goes. */
  readonly shared?: boolean;
}
/** How the target wants each disk: whole, or only what lies above an image it has. */
interface Ready {
  readonly sync: Readonly<Record<string, 'full' | 'top'>>;
  /** It can run the guest before all memory is there. */
  readonly postCopy?: boolean;
}
export interface LiveMoveRules {
  /** How long the guest may stand still at the end. */
  readonly downtimeMs: number;
  /** Of memory; 0: as many as can be. */
  readonly bytesPerSecond: number;
  /** How long a move may take for each GiB of memory (two at least) and disk; 0: as long as it takes. */
  readonly secondsPerGiB: number;
  /** What happens then. */
  readonly whenLate: 'abort' | 'force';
  /** A move that is forced lets the guest run there while the rest of its memory comes. */
  readonly postCopy: boolean;
}
export const usualRules: LiveMoveRules = { downtimeMs: 300, bytesPerSecond: 0, secondsPerGiB: 800, whenLate: 'abort', postCopy: false };
const ANSWER_MS = 60_000;
/** How long the target may be silent when both have said that the guest is its. */
const HANDOVER_MS = 30_000;
/** The target hears by its line how a move goes; this only ends one that everybody forgot. */
const FORGOTTEN_MS = 24 * 3600_000;
const GiB = 1024 ** 3;

export interface LiveMove extends LiveDeeds {
  readonly handlers: Record<'shared' | 'config' | 'incoming' | 'nbd' | 'memory' | 'state', MoveHandler>;
  /** Nobody is expected any more under this name. */
  forget(uuid: string): void;
}

/** Moves of guests that run. The source leads; both emulators speak through their drivers, so that one line, with its token, is all that
 *  has to pass between hosts, and a driver that dies takes an unfinished move with it: then the guest runs on where it was. The guest is the
 *  target's from the moment the target has written that down, which it does after all memory came and before the guest runs. */
export function createLiveMove(hands: QemuHands, server: MoveServer, rules: LiveMoveRules): LiveMove {
  const { live, must, onGuest, hostname } = hands;
  /** Moves in hand, by guest: how each is brought to its end whatever that costs. */
  const forcing = new Map<string, () => Promise<void>>();
  const expected = new Map<string, GuestSpec>();

  const send = async (guest: LiveGuest, offer: MoveOffer, stop: AbortSignal, progress: (moved: MoveProgress) => void) => {
    const { spec, disks, power, slots } = guest.record;
    const qmp = lineTo(guest, 'migrate');
    if (guest.record.rescue) throw deedUnsupported({ deed: 'migrate live', why: 'the guest is being rescued' });
    if (disks.some((disk) => disk.backend === 'lvm'))
      throw deedUnsupported({ deed: 'migrate live', why: 'its disks are logical volumes of this host' });
    if (tpmOf(spec)) throw deedUnsupported({ deed: 'migrate live', why: 'the guest has a TPM, whose secrets stay on this host' });
    if (offer.uuid !== spec.uuid) throw hypervisorFailed({ why: 'the offer is for another guest' });
    const paths = guestPaths(live.stateDir, spec.uuid);
    const shared = await isShared(live.stateDir, paths, offer);
    const layout: Layout = {
      slots,
      shared,
      disks: await Promise.all(
        disks.map(async (disk, index) => ({
          name: basename(disk.file),
          bytes: await sizeOfDrive(qmp, `disk${index}`),
          backing: disk.format === 'qcow2' ? nameOf(await readBackingName(disk.file)) : null, // as it is, whatever it was made of
          readOnly: disk.readOnly,
        })),
      ),
    };
    for (const disk of disks.filter((one) => one.readOnly && !shared)) await sendConfig(disk.file, offer);
    const { answer, socket: control } = await askMove<Ready>(offer, { want: 'incoming', layout }, ANSWER_MS);
    const closed = new AbortController();
    noticeEnd(control, () => closed.abort(hypervisorFailed({ why: 'the other host gave the guest up' })));
    const signal = AbortSignal.any([stop, closed.signal]);
    const tunnels: Server[] = [];
    let [handed, forced, memoryMoves] = [false, false, false];
    /** Nothing changes any more, so the rest is soon sent; or it runs on there, and the rest follows. */
    const force = async () => {
      forced = true;
      if (!answer.postCopy) await qmp.command('stop');
      else if (memoryMoves) await qmp.command('migrate-start-postcopy');
    };
    const unlate = limitTime(rules, spec, layout, {
      abort: (seconds) => closed.abort(hypervisorFailed({ why: `the move did not end within ${seconds} s` })),
      force: () => void force().catch(() => undefined), // what ended meanwhile needs no force
    });
    await live.record(guest, { leaving: offer });
    guest.ours = true;
    forcing.set(spec.uuid, force);
    try {
      tunnels.push(await tunnel(paths.nbdSocket, offer, 'nbd'), await tunnel(paths.memorySocket, offer, 'memory'));
      const mirrors = shared ? [] : disks.flatMap((disk, index) => (disk.readOnly ? [] : [{ index, name: basename(disk.file) }]));
      const moved = createProgress(progress, layout);
      for (const { index, name } of mirrors) {
        const target = `${JOB}target${index}`;
        const server = { type: 'unix', path: paths.nbdSocket };
        await qmp.command('blockdev-add', { driver: 'nbd', 'node-name': target, server, export: `disk${index}` }, ANSWER_MS);
        const sync = answer.sync[name] ?? 'full';
        await qmp.command('blockdev-mirror', {
          'job-id': mirrorOf(index),
          device: `disk${index}`,
          target,
          sync,
          'copy-mode': 'write-blocking',
          'auto-dismiss': false,
        });
      }
      for (const { index } of mirrors)
        await jobReaches(qmp, mirrorOf(index), 'ready', signal, (done, total) => moved.disk(index, done, total));
      const capabilities = [
        { capability: 'pause-before-switchover', state: true },
        { capability: 'postcopy-ram', state: answer.postCopy === true },
      ];
      await qmp.command('migrate-set-capabilities', { capabilities });
      await qmp.command('migrate-set-parameters', { 'max-bandwidth': rules.bytesPerSecond || 2 ** 40, 'downtime-limit': rules.downtimeMs });
      await qmp.command('migrate', { uri: `unix:${paths.memorySocket}` });
      memoryMoves = true;
      if (forced && answer.postCopy) await qmp.command('migrate-start-postcopy');
      await migrationReaches(qmp, ['pre-switchover', 'completed'], signal, moved.memory);
      for (const { index } of mirrors) {
        await qmp.command('block-job-cancel', { device: mirrorOf(index), force: false }); // of a mirror in step: both sides are the same now
        await jobReaches(qmp, mirrorOf(index), 'concluded', signal);
        await dropJob(qmp, mirrorOf(index));
        await dropNode(qmp, `${JOB}target${index}`);
      }
      await qmp.command('migrate-continue', { state: 'pre-switchover' });
      const reached = await migrationReaches(qmp, ['completed', 'postcopy-active'], signal, moved.memory);
      signal.throwIfAborted();
      handed = true;
      writeLine(control, { activate: true, running: power === 'running' });
      const arrived = await readAnswer<{ running: true }>(control, HANDOVER_MS).then(
        () => true,
        () => arrivedAt(offer),
      );
      if (arrived === undefined) {
        await live.record(guest, { power: 'paused' });
        throw hypervisorFailed({ why: 'the other host took the guest and does not answer: it is held still here until that is clear' });
      }
      if (!arrived) {
        handed = reached !== 'completed'; // a memory of which a part runs elsewhere cannot be taken back
        if (handed) await live.record(guest, { power: 'paused' });
        throw hypervisorFailed({ why: 'the other host did not take the guest' });
      }
      if (reached !== 'completed') await migrationReaches(qmp, ['completed'], AbortSignal.timeout(FORGOTTEN_MS), moved.memory);
      await live.end(guest, 0);
      await live.forget(spec.uuid);
    } catch (cause) {
      control.destroy();
      if (!handed) {
        await takeBack(qmp, power === 'running');
        await live.record(guest, { leaving: null, power });
      }
      throw signal.aborted ? signal.reason : cause;
    } finally {
      unlate();
      forcing.delete(spec.uuid);
      guest.ours = false;
      control.destroy();
      for (const one of tunnels) one.close();
      for (const file of [paths.nbdSocket, paths.memorySocket]) await rm(file, { force: true });
    }
  };

  /** Builds the machine that was described and takes the guest over, as far as the line `control` lasts. */
  const receive = async (spec: GuestSpec, layout: Layout, control: Socket, hurry: AbortSignal) => {
    const paths = guestPaths(live.stateDir, spec.uuid);
    const backing = spec.image ? await live.cache.path(spec.image).catch(() => null) : null;
    const closed = new AbortController();
    noticeEnd(control, () => closed.abort(hypervisorFailed({ why: 'the other host gave the move up' })));
    const signal = AbortSignal.any([hurry, closed.signal, AbortSignal.timeout(FORGOTTEN_MS)]);
    const made: string[] = [];
    const sync: Record<string, 'full' | 'top'> = {};
    let ours = false;
    try {
      const disks = disksOf(spec, paths, backing);
      if (disks.map((disk) => basename(disk.file)).join() !== layout.disks.map((disk) => disk.name).join()) {
        throw hypervisorFailed({ why: 'the other host has other disks for this guest' });
      }
      await takeStake(live.stateDir, paths, hostname);
      await mkdir(paths.folder, { recursive: true, mode: 0o700 });
      if (!layout.shared) {
        await writeDiskBook(paths, {}); // all that comes is made below, in the usual forms
        made.push(bookFile(paths));
      }
      for (const [index, disk] of disks.entries()) {
        const told = layout.disks[index];
        const name = basename(disk.file);
        if (disk.readOnly || !told || layout.shared) continue;
        const top = told.backing !== null && backing !== null && told.backing === basename(backing);
        sync[name] = top ? 'top' : 'full';
        made.push(disk.file);
        await rm(disk.file, { force: true });
        const below = top && backing ? ['-F', backing.endsWith('.qcow2') ? 'qcow2' : 'raw', '-b', backing] : [];
        await runProgram('qemu-img', ['create', '-q', '-f', disk.format, ...below, disk.file, String(told.bytes)], { signal });
      }
      await live.start(spec, {
        slots: layout.slots,
        rescue: null,
        incoming: true,
        fill: async (guest, qmp) => {
          await serveDisks(
            qmp,
            paths.nbdSocket,
            disks.flatMap((disk, index) => (disk.readOnly || layout.shared ? [] : [index])),
          );
          const capabilities = [{ capability: 'postcopy-ram', state: true }];
          const postCopy = rules.postCopy && (await qmp.command('migrate-set-capabilities', { capabilities }).then(yes, no)); // this kernel may not
          await qmp.command('migrate-incoming', { uri: `unix:${paths.memorySocket}` });
          writeLine(control, { sync, postCopy } satisfies Ready);
          const said = (await Promise.race([readLine(control, FORGOTTEN_MS), failWhen(signal), gone(qmp)])) as {
            activate?: unknown;
            running?: unknown;
          }; // checked here
          if (said.activate !== true) throw hypervisorFailed({ why: 'the other host did not hand the guest over' });
          await Promise.race([memoryArrived(qmp, AbortSignal.any([hurry, AbortSignal.timeout(HANDOVER_MS)])), gone(qmp)]);
          await qmp.command('nbd-server-stop');
          const power = said.running === true ? 'running' : 'paused';
          ours = true;
          await live.record(guest, { power, incoming: false });
          if (power === 'running') await qmp.command('cont');
          return power;
        },
      });
      expected.delete(spec.uuid);
      writeLine(control, { running: true });
      control.end();
    } catch (cause) {
      if (!ours) for (const file of made) await rm(file, { force: true });
      throw withDiskSpace(cause, `guest ${spec.uuid} was taken over`);
    } finally {
      for (const file of [paths.nbdSocket, paths.memorySocket]) await rm(file, { force: true });
    }
  };
  const mustExpect = (uuid: string) => {
    const spec = expected.get(uuid);
    if (!spec) throw hypervisorFailed({ why: `guest ${uuid} is not expected on this host` });
    return spec;
  };
  const through =
    (socketOf: (uuid: string) => string): MoveHandler =>
    async ({ uuid }, socket) => {
      mustExpect(uuid);
      const inner = connect(socketOf(uuid));
      inner.on('error', () => undefined); // 'close' follows
      writeLine(socket, {});
      joinSockets(inner, socket);
    };

  return {
    prepareIncoming: (spec) =>
      onGuest(spec.uuid, async () => {
        const guest = live.get(spec.uuid);
        if (guest && isUp(guest)) throw hypervisorFailed({ why: `guest ${spec.uuid} is on this host already` });
        planNetwork(spec);
        for (const volume of spec.volumes) await mustHaveVolume(spec, volume);
        expected.set(spec.uuid, spec);
        return server.offer(spec.uuid);
      }),
    migrateLive: (uuid, offer, signal, progress) =>
      onGuest(uuid, (hurry) => send(must(uuid), offer, AbortSignal.any([signal, hurry]), progress)),
    async forceMigration(uuid) {
      must(uuid);
      const force = forcing.get(uuid);
      if (!force) throw hypervisorFailed({ why: 'the guest is not being migrated' });
      await force();
    },
    forget: (uuid) => void expected.delete(uuid),
    handlers: {
      async shared({ uuid, name = '' }, socket) {
        writeLine(socket, { shared: await seesProbe(guestPaths(live.stateDir, mustExpect(uuid).uuid), name) });
        socket.end();
      },
      async config({ uuid, name, layout }, socket) {
        const paths = guestPaths(live.stateDir, mustExpect(uuid).uuid);
        const { bytes } = layout as { bytes: number }; // our own form; receiveFile keeps to it
        if (name !== 'disk.config' || !Number.isSafeInteger(bytes) || bytes > 2 ** 30)
          throw hypervisorFailed({ why: 'there is no such disk' });
        await mkdir(paths.folder, { recursive: true, mode: 0o700 });
        writeLine(socket, {});
        await receiveFile(socket, join(paths.folder, name), bytes, () => {}, AbortSignal.timeout(ANSWER_MS));
        socket.end();
      },
      incoming: ({ uuid, layout }, socket) => onGuest(uuid, (hurry) => receive(mustExpect(uuid), layout as Layout, socket, hurry)), // our own form, checked against our disks
      nbd: through((uuid) => guestPaths(live.stateDir, uuid).nbdSocket),
      memory: through((uuid) => guestPaths(live.stateDir, uuid).memorySocket),
      async state({ uuid }, socket) {
        const guest = live.get(uuid);
        writeLine(socket, { here: guest !== undefined && isUp(guest) && !guest.record.incoming });
        socket.end();
      },
    },
  };
}

/** Whether the target has the very disks this host has: it is asked for a mark that was left beside them. */
async function isShared(stateDir: string, paths: GuestPaths, offer: MoveOffer): Promise<boolean> {
  if (!disksAreApart(stateDir)) return false;
  const probe = await leaveProbe(paths);
  try {
    const { answer, socket } = await askMove<{ shared: boolean }>(offer, { want: 'shared', name: probe }, ANSWER_MS);
    socket.destroy();
    return answer.shared;
  } finally {
    await removeProbe(paths, probe);
  }
}

/** Ends or hurries a move that takes too long; answers the way to be rid of the timer. */
function limitTime(rules: LiveMoveRules, spec: GuestSpec, layout: Layout, late: { abort: (seconds: number) => void; force: () => void }) {
  if (rules.secondsPerGiB === 0) return () => {};
  const disks = layout.disks.reduce((sum, disk) => sum + (disk.readOnly ? 0 : disk.bytes), 0);
  const seconds = Math.ceil(rules.secondsPerGiB * (Math.max(2, spec.memoryMiB / 1024) + disks / GiB));
  const timer = setTimeout(() => (rules.whenLate === 'abort' ? late.abort(seconds) : late.force()), Math.min(seconds * 1000, 2 ** 31 - 1));
  timer.unref();
  return () => clearTimeout(timer);
}
const nameOf = (file: string | null) => file && basename(file);
const yes = () => true;
const no = () => false;

/** Hears the end of a line that nobody reads at the moment: what comes is put aside for the next reader. */
function noticeEnd(socket: Socket, ended: () => void) {
  socket.on('close', ended).on('end', ended);
  socket.on('readable', () => {
    if (socket.readableLength === 0) socket.read(0);
  });
}

const mirrorOf = (index: number) => `${JOB}mirror${index}`;

/** Asks the target whether the guest is its; undefined when it does not answer for a while. */
export async function arrivedAt(offer: MoveOffer, ms = HANDOVER_MS): Promise<boolean | undefined> {
  const until = Date.now() + ms;
  do {
    const asked = await askMove<{ here: boolean }>(offer, { want: 'state' }, 5000).catch(() => undefined);
    asked?.socket.destroy();
    if (asked) return asked.answer.here;
    await pause(200);
  } while (Date.now() < until);
  return undefined;
}

async function takeBack(qmp: Qmp, run: boolean): Promise<void> {
  await qmp.command('migrate_cancel').catch(() => undefined);
  await migrationReaches(qmp, ['completed', 'none'], AbortSignal.timeout(10_000)).catch(() => undefined); // 'cancelled' is what is hoped for
  await dropJobs(qmp).catch(() => undefined); // a guest that is gone has none
  if (run) await settled(qmp);
}

/** A socket of this machine whose other end is at the other host. */
async function tunnel(path: string, offer: MoveOffer, want: 'nbd' | 'memory'): Promise<Server> {
  await rm(path, { force: true });
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on('error', () => undefined); // 'close' follows
    askMove<object>(offer, { want }, ANSWER_MS).then(
      ({ socket: far }) => joinSockets(socket, far),
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  return server;
}

async function sendConfig(file: string, offer: MoveOffer): Promise<void> {
  const { size } = await stat(file);
  const { socket } = await askMove<object>(offer, { want: 'config', name: basename(file), layout: { bytes: size } }, ANSWER_MS);
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  await sendFile(file, socket);
  socket.resume();
  await ended; // the other side hangs up when it has all of it
}

async function serveDisks(qmp: Qmp, path: string, indexes: readonly number[]): Promise<void> {
  await rm(path, { force: true });
  await qmp.command('nbd-server-start', { addr: { type: 'unix', data: { path } } });
  for (const index of indexes) {
    await qmp.command('block-export-add', {
      type: 'nbd',
      id: `disk${index}`,
      'node-name': `node${index}`,
      name: `disk${index}`,
      writable: true,
    });
  }
}

const failWhen = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
const gone = (qmp: Qmp): Promise<never> =>
  qmp.closed.then(() => {
    throw hypervisorFailed({ why: 'the emulator could not take the memory that came' });
  });

function createProgress(tell: (moved: MoveProgress) => void, layout: Layout) {
  const disks = new Map<number, { done: number; total: number }>();
  let memory = { total: 0, transferred: 0, remaining: 0 };
  let last = 0;
  const say = (now: boolean) => {
    if (!now && Date.now() - last < 200) return;
    last = Date.now();
    const sums = [...disks.values()].reduce((sum, one) => ({ done: sum.done + one.done, total: sum.total + one.total }), {
      done: 0,
      total: 0,
    });
    const total = sums.total || layout.disks.reduce((sum, disk) => sum + disk.bytes, 0);
    tell({
      memoryTotal: memory.total,
      memoryProcessed: memory.transferred,
      memoryRemaining: memory.remaining,
      diskTotal: total,
      diskProcessed: sums.done,
      diskRemaining: Math.max(0, total - sums.done),
    });
  };
  return {
    disk(index: number, done: number, total: number) {
      disks.set(index, { done, total });
      say(done === total);
    },
    memory(seen: { status?: string; ram?: { total: number; transferred: number; remaining: number } }) {
      if (seen.ram) memory = seen.ram;
      say(seen.status === 'completed');
    },
  };
}
