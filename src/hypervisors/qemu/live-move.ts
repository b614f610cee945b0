import { mkdir, rm, stat } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { CloudError } from '../../model/errors.ts';
import {
  deedUnsupported,
  guestLostHere,
  guestLostThere,
  guestNotFound,
  hypervisorFailed,
  noDiskSpace,
} from '../../model/errors-hypervisor.ts';
import type { Driver, GuestSpec, MoveOffer, MoveProgress } from '../driver.ts';
import { dropJob, dropJobs, dropNode, JOB, jobReaches } from './block-jobs.ts';
import { bookFile, writeDiskBook } from './disk-book.ts';
import { leaveProbe, removeProbe, seesProbe, takeStake } from './disk-stakes.ts';
import { disksOf } from './disks.ts';
import { disksAreApart, type GuestPaths, guestPaths } from './guest-paths.ts';
import { readBackingName } from './image-header.ts';
import { isUp, type LiveGuest } from './live-guests.ts';
import { type AskMove, joinSockets, readAnswer, readLine, receiveFile, sendFile, writeLine } from './move-line.ts';
import type { MoveHandler, MoveServer } from './move-server.ts';
import { planNetwork } from './network-plan.ts';
import { lineTo, type QemuHands, settled } from './power-deeds.ts';
import { runProgram, withDiskSpace } from './programs.ts';
import type { Qmp } from './qmp.ts';
import type { Slot } from './slots.ts';
import { sizeOfDrive } from './snapshot.ts';
import { type MigrationStatus, memoryArrived, migrationOf, migrationReaches } from './suspend.ts';
import { tpmOf } from './tpm.ts';
import { mustHaveVolume } from './volume-disk.ts';

type LiveDeeds = Pick<Driver, 'prepareIncoming' | 'claimIncoming' | 'migrateLive' | 'forceMigration'>;
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
  /** How long that may stand still, by a line that nobody closes; a minute when absent. */
  readonly silentMs?: number;
}
export const usualRules: LiveMoveRules = { downtimeMs: 300, bytesPerSecond: 0, secondsPerGiB: 800, whenLate: 'abort', postCopy: false };
const ANSWER_MS = 60_000;
/** How long the target may be silent when both have said that the guest is its. */
const HANDOVER_MS = 30_000;
/** How long an emulator may take to say that all memory has come, once the line is closed: one that waits for a page that never comes answers nobody. */
const LAST_WORD_MS = 5000;
const STALLED_MS = 60_000;
/** How long it may take still when the host it comes from is given up. */
const CLAIMED_MS = 20_000;
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
  const { live, must, onGuest, hostname, ask } = hands;
  /** Moves in hand, by guest: how each is brought to its end whatever that costs. */
  const forcing = new Map<string, () => Promise<void>>();
  const expected = new Map<string, GuestSpec>();
  /** The lines that guests' memory comes by, each until it closes. */
  const memoryLines = new Map<string, Socket>();

  const send = async (guest: LiveGuest, offer: MoveOffer, stop: AbortSignal, progress: (moved: MoveProgress) => void) => {
    const { spec, disks, power, slots } = guest.record;
    const qmp = lineTo(guest, 'migrate');
    if (guest.record.rescue) throw deedUnsupported({ deed: 'migrate live', why: 'the guest is being rescued' });
    if (disks.some((disk) => disk.backend === 'lvm'))
      throw deedUnsupported({ deed: 'migrate live', why: 'its disks are logical volumes of this host' });
    if (tpmOf(spec)) throw deedUnsupported({ deed: 'migrate live', why: 'the guest has a TPM, whose secrets stay on this host' });
    if (offer.uuid !== spec.uuid) throw hypervisorFailed({ why: 'the offer is for another guest' });
    const paths = guestPaths(live.stateDir, spec.uuid);
    const shared = await isShared(ask, live.stateDir, paths, offer);
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
    for (const disk of disks.filter((one) => one.readOnly && !shared)) await sendConfig(ask, disk.file, offer);
    const { answer, socket: control } = await ask<Ready>(offer, { want: 'incoming', layout }, ANSWER_MS);
    const closed = new AbortController();
    /** What it says next, whenever that is: that the guest runs there, or why it never will. */
    const word = readAnswer<{ running: true }>(control, FORGOTTEN_MS);
    word.catch((cause: unknown) => closed.abort(cause));
    const signal = AbortSignal.any([stop, closed.signal]);
    const tunnels: Tunnel[] = [];
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
      tunnels.push(await tunnel(ask, paths.nbdSocket, offer, 'nbd'), await tunnel(ask, paths.memorySocket, offer, 'memory'));
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
        await jobReaches(qmp, mirrorOf(index), 'ready', signal, (done, total) => moved.disk(index, done, total)).catch((cause: unknown) => {
          const full = cause instanceof CloudError && cause.code === 'guest.no_disk_space';
          throw full ? noDiskSpace({ why: 'the other host has none left for the disks of the guest' }, { cause }) : cause;
        });
      const capabilities = [
        { capability: 'pause-before-switchover', state: true },
        { capability: 'postcopy-ram', state: answer.postCopy === true },
      ];
      await qmp.command('migrate-set-capabilities', { capabilities });
      await qmp.command('migrate-set-parameters', {
        'max-bandwidth': rules.bytesPerSecond || 2 ** 40,
        'max-postcopy-bandwidth': rules.bytesPerSecond, // 0 has no limit, and what the guest waits for comes first
        'downtime-limit': rules.downtimeMs,
      });
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
      const inPart = reached !== 'completed'; // a memory of which a part runs elsewhere cannot be taken back
      handed = true;
      writeLine(control, { activate: true, running: power === 'running' });
      const arrived = await Promise.race([word, failAfter(HANDOVER_MS)]).then(
        () => true,
        () => arrivedAt(ask, offer),
      );
      if (arrived !== true && inPart) {
        const why = arrived === false ? 'the other host did not take it' : 'the other host does not answer';
        await live.lose(guest, why);
        throw guestLostHere({ why });
      }
      if (arrived === undefined) {
        await live.record(guest, { power: 'paused' });
        throw hypervisorFailed({ why: 'the other host took the guest and does not answer: it is held still here until that is clear' });
      }
      if (!arrived) {
        handed = false;
        throw hypervisorFailed({ why: 'the other host did not take the guest' });
      }
      const broken = inPart
        ? await migrationReaches(qmp, ['completed'], AbortSignal.timeout(FORGOTTEN_MS), mustMove(moved.memory, rules.silentMs)).then(
            () => null,
            (cause: unknown) => cause,
          )
        : null;
      await live.end(guest, 0);
      await live.forget(spec.uuid);
      if (broken !== null) throw lostThere(broken);
    } catch (cause) {
      const why = signal.aborted && !handed ? signal.reason : cause; // once it is handed over the end of its line says nothing
      control.destroy();
      for (const one of tunnels) one.close(); // the guest's writes must not wait for a host that is silent
      if (!handed) {
        await takeBack(qmp, power === 'running');
        await live.record(guest, { leaving: null, power });
      }
      throw why;
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
          const arriving = (await migrationOf(qmp)).status !== 'completed';
          await live.record(guest, { power, incoming: false, arriving });
          if (power === 'running') await qmp.command('cont');
          return power;
        },
      });
      expected.delete(spec.uuid);
      writeLine(control, { running: true });
      control.end();
      await restArrives(spec.uuid, hurry);
    } catch (cause) {
      if (!ours) for (const file of made) await rm(file, { force: true });
      throw withDiskSpace(cause, `guest ${spec.uuid} was taken over`);
    } finally {
      for (const file of [paths.nbdSocket, paths.memorySocket]) await rm(file, { force: true });
    }
  };
  /** Waits for the memory of a guest that runs here before it has all of it. When it does not come the guest is lost, which is written down. */
  const restArrives = async (uuid: string, hurry: AbortSignal, mostMs = FORGOTTEN_MS) => {
    const guest = live.get(uuid);
    if (!guest?.record.arriving || !isUp(guest)) return;
    const { qmp } = guest;
    const over = new AbortController();
    const until = AbortSignal.any([hurry, over.signal]);
    const why = await Promise.race([
      qmp ? migrationReaches(qmp, ['completed'], until).then(whole, reasonOf) : 'the emulator does not answer',
      fallsSilent(memoryLines.get(uuid), until, rules.silentMs),
      pause(mostMs, 'it takes too long', { signal: until }).catch(reasonOf),
    ]);
    over.abort();
    if (hurry.aborted || live.get(uuid) !== guest) return;
    if (why === null) await live.record(guest, { arriving: false });
    else if (isUp(guest)) await live.lose(guest, `a part of its memory never came: ${why}`);
  };
  const mustExpect = (uuid: string) => {
    const spec = expected.get(uuid);
    if (!spec) throw hypervisorFailed({ why: `guest ${uuid} is not expected on this host` });
    return spec;
  };
  const through =
    (socketOf: (uuid: string) => string, opened: (uuid: string, line: Socket) => void = () => {}): MoveHandler =>
    async ({ uuid }, socket) => {
      mustExpect(uuid);
      opened(uuid, socket);
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
    /** What happens to a guest that comes is one deed: when its turn is over it is here or not. */
    claimIncoming: (uuid) =>
      onGuest(uuid, async (hurry) => {
        await restArrives(uuid, hurry, CLAIMED_MS);
        const guest = live.get(uuid);
        if (!guest || guest.record.incoming) return 'none';
        return guest.record.arriving ? 'lost' : 'whole';
      }),
    migrateLive: (uuid, offer, signal, progress) =>
      onGuest(uuid, async (hurry) => {
        const guest = live.get(uuid);
        if (guest?.record.leaving && !isUp(guest)) throw guestLostHere({ why: 'it was being sent when the agent of its host ended' });
        if (guest) return send(guest, offer, AbortSignal.any([signal, hurry]), progress);
        // An earlier run of ours sent it, and had no time to say so.
        const there = await stateAt(ask, offer);
        if (!there?.here) throw guestNotFound({ uuid });
        if (there.whole === false) throw lostThere('the agent of its old host ended');
      }),
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
      memory: through(
        (uuid) => guestPaths(live.stateDir, uuid).memorySocket,
        (uuid, line) => {
          memoryLines.set(uuid, line);
          line.once('close', () => memoryLines.get(uuid) === line && memoryLines.delete(uuid));
        },
      ),
      async state({ uuid }, socket) {
        const guest = live.get(uuid);
        const here = guest !== undefined && !guest.record.incoming; // also when it has turned itself off meanwhile
        writeLine(socket, { here, whole: here && !guest.record.arriving } satisfies StateThere);
        socket.end();
      },
    },
  };
}

/** Whether the target has the very disks this host has: it is asked for a mark that was left beside them. */
async function isShared(ask: AskMove, stateDir: string, paths: GuestPaths, offer: MoveOffer): Promise<boolean> {
  if (!disksAreApart(stateDir)) return false;
  const probe = await leaveProbe(paths);
  try {
    const { answer, socket } = await ask<{ shared: boolean }>(offer, { want: 'shared', name: probe }, ANSWER_MS);
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
export const arrivedAt = async (ask: AskMove, offer: MoveOffer): Promise<boolean | undefined> => (await stateAt(ask, offer))?.here;

interface StateThere {
  readonly here: boolean;
  /** With all of its memory. */
  readonly whole?: boolean;
}
async function stateAt(ask: AskMove, offer: MoveOffer, ms = HANDOVER_MS): Promise<StateThere | undefined> {
  const until = Date.now() + ms;
  do {
    const asked = await ask<StateThere>(offer, { want: 'state' }, 5000).catch(() => undefined);
    asked?.socket.destroy();
    if (asked) return asked.answer;
    await pause(200);
  } while (Date.now() < until);
  return undefined;
}
const whole = () => null;
const reasonOf = (cause: unknown) => (cause instanceof CloudError ? String(cause.params.why ?? cause.message) : String(cause));
const lostThere = (cause: unknown) =>
  guestLostThere({ why: typeof cause === 'string' ? cause : reasonOf(cause) }, typeof cause === 'string' ? {} : { cause });

async function takeBack(qmp: Qmp, run: boolean): Promise<void> {
  await qmp.command('migrate_cancel').catch(() => undefined);
  await migrationReaches(qmp, ['completed', 'none'], AbortSignal.timeout(10_000)).catch(() => undefined); // 'cancelled' is what is hoped for
  await dropJobs(qmp).catch(() => undefined); // a guest that is gone has none
  if (run) await settled(qmp);
}

interface Tunnel {
  /** Cuts every line through it. */
  close(): void;
}
/** Looks at memory on its way; throws when none has moved for long: then nobody is there any more, though nobody hung up. */
function mustMove(look: (seen: MigrationStatus) => void, mostMs = STALLED_MS): (seen: MigrationStatus) => void {
  let [sent, since] = [-1, Date.now()];
  return (seen) => {
    look(seen);
    if (seen.ram && seen.ram.transferred !== sent) [sent, since] = [seen.ram.transferred, Date.now()];
    else if (Date.now() - since > mostMs) throw hypervisorFailed({ why: `the other host took no memory for ${mostMs / 1000} s` });
  };
}
/** Resolves with the reason when a line has broken, or brings nothing for long. */
async function fallsSilent(line: Socket | undefined, until: AbortSignal, mostMs = STALLED_MS): Promise<string> {
  let [heard, since] = [-1, Date.now()];
  for (; !until.aborted; await pause(200)) {
    if (!line || line.destroyed) {
      await pause(LAST_WORD_MS);
      return 'the line to the other host broke';
    }
    if (line.bytesRead !== heard) [heard, since] = [line.bytesRead, Date.now()];
    else if (Date.now() - since > mostMs) return `the other host sent none for ${mostMs / 1000} s`;
  }
  return '';
}
/** A socket of this machine whose other end is at the other host. */
async function tunnel(ask: AskMove, path: string, offer: MoveOffer, want: 'nbd' | 'memory'): Promise<Tunnel> {
  await rm(path, { force: true });
  const lines = new Set<Socket>();
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    lines.add(socket);
    socket.on('error', () => undefined); // 'close' follows
    socket.on('close', () => lines.delete(socket));
    ask<object>(offer, { want }, ANSWER_MS).then(
      ({ socket: far }) => joinSockets(socket, far),
      () => socket.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve));
  return {
    close() {
      server.close();
      for (const line of lines) line.destroy();
    },
  };
}

async function sendConfig(ask: AskMove, file: string, offer: MoveOffer): Promise<void> {
  const { size } = await stat(file);
  const { socket } = await ask<object>(offer, { want: 'config', name: basename(file), layout: { bytes: size } }, ANSWER_MS);
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
const failAfter = (ms: number) => failWhen(AbortSignal.timeout(ms));
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
