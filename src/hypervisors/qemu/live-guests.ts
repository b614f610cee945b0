import { access, mkdir, rm, rmdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, every } from '../../lib/clock.ts';
import { isUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestEvent, GuestInfo, GuestSpec, PowerState } from '../driver.ts';
import { commandLine } from './command-line.ts';
import { rotateConsole } from './console-log.ts';
import { disksOf, mustHaveDisks } from './disks.ts';
import { type GuestRecord, readRecords, writeRecord } from './guest-journal.ts';
import { guestPaths, instancesFolder, privateFolder, shortSocketFolder } from './guest-paths.ts';
import type { ImageCache } from './image-cache.ts';
import { bootId } from './kvm-probe.ts';
import { planNetwork } from './network-plan.ts';
import { ended, findEmulators, isAlive, killProcess, type ProcessIdentity } from './process-identity.ts';
import { connectQmp, type Qmp } from './qmp.ts';
import { freePort, startEmulator } from './spawn.ts';

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
  readonly acceleration: () => 'kvm' | 'tcg';
  readonly emit: (event: GuestEvent) => void;
  readonly consoleLimit: number;
  readonly startMs: number;
}

const GUEST_PORTS = [22];
const QUIT_MS = 3000;

/** The guests of this host: starts, watches, ends and adopts their processes. Callers see to it that deeds on one guest do not overlap. */
export function createLiveGuests(parts: LiveGuestsParts) {
  const { stateDir, clock, log, emit } = parts;
  const guests = new Map<string, LiveGuest>();
  const stop = new AbortController();

  const record = async (guest: LiveGuest, change: Partial<GuestRecord>) => {
    guest.record = { ...guest.record, ...change };
    await writeRecord(guestPaths(stateDir, guest.record.spec.uuid), guest.record);
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

  /** Starts QEMU for the guest; a running one is left as it is. */
  const start = async (spec: GuestSpec): Promise<void> => {
    const known = guests.get(spec.uuid);
    if (known?.record.process && isAlive(known.record.process) && known.record.power !== 'crashed') return;
    if (known) await end(known, 0);
    const paths = guestPaths(stateDir, spec.uuid);
    const backing = spec.image ? await parts.cache.path(spec.image).catch(() => null) : null;
    const disks = disksOf(spec, paths, backing ?? known?.record.disks[0]?.backing ?? null);
    await mustHaveDisks(spec, disks);
    const kernel = spec.kernel
      ? { file: await parts.cache.path(spec.kernel), initrd: spec.ramdisk ? await parts.cache.path(spec.ramdisk) : null }
      : null;
    const network = planNetwork(spec);
    for (const warning of network.warnings) log.warn({ uuid: spec.uuid }, warning);
    const short = shortSocketFolder(stateDir);
    for (const folder of [...(short ? [short] : []), paths.folder, paths.socketFolder]) await privateFolder(folder);
    const { qmpSocket, vncSocket, serialSocket } = paths;
    const guest: LiveGuest = {
      record: { version: 1, spec, power: 'pending', process: null, qmpSocket, vncSocket, serialSocket, disks, forwards: [] },
      qmp: undefined,
      ours: true,
      farewell: undefined,
    };
    await writeRecord(paths, guest.record);
    try {
      for (let attempt = 1; ; attempt++) {
        const old = attempt === 1 ? (known?.record.forwards ?? []) : [];
        const forwards = network.nics.some((nic) => nic.ipv4?.forwards) ? await chooseForwards(old) : [];
        const argv = commandLine({ spec, paths, disks, kernel, network, acceleration: parts.acceleration(), forwards });
        const emulator = await startEmulator(argv, paths, parts.startMs);
        if (emulator === 'portTaken') {
          if (attempt < 5) continue;
          throw hypervisorFailed({ why: 'no free loopback port for a forward was found' });
        }
        guests.set(spec.uuid, guest);
        watch(guest, emulator.process, emulator.qmp);
        await record(guest, { power: 'running', process: emulator.process, forwards });
        guest.ours = false;
        if (!isAlive(emulator.process)) void goneByItself(guest, emulator.process);
        return;
      }
    } catch (cause) {
      if (guest.record.process) await end(guest, 0);
      if (known) {
        guests.set(spec.uuid, known);
        await record(known, {});
      } else await forget(spec.uuid);
      throw cause;
    }
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
    guest.qmp?.close();
    guest.qmp = undefined;
    guest.record = { ...guest.record, power: 'shutdown', process: null };
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
      paths.pidFile,
      paths.qemuLog,
    ]) {
      await rm(file, { force: true });
    }
    if (paths.socketFolder === paths.folder) return;
    await rm(paths.socketFolder, { recursive: true, force: true });
    await rmdir(dirname(paths.socketFolder)).catch(() => undefined); // the last guest takes the short folder with it
  };

  /** Takes up a guest of an earlier run of ours. */
  const adopt = async (found: GuestRecord, emulators: ReturnType<typeof findEmulators>) => {
    const { uuid } = found.spec;
    const seen = emulators.find((emulator) => emulator.uuid === uuid)?.process;
    const guest: LiveGuest = { record: found, qmp: undefined, ours: false, farewell: undefined };
    guests.set(uuid, guest);
    const process = found.process && isAlive(found.process) ? found.process : found.power === 'pending' ? seen : undefined;
    if (process) {
      const qmp = await adoptLine(found.qmpSocket, uuid, 3000).catch((cause: unknown) => {
        log.warn({ uuid, pid: process.pid, err: cause }, 'a guest of an earlier run lives and does not answer; it is tried again');
        return undefined;
      });
      await record(guest, { process, power: 'running' });
      if (qmp) {
        watch(guest, process, qmp);
        await refreshPower(guest, qmp);
      }
      log.info({ uuid, pid: process.pid }, 'adopted a guest that ran on');
    } else if (found.power === 'pending')
      await forget(uuid); // never came up
    else if (found.process) await goneWhileAway(guest, found.process);
  };

  const goneWhileAway = async (guest: LiveGuest, process: ProcessIdentity) => {
    const { uuid } = guest.record.spec;
    const rebooted = process.bootId !== bootId();
    const killed = await access(guestPaths(stateDir, uuid).pidFile).then(
      () => true, // QEMU takes its pid file away when it ends in order
      () => false,
    );
    await record(guest, { process: null, power: killed ? 'crashed' : 'shutdown' });
    const detail = rebooted ? 'the host was started anew' : 'it ended while the agent was away';
    emit({ kind: 'stopped', uuid, reason: killed ? 'crashed' : 'guest-shutdown', detail });
  };

  return {
    get: (uuid: string) => guests.get(uuid),
    start,
    end,
    record,
    forget,
    async open() {
      await mkdir(instancesFolder(stateDir), { recursive: true, mode: 0o700 });
      const { records, unreadable } = await readRecords(stateDir);
      for (const file of unreadable) log.error({ file }, 'a guest record cannot be read; it is left alone');
      const emulators = records.length > 0 ? findEmulators(instancesFolder(stateDir)) : [];
      await Promise.all(records.map((found) => adopt(found, emulators)));
      void every(clock, 500, stop.signal, look, (cause) => log.error({ err: cause }, 'looking after the guests failed'));
    },
    close() {
      stop.abort();
      for (const guest of guests.values()) {
        guest.ours = true; // from now on nobody listens
        guest.qmp?.close();
      }
      guests.clear();
    },
    /** Guests with a record, and processes of this state dir without one. */
    list(): { live: LiveGuest[]; strangers: { uuid: string; process: ProcessIdentity }[] } {
      const strangers = findEmulators(instancesFolder(stateDir)).filter(({ uuid }) => !guests.has(uuid));
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
  suspended: 'suspended',
  shutdown: 'shutdown',
  'internal-error': 'crashed',
  'guest-panicked': 'crashed',
};

async function runState(qmp: Qmp): Promise<string> {
  return ((await qmp.command('query-status')) as { status: string }).status; // QEMU's own form
}

/** A line to a process that says it is this guest. */
async function adoptLine(socket: string, uuid: string, ms: number): Promise<Qmp> {
  const qmp = await connectQmp(socket, ms);
  const told = (await qmp.command('query-uuid', {}, ms)) as { UUID: string }; // QEMU's own form
  if (told.UUID.toLowerCase() === uuid.toLowerCase()) return qmp;
  qmp.close();
  throw hypervisorFailed({ why: `the process behind ${socket} is guest ${told.UUID}` });
}

/** Loopback ports for the guest's; those of its last run when it had some, so that addresses in people's notes stay good. */
async function chooseForwards(old: GuestInfo['forwards']): Promise<GuestInfo['forwards']> {
  if (old.length > 0) return old;
  return Promise.all(GUEST_PORTS.map(async (guestPort) => ({ guestPort, hostAddress: '127.0.0.1', hostPort: await freePort() })));
}
