import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { isUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { invariant } from '../../lib/retry.ts';
import { createTurns } from '../../lib/turns.ts';
import { deedUnsupported, guestNotFound, hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestEvent, GuestInfo } from '../driver.ts';
import { coldHandlers, createColdMove, hasOffers } from './cold-move.ts';
import { readConsole } from './console-log.ts';
import { findCpuGroups } from './cpu-group.ts';
import { readDiagnostics } from './diagnostics.ts';
import { type DiskOptions, diskBackends, usualDisks } from './disk-backends.ts';
import { dropStake, takeStake } from './disk-stakes.ts';
import { createDisks, type DiskTools, growDisks, removeKeptDisks } from './disks.ts';
import { findFirmware } from './firmware.ts';
import { disksAreApart, guestPaths, imagesFolder, instancesFolder, placeDisks } from './guest-paths.ts';
import { type CpuSets, hugePageMount, readHostCells } from './host-cells.ts';
import { qemuVersion, readInventory } from './host-inventory.ts';
import { createImageCache } from './image-cache.ts';
import { cachedKvmVerdict } from './kvm-probe.ts';
import { createLiveGuests, isUp, type LiveGuest, type SnapshotOptions } from './live-guests.ts';
import { arrivedAt, createLiveMove, type LiveMove, type LiveMoveRules, usualRules } from './live-move.ts';
import { createAskMove } from './move-line.ts';
import { createMoveServer, type MovePorts } from './move-server.ts';
import { type MoveTls, readMoveTls } from './move-tls.ts';
import { createPlugDeeds } from './plug-deeds.ts';
import { createPowerDeeds, type QemuHands } from './power-deeds.ts';
import { ended, killProcess, type ProcessIdentity } from './process-identity.ts';
import { mustHavePrograms } from './programs.ts';
import { createSnapshot } from './snapshot.ts';
import { createSwapVolume } from './swap-volume.ts';
import { backingsIn } from './tidy-cache.ts';
import type { SecretOf } from './volume-secrets.ts';

export interface QemuDriverOptions {
  readonly hostname: string;
  /** Images, guests' folders and records; one driver at a time. */
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Log;
  /** auto: KVM where a probe guest proves it. */
  readonly acceleration?: 'auto' | 'kvm' | 'tcg';
  /** A console's log is rotated past so many bytes. */
  readonly consoleLimit?: number;
  /** How long QEMU may take to answer after its start. */
  readonly startMs?: number;
  /** How long a guest may take to let go of a device before it is cut off. */
  readonly unplugMs?: number;
  /** CPUs that guests share, and CPUs that are one guest's each.  Spec: [compute] cpu_shared_set, cpu_dedicated_set. */
  readonly cpus?: CpuSets;
  /** Spec: [libvirt] mem_stats_period_seconds; 0 takes the balloon away. */
  readonly memoryStatsSeconds?: number;
  readonly disks?: DiskOptions;
  /** What opens an encrypted volume; without it guests have none. */
  readonly secretOf?: SecretOf;
  /** Spec: config_drive_format. */
  readonly driveFormat?: 'iso9660' | 'vfat';
  readonly snapshots?: SnapshotOptions;
  /** Where the guests' disks and images lie, when not in the state dir; several hosts may have it in common.  Spec: instances_path. */
  readonly disksFolder?: string;
  /** Where other hosts fetch disks and send guests to; without it only drivers of this machine can. */
  readonly moves?: MovePorts;
  /** Certificates and keys with which other hosts are spoken to; without it what goes between hosts is plain.  Spec: [libvirt] live_migration_with_native_tls. */
  readonly movesTlsFolder?: string;
  readonly liveMoves?: LiveMoveRules;
  /** Reads the host's memory cells below this folder instead of the kernel's; then guests are not bound to them. */
  readonly cellsRoot?: string;
  /** Looks for programs here instead of PATH. */
  readonly path?: string;
}

const noSecrets: SecretOf = async () => {
  throw deedUnsupported({ deed: 'connect a volume', why: 'it is encrypted, and this host has nobody to ask for keys' });
};

/** Memory goes to the disk and back within this time, or the deed fails. */
const MOVE_MS = 15 * 60_000;

/** Real guests, one QEMU process each, that outlive this process. No root, no daemon: disks are overlays over cached images, the
 *  network is QEMU's own user mode, everything of a guest lies in `<state dir>/instances/<uuid>/`. */
export function createQemuDriver(options: QemuDriverOptions): Driver {
  const { hostname, clock, log } = options;
  const stateDir = resolve(options.stateDir);
  const cpuSets = options.cpus ?? { shared: null, dedicated: null };
  const turns = createTurns();
  const listeners = new Set<(event: GuestEvent) => void>();
  const cache = createImageCache(() => imagesFolder(stateDir), clock);
  const diskOptions = options.disks ?? usualDisks;
  const backends = diskBackends(diskOptions);
  const tools: DiskTools = { cache, backend: diskOptions.type, backends, driveFormat: options.driveFormat ?? 'iso9660' };
  let host: { version: number; acceleration: 'kvm' | 'tcg' } | undefined;
  const started = () => {
    invariant(host, 'the driver was started');
    return host;
  };
  let tls: MoveTls | null = null;
  const ask = createAskMove(() => tls);
  const live = createLiveGuests({
    stateDir,
    clock,
    log,
    cache,
    disks: tools,
    secretOf: options.secretOf ?? noSecrets,
    snapshots: options.snapshots ?? { format: null, folder: null },
    acceleration: () => started().acceleration,
    consoleLimit: options.consoleLimit ?? 1024 * 1024,
    startMs: options.startMs ?? 20_000,
    moveMs: MOVE_MS,
    arrived: (offer) => arrivedAt(ask, offer),
    machine: {
      firmware: () => findFirmware(),
      cells: () => readHostCells(cpuSets, options.cellsRoot),
      binds: options.cellsRoot === undefined,
      pageFolder: (size) => hugePageMount(size),
      cpuGroups: findCpuGroups(),
      sharedCpus: cpuSets.shared && [...cpuSets.shared],
      memoryStatsSeconds: options.memoryStatsSeconds ?? 10,
    },
    emit: (event) => {
      for (const listener of listeners) listener(event);
    },
  });
  const must = (uuid: string): LiveGuest => {
    const guest = live.get(uuid);
    if (!guest) throw guestNotFound({ uuid });
    return guest;
  };
  const destroy = async (uuid: string) => {
    const guest = live.get(uuid);
    if (guest) await live.end(guest, 0);
    for (const stranger of live.list().strangers) {
      if (stranger.uuid !== uuid) continue; // only what was asked for by name
      killProcess(stranger.process);
      await ended(stranger.process, 3000);
    }
    await live.forget(uuid);
  };

  /** What disks stand on, and what known guests start from. */
  const imagesInUse = async () => {
    const names = await backingsIn(instancesFolder(stateDir));
    // Of kernels no disk tells, and what other hosts' guests start from is not known here.
    if (disksAreApart(stateDir)) for (const name of await readdir(imagesFolder(stateDir))) if (/\.a[kr]i$/.test(name)) names.add(name);
    for (const { record } of live.list().live) {
      const { spec, rescue } = record;
      for (const image of [spec.image, spec.kernel, spec.ramdisk, rescue?.image, rescue?.kernel, rescue?.ramdisk])
        if (image) names.add(cache.nameOf(image));
    }
    return names;
  };

  const hands: QemuHands = {
    live,
    must,
    onGuest: (uuid, work) => turns.run(uuid, work),
    hostname,
    ask,
    unplugMs: options.unplugMs ?? 20_000,
    moveMs: MOVE_MS,
  };
  const handlers = { ...coldHandlers(hands), ...lazyHandlers(() => liveMove) };
  const moves = createMoveServer({ stateDir, tcp: options.moves, tls: () => tls, log, handlers });
  const liveMove = createLiveMove(hands, moves, options.liveMoves ?? usualRules);

  return {
    type: 'QEMU',
    capabilities: { consoleLog: true, vnc: true, userNetwork: true, consoles: ['vnc', 'serial'] },
    async start() {
      mustHavePrograms(options.path);
      if (options.movesTlsFolder) tls = await readMoveTls(options.movesTlsFolder);
      await mkdir(stateDir, { recursive: true, mode: 0o700 });
      if (options.disksFolder) await placeDisks(stateDir, resolve(options.disksFolder));
      await mkdir(instancesFolder(stateDir), { recursive: true, mode: 0o700 });
      const version = await qemuVersion();
      host = { version: version.number, acceleration: await accelerationOf(options, stateDir, version.text) };
      await cache.open();
      await live.open();
      if (await hasOffers(stateDir)) await moves.listen();
    },
    async close() {
      live.close();
      await moves.close();
    },
    inventory: () =>
      readInventory({ hostname, stateDir, cpus: cpuSets, lvm: diskOptions.type === 'lvm' ? diskOptions.lvm : null, ...started() }),
    fetchImage: (image, open, signal) => cache.fetch(image, open, signal),
    tidyCache: (rules) => cache.tidy(rules, imagesInUse),
    createDisks: (spec, progress) =>
      turns.run(spec.uuid, async (signal) => {
        const paths = guestPaths(stateDir, spec.uuid);
        await takeStake(stateDir, paths, hostname);
        await createDisks(spec, paths, tools, signal, progress);
      }),
    spawn: (spec) => turns.run(spec.uuid, () => live.start(spec)),
    destroy(uuid) {
      liveMove.forget(uuid);
      turns.interrupt(uuid); // nobody waits any longer for a guest that is to go
      return turns.run(uuid, () => destroy(uuid));
    },
    removeDisks: (uuid) =>
      turns.run(uuid, async () => {
        await destroy(uuid);
        if (isUuid(uuid))
          await dropStake(stateDir, guestPaths(stateDir, uuid), hostname, () => removeKeptDisks(guestPaths(stateDir, uuid), backends));
      }),
    powerOff: (uuid, graceMs) =>
      turns.run(uuid, async (hurry) => {
        const guest = must(uuid);
        await live.end(guest, guest.record.power === 'paused' ? 0 : graceMs, hurry); // nobody is there to hear a shutdown request
        await live.record(guest, {});
        await rm(guestPaths(stateDir, uuid).memory, { force: true });
      }),
    powerOn: (spec) => turns.run(spec.uuid, () => live.start(spec)),
    reboot: (spec, how, graceMs) =>
      turns.run(spec.uuid, async (hurry) => {
        const guest = live.get(spec.uuid);
        if (guest) {
          await live.end(guest, how === 'soft' && guest.record.power !== 'paused' ? graceMs : 0, hurry);
          await live.record(guest, {}); // a suspended one begins anew, and its memory is of no use from here on
          await rm(guestPaths(stateDir, spec.uuid).memory, { force: true });
        }
        await live.start(spec);
      }),
    ...createPowerDeeds(hands),
    ...createPlugDeeds(hands),
    swapVolume: createSwapVolume(hands),
    snapshot: createSnapshot(hands),
    resizeDisks: (spec) =>
      turns.run(spec.uuid, async (hurry) => {
        const guest = live.get(spec.uuid);
        if (guest && isUp(guest)) throw hypervisorFailed({ why: 'the disks of a running guest cannot be grown' });
        if (guest?.record.power === 'suspended') throw hypervisorFailed({ why: 'the disks of a suspended guest cannot be grown' });
        await growDisks(spec, guestPaths(stateDir, spec.uuid), tools, hurry);
      }),
    diagnostics: async (uuid) => readDiagnostics(must(uuid), started().acceleration),
    ...createColdMove(hands, moves),
    prepareIncoming: liveMove.prepareIncoming,
    migrateLive: liveMove.migrateLive,
    claimIncoming(uuid) {
      liveMove.forget(uuid);
      turns.interrupt(uuid);
      return liveMove.claimIncoming(uuid);
    },
    forceMigration: liveMove.forceMigration,
    async guests() {
      const { live: known, strangers } = live.list();
      return [...known.map(infoOf), ...strangers.map(strangerInfo)];
    },
    async guest(uuid) {
      const guest = live.get(uuid);
      if (guest) return infoOf(guest);
      const stranger = live.list().strangers.find((other) => other.uuid === uuid);
      return stranger && strangerInfo(stranger);
    },
    async consoleOutput(uuid, maxBytes) {
      must(uuid);
      return readConsole(guestPaths(stateDir, uuid).consoleLog, maxBytes);
    },
    async console(uuid, protocol) {
      const { record } = must(uuid);
      if (!record.process) return undefined;
      return { host: null, port: 0, tlsPort: null, path: null, socket: protocol === 'vnc' ? record.vncSocket : record.serialSocket };
    },
    onEvent(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** The handlers of a part that needs the server which needs the handlers. */
function lazyHandlers(part: () => LiveMove): LiveMove['handlers'] {
  return {
    shared: (question, socket) => part().handlers.shared(question, socket),
    config: (question, socket) => part().handlers.config(question, socket),
    incoming: (question, socket) => part().handlers.incoming(question, socket),
    nbd: (question, socket) => part().handlers.nbd(question, socket),
    memory: (question, socket) => part().handlers.memory(question, socket),
    state: (question, socket) => part().handlers.state(question, socket),
  };
}

async function accelerationOf(options: QemuDriverOptions, stateDir: string, version: string): Promise<'kvm' | 'tcg'> {
  if (options.acceleration === 'kvm' || options.acceleration === 'tcg') return options.acceleration;
  const verdict = await cachedKvmVerdict(join(stateDir, 'kvm-probe.json'), version);
  options.log.info(verdict, verdict.usable ? 'guests run on KVM' : 'guests are emulated (TCG): KVM cannot be used');
  return verdict.usable ? 'kvm' : 'tcg';
}

const infoOf = ({ record }: LiveGuest): GuestInfo => ({
  uuid: record.spec.uuid,
  epoch: record.spec.epoch,
  power: record.power,
  known: true,
  forwards: record.forwards,
  vncSocket: record.process ? record.vncSocket : null,
  cells: record.cells && {
    pageKiB: record.cells[0]?.pageKiB ?? (record.spec.extraSpecs['hw:mem_page_size'] === undefined ? null : 4),
    cells: record.cells.map(({ cpus, memoryMiB, hostCell, pins, siblings }) => ({
      cpus: [...cpus],
      memoryMiB,
      hostCell,
      pins: pins.map(([guest, host]) => [guest, host]),
      siblings: siblingsOf(pins, siblings),
    })),
  },
  pid: record.process?.pid ?? null,
});
/** Guest CPUs whose own CPUs are threads of one core of the host. */
function siblingsOf(pins: readonly (readonly [guest: number, host: number])[], cores: readonly (readonly number[])[]): number[][] {
  const groups = cores.map((core) => pins.filter(([, host]) => core.includes(host)).map(([guest]) => guest));
  return groups.filter((group) => group.length > 1);
}
const strangerInfo = ({ uuid, process }: { uuid: string; process: ProcessIdentity }): GuestInfo => ({
  uuid,
  epoch: 0,
  power: 'running',
  known: false,
  forwards: [],
  vncSocket: null,
  cells: null,
  pid: process.pid,
});
