import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Clock } from '../../lib/clock.ts';
import { isUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { invariant } from '../../lib/retry.ts';
import { createTurns } from '../../lib/turns.ts';
import { guestNotFound } from '../../model/errors-hypervisor.ts';
import type { Driver, GuestEvent, GuestInfo } from '../driver.ts';
import { readConsole } from './console-log.ts';
import { refusedDeeds } from './deeds.ts';
import { createDisks } from './disks.ts';
import { guestPaths, imagesFolder } from './guest-paths.ts';
import { qemuVersion, readInventory } from './host-inventory.ts';
import { createImageCache } from './image-cache.ts';
import { cachedKvmVerdict } from './kvm-probe.ts';
import { createLiveGuests, type LiveGuest } from './live-guests.ts';
import { killProcess, type ProcessIdentity } from './process-identity.ts';
import { mustHavePrograms } from './programs.ts';

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
  /** Looks for programs here instead of PATH. */
  readonly path?: string;
}

/** Real guests, one QEMU process each, that outlive this process. No root, no daemon: disks are overlays over cached images, the
 *  network is QEMU's own user mode, everything of a guest lies in `<state dir>/instances/<uuid>/`. */
export function createQemuDriver(options: QemuDriverOptions): Driver {
  const { hostname, clock, log } = options;
  const stateDir = resolve(options.stateDir);
  const turns = createTurns();
  const listeners = new Set<(event: GuestEvent) => void>();
  const cache = createImageCache(imagesFolder(stateDir), clock);
  let host: { version: number; acceleration: 'kvm' | 'tcg' } | undefined;
  const started = () => {
    invariant(host, 'the driver was started');
    return host;
  };
  const live = createLiveGuests({
    stateDir,
    clock,
    log,
    cache,
    acceleration: () => started().acceleration,
    consoleLimit: options.consoleLimit ?? 1024 * 1024,
    startMs: options.startMs ?? 20_000,
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
    for (const stranger of live.list().strangers) if (stranger.uuid === uuid) killProcess(stranger.process); // asked for by name
    await live.forget(uuid);
  };

  return {
    type: 'QEMU',
    capabilities: { consoleLog: true, vnc: true, userNetwork: true, consoles: ['vnc', 'serial'] },
    async start() {
      mustHavePrograms(options.path);
      await mkdir(stateDir, { recursive: true, mode: 0o700 });
      const version = await qemuVersion();
      host = { version: version.number, acceleration: await accelerationOf(options, stateDir, version.text) };
      await cache.open();
      await live.open();
    },
    async close() {
      live.close();
    },
    inventory: () => readInventory({ hostname, stateDir, ...started() }),
    fetchImage: (image, open, signal) => cache.fetch(image, open, signal),
    createDisks: (spec) => turns.run(spec.uuid, (signal) => createDisks(spec, guestPaths(stateDir, spec.uuid), cache, signal)),
    spawn: (spec) => turns.run(spec.uuid, () => live.start(spec)),
    destroy(uuid) {
      turns.interrupt(uuid); // nobody waits any longer for a guest that is to go
      return turns.run(uuid, () => destroy(uuid));
    },
    removeDisks: (uuid) =>
      turns.run(uuid, async () => {
        await destroy(uuid);
        if (isUuid(uuid)) await rm(guestPaths(stateDir, uuid).folder, { recursive: true, force: true });
      }),
    powerOff: (uuid, graceMs) =>
      turns.run(uuid, async (hurry) => {
        const guest = must(uuid);
        await live.end(guest, graceMs, hurry);
        await live.record(guest, {});
      }),
    powerOn: (spec) => turns.run(spec.uuid, () => live.start(spec)),
    reboot: (spec, how, graceMs) =>
      turns.run(spec.uuid, async (hurry) => {
        const guest = live.get(spec.uuid);
        if (guest) await live.end(guest, how === 'soft' ? graceMs : 0, hurry);
        await live.start(spec);
      }),
    ...refusedDeeds,
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
  pid: record.process?.pid ?? null,
});
const strangerInfo = ({ uuid, process }: { uuid: string; process: ProcessIdentity }): GuestInfo => ({
  uuid,
  epoch: 0,
  power: 'running',
  known: false,
  forwards: [],
  vncSocket: null,
  pid: process.pid,
});
