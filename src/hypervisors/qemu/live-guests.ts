import { access, mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, every } from '../../lib/clock.ts';
import { isUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestEvent, GuestInfo, GuestSpec, MoveOffer, PowerState, RescueSpec } from '../driver.ts';
import { dropJobs } from './block-jobs.ts';
import { type CommandLineParts, commandLine, mayFork } from './command-line.ts';
import { rotateConsole } from './console-log.ts';
import { readDiskBook } from './disk-book.ts';
import { type DiskTools, disksOf, mustHaveDisks, removeRescueDisks, removeSnapshots } from './disks.ts';
import { type GuestRecord, readRecords, writeRecord } from './guest-journal.ts';
import { createGuestMachines, type HostMachine, type MachinePlan } from './guest-machine.ts';
import { guestPaths, ownFolder, privateFolder, shortSocketFolder } from './guest-paths.ts';
import type { ImageCache } from './image-cache.ts';
import { bootId } from './kvm-probe.ts';
import { planNetwork } from './network-plan.ts';
import type { PlacedCell } from './place-cells.ts';
import { ended, findEmulators, isAlive, killProcess, type ProcessIdentity } from './process-identity.ts';
import { connectQmp, type Qmp } from './qmp.ts';
import { freshSlots, type Slot } from './slots.ts';
import { freePort, startEmulator } from './spawn.ts';
import { loadMemory, migrationOf } from './suspend.ts';
import { startTpm, stopTpm, tpmOf } from './tpm.ts';
import { removeSecrets, type SecretOf } from './volume-secrets.ts';

/** One guest in the driver's memory: its record, and the line to its process while it runs. */
export interface LiveGuest {
  record: GuestRecord;
  qmp: Qmp | undefined;
  /** We are ending it ourselves: what happens now is no event. */
  ours: boolean;
  /** What QEMU said before it ended: the reason of its SHUTDOWN event. */
  farewell: string | undefined;
}

export interface LiveGuestsParts {
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly cache: ImageCache;
  readonly disks: DiskTools;
  readonly snapshots: SnapshotOptions;
  readonly acceleration: () => 'kvm' | 'tcg';
  readonly emit: (event: GuestEvent) => void;
  readonly consoleLimit: number;
  readonly startMs: number;
  /** How long memory may take from or to the disk. */
  readonly moveMs: number;
  /** Whether a guest that was sent to another host is that one's now; undefined: it cannot be asked. */
  readonly arrived: (offer: MoveOffer) => Promise<boolean | undefined>;
  /** What this host has for guests that ask for more than a plain machine. */
  readonly machine: HostMachine;
  readonly secretOf: SecretOf;
}
/** Spec: [libvirt] snapshot_image_format, snapshots_directory. */
export interface SnapshotOptions {
  /** Null: as the disk itself. */
  readonly format: 'qcow2' | 'raw' | null;
  /** Null: beside the guest's disks. */
  readonly folder: string | null;
}

/** All that is decided of a start. */
interface Launch extends Pick<CommandLineParts, 'spec' | 'disks' | 'slots' | 'kernel' | 'network'> {
  readonly more: StartMore;
  readonly known: LiveGuest | undefined;
  readonly machine: MachinePlan;
  readonly rescue: RescueSpec | null;
}

/** How a start differs from a plain one. */
export interface StartMore {
  /** Default: as the guest's record has it. */
  readonly rescue?: RescueSpec | null;
  /** A machine that is to be built again as it was. */
  readonly slots?: readonly Slot[];
  /** The machine waits for memory instead of booting; this brings it and answers what the guest does then. */
  readonly fill?: (guest: LiveGuest, qmp: Qmp) => Promise<PowerState>;
  /** Where its memory cells stood. */
  readonly cells?: readonly PlacedCell[] | null;
  /** The memory comes from another host. */
  readonly incoming?: boolean;
}

const GUEST_PORTS = [22];
const QUIT_MS = 3000;

/** The guests of this host: starts, watches, ends and adopts their processes. Callers see to it that deeds on one guest do not overlap. */
export function createLiveGuests(parts: LiveGuestsParts) {
  const { stateDir, clock, log, emit } = parts;
  const guests = new Map<string, LiveGuest>();
  const stop = new AbortController();
  const machines = createGuestMachines(parts.machine, parts.secretOf, () =>
    [...guests].map(([uuid, guest]) => [uuid, guest.record.cells] as const),
  );

  const record = async (guest: LiveGuest, change: Partial<GuestRecord>) => {
    const before = guest.record;
    const after = { ...before, ...change };
    guest.record = after;
    try {
      await writeRecord(guestPaths(stateDir, after.spec.uuid), after);
    } catch (cause) {
      if (guest.record === after) guest.record = before;
      throw cause;
    }
  };

  /** The process ended without us: finds out why, writes it down and tells. */
  const goneByItself = async (guest: LiveGuest, process: ProcessIdentity) => {
    const { uuid } = guest.record.spec;
    const same = () => guests.get(uuid) === guest && guest.record.process === process && !guest.ours;
    if (!same() || !(await ended(process, 5000, stop.signal)) || !same()) return;
    const { farewell } = guest;
    const reason = farewell === undefined ? 'crashed' : farewell.startsWith('guest') ? 'guest-shutdown' : 'host-request';
    const power: PowerState = reason === 'crashed' ? 'crashed' : 'shutdown';
    guest.qmp = undefined;
    machines.left(uuid);
    guest.record = { ...guest.record, power, process: null }; // before any wait: the next look already sees it
    const detail = farewell === undefined ? 'the emulator ended without a word' : `QEMU: ${farewell}`;
    log.info({ uuid, reason, detail }, 'a guest stopped by itself');
    await record(guest, {}).catch((cause: unknown) =>
      log.error({ uuid, err: cause }, 'the record of a stopped guest could not be written'),
    );
    emit({ kind: 'stopped', uuid, reason, detail });
  };

  const watch = (guest: LiveGuest, process: ProcessIdentity, qmp: Qmp) => {
    guest.qmp = qmp;
    qmp.onEvent(({ event, data }) => {
      if (event === 'SHUTDOWN') guest.farewell = String(data.reason ?? (data.guest ? 'guest-shutdown' : 'host'));
      if (event === 'STOP') void refreshPower(guest, qmp);
      if (event === 'RESUME' && !guest.ours) guest.record = { ...guest.record, power: 'running' };
    });
    void qmp.closed.then(() => {
      if (guest.qmp === qmp) guest.qmp = undefined;
      return goneByItself(guest, process);
    });
  };

  /** A stop may be a pause, a full disk, or an emulator that gave up on the guest. */
  const refreshPower = async (guest: LiveGuest, qmp: Qmp) => {
    const status = await runState(qmp).catch(() => undefined);
    if (status === undefined || guest.qmp !== qmp || guest.ours) return;
    const was = guest.record.power;
    guest.record = { ...guest.record, power: POWER_OF[status] ?? 'running' };
    if (guest.record.power === 'crashed' && was !== 'crashed') {
      emit({ kind: 'stopped', uuid: guest.record.spec.uuid, reason: 'crashed', detail: `QEMU: ${status}` });
    }
  };

  /** A process whose line broke, or did not answer when we came: tried again at each look. */
  const reconnect = async (guest: LiveGuest) => {
    const { process, qmpSocket, spec } = guest.record;
    if (guest.qmp || !process || !isAlive(process)) return;
    const qmp = await adoptLine(qmpSocket, spec.uuid, 1000).catch(() => undefined);
    if (!qmp) return;
    if (guest.qmp || guest.record.process !== process) return qmp.close();
    watch(guest, process, qmp);
    await refreshPower(guest, qmp);
  };

  const look = async () => {
    machines.tidy();
    for (const guest of guests.values()) {
      const { process, spec } = guest.record;
      if (!process || guest.ours) continue;
      if (!isAlive(process)) await goneByItself(guest, process);
      else {
        await reconnect(guest);
        await rotateConsole(guestPaths(stateDir, spec.uuid).consoleLog, parts.consoleLimit);
      }
    }
  };

  /** Starts QEMU for the guest; a running one is left as it is, a suspended one goes on where it was. */
  const start = async (spec: GuestSpec, more: StartMore = {}): Promise<void> => {
    const known = guests.get(spec.uuid);
    if (known && isUp(known)) return;
    if (known?.record.power === 'suspended' && !known.record.process && !more.fill) return goOn(spec, known);
    if (known?.record.process) await end(known, 0);
    const paths = guestPaths(stateDir, spec.uuid);
    const { rescue = known?.record.rescue ?? null } = more;
    const backing = spec.image ? await parts.cache.path(spec.image).catch(() => null) : null;
    const knownRoot = known?.record.disks.find((disk) => disk.backing !== null);
    const disks = disksOf(spec, paths, backing ?? knownRoot?.backing ?? null, rescue, await readDiskBook(paths));
    await mustHaveDisks(spec, disks);
    const slots = more.slots ?? freshSlots(spec);
    const kernel = await kernelOf(spec, rescue, parts.cache);
    const network = planNetwork(spec);
    for (const warning of network.warnings) log.warn({ uuid: spec.uuid }, warning);
    const machine = machines.plan(spec, more.cells ?? known?.record.cells ?? null);
    try {
      await launch({ spec, more, known, disks, slots, kernel, network, machine, rescue });
    } finally {
      await machines.done(spec.uuid, paths);
    }
  };

  /** Starts the process of a guest whose machine is decided. When it fails nothing is left of it, and a guest that was known is as it was. */
  const launch = async ({ spec, more, known, disks, slots, kernel, network, machine, rescue }: Launch): Promise<void> => {
    const paths = guestPaths(stateDir, spec.uuid);
    const short = shortSocketFolder(stateDir);
    for (const folder of [...(short ? [short] : []), paths.folder, paths.own, paths.socketFolder]) await privateFolder(folder);
    const { qmpSocket, vncSocket, serialSocket } = paths;
    await machines.layReady(spec, machine, paths);
    const { cells } = machine;
    const layout = {
      slots,
      cells,
      forks: mayFork(network),
      rescue,
      suspending: null,
      incoming: more.incoming ?? false,
      arriving: false,
      leaving: null,
    };
    const sockets = { qmpSocket, vncSocket, serialSocket };
    const guest: LiveGuest = {
      record: { version: 1, spec, power: 'pending', process: null, ...sockets, disks, forwards: [], ...layout },
      qmp: undefined,
      ours: true,
      farewell: undefined,
    };
    await writeRecord(paths, guest.record);
    const filled = more.fill !== undefined;
    try {
      for (let attempt = 1; ; attempt++) {
        const old = attempt === 1 ? (known?.record.forwards ?? []) : [];
        const forwards = network.nics.some((nic) => nic.ipv4?.forwards) ? await chooseForwards(old) : [];
        const acceleration = parts.acceleration();
        const argv = commandLine({ spec, paths, disks, slots, kernel, network, acceleration, forwards, ...machine, incoming: filled });
        await startTpm(tpmOf(spec), paths);
        const emulator = await startEmulator(argv, paths, parts.startMs);
        if (emulator === 'portTaken') {
          if (attempt < 5) continue;
          throw hypervisorFailed({ why: 'no free loopback port for a forward was found' });
        }
        guests.set(spec.uuid, guest);
        watch(guest, emulator.process, emulator.qmp);
        await record(guest, { power: filled ? 'pending' : 'running', process: emulator.process, forwards });
        await machines.settle(spec, machine, emulator.process.pid, emulator.qmp);
        if (more.fill) await record(guest, { power: await more.fill(guest, emulator.qmp), incoming: false });
        await machines.askMemory(machine, emulator.qmp);
        guest.ours = false;
        if (!isAlive(emulator.process)) void goneByItself(guest, emulator.process);
        return;
      }
    } catch (cause) {
      if (guest.record.process) await end(guest, 0);
      await stopTpm(paths);
      if (known) {
        guests.set(spec.uuid, known);
        await record(known, {});
      } else await forget(spec.uuid);
      throw cause;
    }
  };

  /** A suspended guest goes on: the same machine is built again and filled with its memory. When it fails, it is suspended as before. */
  const goOn = async (spec: GuestSpec, known: LiveGuest) => {
    const paths = guestPaths(stateDir, spec.uuid);
    await start(spec, {
      slots: known.record.slots,
      cells: known.record.cells,
      fill: async (_guest, qmp) => {
        await loadMemory(qmp, paths, AbortSignal.any([stop.signal, AbortSignal.timeout(parts.moveMs)]));
        await qmp.command('cont');
        return 'running';
      },
    });
    await rm(paths.memory, { force: true });
  };

  /** Ends the guest's process: by its own shutdown within `graceMs`, by QEMU's quit, by kill. Then it is gone for sure. */
  const end = async (guest: LiveGuest, graceMs: number, hurry?: AbortSignal): Promise<void> => {
    guest.ours = true;
    const { process } = guest.record;
    if (process && isAlive(process)) {
      if (graceMs > 0 && guest.qmp) {
        const asked = await guest.qmp.command('system_powerdown').then(
          () => true,
          () => false,
        );
        if (asked) await ended(process, graceMs, hurry);
      }
      if (isAlive(process) && guest.qmp) {
        void guest.qmp.command('quit', {}, QUIT_MS).catch(() => undefined); // its end is the answer
        await ended(process, QUIT_MS);
      }
      killProcess(process);
      if (!(await ended(process, QUIT_MS)))
        throw hypervisorFailed({ why: `process ${process.pid} of guest ${guest.record.spec.uuid} cannot be ended` });
    }
    machines.left(guest.record.spec.uuid);
    guest.qmp?.close();
    guest.qmp = undefined;
    guest.record = { ...guest.record, power: 'shutdown', process: null };
  };

  /** Ends a guest that cannot go on, as if it had crashed, and tells why. */
  const lose = async (guest: LiveGuest, why: string): Promise<void> => {
    await end(guest, 0);
    await record(guest, { power: 'crashed', incoming: false, suspending: null });
    guest.ours = false;
    log.error({ uuid: guest.record.spec.uuid, why }, 'a guest was lost');
    emit({ kind: 'stopped', uuid: guest.record.spec.uuid, reason: 'crashed', detail: why });
  };

  const forget = async (uuid: string) => {
    guests.delete(uuid);
    if (!isUuid(uuid)) return;
    const paths = guestPaths(stateDir, uuid);
    for (const file of [
      paths.record,
      paths.qmpSocket,
      paths.serialSocket,
      paths.vncSocket,
      paths.agentSocket,
      paths.memorySocket,
      paths.nbdSocket,
      paths.pidFile,
      paths.qemuLog,
      paths.memory,
    ]) {
      await rm(file, { force: true });
    }
    await stopTpm(paths);
    await removeSecrets(paths);
    await removeRescueDisks(paths);
    if (paths.socketFolder === paths.own) return;
    await rm(paths.socketFolder, { recursive: true, force: true });
    await rmdir(dirname(paths.socketFolder)).catch(() => undefined); // the last guest takes the short folder with it
  };

  /** Takes up a guest of an earlier run of ours. What was being done to it is brought to the end it had reached, or taken back. */
  const adopt = async (found: GuestRecord, emulators: ReturnType<typeof findEmulators>) => {
    const { uuid } = found.spec;
    const paths = guestPaths(stateDir, uuid);
    const seen = emulators.find((emulator) => emulator.uuid === uuid)?.process;
    const guest: LiveGuest = { record: found, qmp: undefined, ours: false, farewell: undefined };
    guests.set(uuid, guest);
    const process = found.process && isAlive(found.process) ? found.process : found.power === 'pending' ? seen : undefined;
    guest.record = { ...found, process: process ?? found.process };
    await removeSnapshots(paths.folder);
    await removeSecrets(paths); // of a start that was cut short
    if (parts.snapshots.folder) await removeSnapshots(parts.snapshots.folder, uuid);
    const saved = await isThere(paths.memory);
    if (found.incoming) {
      if (process) await end(guest, 0);
      return forget(uuid); // it runs on where it came from
    }
    const asleep = async () => {
      if (process) await end(guest, 0);
      guest.ours = false;
      await record(guest, { power: 'suspended', process: null, suspending: null });
    };
    if (found.suspending && saved) return asleep();
    if (!process) {
      if (found.power === 'pending') return saved ? asleep() : forget(uuid); // never came up
      if (found.process) return goneWhileAway(guest, found.process);
      if (saved && found.power !== 'suspended') await rm(paths.memory);
      return;
    }
    const qmp = await adoptLine(found.qmpSocket, uuid, 3000).catch((cause: unknown) => {
      if (found.arriving) return undefined; // it waits for memory
      log.warn({ uuid, pid: process.pid, err: cause }, 'a guest of an earlier run lives and does not answer; it is tried again');
      return undefined;
    });
    if (found.arriving) {
      // What was still to come passed through the agent that died.
      const { status } = (await (qmp && migrationOf(qmp).catch(() => undefined))) ?? {};
      if (status !== 'completed') {
        guest.qmp = qmp;
        return lose(guest, 'a part of its memory never came from the host it was on');
      }
    }
    if (qmp) {
      if (found.power === 'pending' && saved && (await runState(qmp)) !== 'running') {
        guest.qmp = qmp;
        return asleep(); // it was being filled
      }
      const sent = found.leaving && (await hasLeft(qmp));
      if (found.leaving && sent) {
        const there = await parts.arrived(found.leaving);
        if (sent === 'in-part' && there !== true) {
          guest.qmp = qmp;
          return lose(guest, 'a part of its memory was sent to another host, which does not have the guest');
        }
        if (there === true) {
          guest.qmp = qmp;
          await end(guest, 0);
          return forget(uuid);
        }
        if (there === undefined) {
          log.error({ uuid }, 'a guest was sent to another host that does not answer: it is held still here until someone says unpause');
          await record(guest, { process, power: 'paused' });
          return watch(guest, process, qmp);
        }
      }
      await tidy(qmp, found).catch((cause: unknown) =>
        log.warn({ uuid, err: cause }, 'what was being done to a guest could not be taken back'),
      );
    }
    await rm(paths.memory, { force: true });
    await record(guest, {
      process,
      power: found.power === 'pending' ? 'running' : found.power,
      suspending: null,
      arriving: false,
      leaving: null,
    });
    if (qmp) {
      watch(guest, process, qmp);
      await refreshPower(guest, qmp);
    }
    log.info({ uuid, pid: process.pid }, 'adopted a guest that ran on');
  };

  const goneWhileAway = async (guest: LiveGuest, process: ProcessIdentity) => {
    const { uuid } = guest.record.spec;
    const rebooted = process.bootId !== bootId();
    const killed = await access(guestPaths(stateDir, uuid).pidFile).then(
      () => true, // QEMU takes its pid file away when it ends in order
      () => false,
    );
    machines.left(uuid);
    await record(guest, { process: null, power: killed ? 'crashed' : 'shutdown', suspending: null });
    const detail = rebooted ? 'the host was started anew' : 'it ended while the agent was away';
    emit({ kind: 'stopped', uuid, reason: killed ? 'crashed' : 'guest-shutdown', detail });
  };

  return {
    stateDir,
    cache: parts.cache,
    disks: parts.disks,
    secretOf: parts.secretOf,
    snapshots: parts.snapshots,
    get: (uuid: string) => guests.get(uuid),
    start,
    end,
    lose,
    record,
    forget,
    async open() {
      await mkdir(ownFolder(stateDir), { recursive: true, mode: 0o700 });
      const { records, unreadable } = await readRecords(stateDir);
      for (const file of unreadable) log.error({ file }, 'a guest record cannot be read; it is left alone');
      const emulators = records.length > 0 ? findEmulators(ownFolder(stateDir)) : [];
      await Promise.all(records.map((found) => adopt(found, emulators)));
      void every(clock, 500, stop.signal, look, (cause) => log.error({ err: cause }, 'looking after the guests failed'));
    },
    close() {
      stop.abort();
      machines.tidy();
      for (const guest of guests.values()) {
        guest.ours = true; // from now on nobody listens
        guest.qmp?.close();
      }
      guests.clear();
    },
    /** Guests with a record, and processes of this state dir without one. */
    list(): { live: LiveGuest[]; strangers: { uuid: string; process: ProcessIdentity }[] } {
      const strangers = findEmulators(ownFolder(stateDir)).filter(({ uuid }) => !guests.has(uuid));
      return { live: [...guests.values()], strangers };
    },
  };
}
export type LiveGuests = ReturnType<typeof createLiveGuests>;

/** QEMU's run states that are not plain running. */
const POWER_OF: Readonly<Record<string, PowerState>> = {
  running: 'running',
  paused: 'paused',
  'io-error': 'paused',
  prelaunch: 'pending',
  inmigrate: 'pending',
  'finish-migrate': 'paused',
  postmigrate: 'paused',
  suspended: 'suspended',
  shutdown: 'shutdown',
  'internal-error': 'crashed',
  'guest-panicked': 'crashed',
};

export async function runState(qmp: Qmp): Promise<string> {
  return ((await qmp.command('query-status')) as { status: string }).status; // QEMU's own form
}

/** Whether the guest of this emulator was sent to another host, whole or in part: then it may not go on here by itself. */
async function hasLeft(qmp: Qmp): Promise<'whole' | 'in-part' | null> {
  const { status = '' } = await migrationOf(qmp);
  if (status.startsWith('postcopy')) return 'in-part';
  return (await runState(qmp)) === 'postmigrate' ? 'whole' : null;
}

/** Takes back what an agent that died was doing: copies of disks, moves of memory, guests held still for them. */
async function tidy(qmp: Qmp, found: GuestRecord): Promise<void> {
  await qmp.command('migrate_cancel');
  await dropJobs(qmp);
  const held = ['paused', 'postmigrate', 'finish-migrate'].includes(await runState(qmp));
  if ((found.suspending === 'running' || (found.leaving && found.power === 'running')) && held) await qmp.command('cont');
}

async function kernelOf(spec: GuestSpec, rescue: RescueSpec | null, cache: ImageCache) {
  const { kernel, ramdisk } = rescue ?? spec;
  if (!kernel) return null;
  const append = rescue?.properties.os_command_line ?? spec.kernelCommandLine ?? '';
  return { file: await cache.path(kernel), initrd: ramdisk ? await cache.path(ramdisk) : null, append };
}

/** Whether the guest has a machine that stands, running or held still. */
export const isUp = ({ record }: LiveGuest): boolean =>
  record.process !== null && isAlive(record.process) && record.power !== 'crashed' && record.power !== 'shutdown';

const isThere = (file: string) =>
  access(file).then(
    () => true,
    () => false,
  );

/** A line to a process that says it is this guest. */
async function adoptLine(socket: string, uuid: string, ms: number): Promise<Qmp> {
  const qmp = await connectQmp(socket, ms);
  const told = (await qmp.command('query-uuid', {}, ms)) as { UUID: string }; // QEMU's own form
  if (told.UUID.toLowerCase() === uuid.toLowerCase()) return qmp;
  qmp.close();
  throw hypervisorFailed({ why: `the process behind ${socket} is guest ${told.UUID}` });
}

/** Loopback ports for the guest's; those of its last run when it had some, so that addresses in people's notes stay good. */
export async function chooseForwards(old: GuestInfo['forwards']): Promise<GuestInfo['forwards']> {
  if (old.length > 0) return old;
  return Promise.all(GUEST_PORTS.map(async (guestPort) => ({ guestPort, hostAddress: '127.0.0.1', hostPort: await freePort() })));
}
