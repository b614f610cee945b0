import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import type { Driver, GuestSpec } from '../../src/hypervisors/driver.ts';
import { createQemuDriver } from '../../src/hypervisors/qemu/qemu-driver.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { type TestImage, testGuest, testImage } from '../contracts/driver.ts';
import { waitFor } from '../house/running.ts';
import { figure, percentile } from './figure.ts';

// What the QEMU driver takes for deeds whose guest needs no operating system: driver to driver on one machine.
const run = promisify(execFile);
const never = new AbortController().signal;
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A boot sector that ticks: a dot on the serial port each millisecond, by the timer's interrupt, and sleep in between. */
function tickingGuest(): TestImage {
  const code =
    'fa31c08ed8' + // cli
    'b034e643b0a9e640b004e640' + // timer: 1193 of its ticks, a millisecond
    'b0fee621b0ffe6a1' + // interrupt masks: the timer alone
    'fbf4' + // sti; hlt
    'baf803b02eee' + // a dot to 0x3f8
    'ebf6'; // and back to sti
  const disk = Buffer.alloc(64 * 1024);
  Buffer.from(code, 'hex').copy(disk);
  disk.writeUInt16LE(0xaa55, 510);
  return testImage(disk);
}

const GUESTS = 20;

export async function benchQemuDeeds(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kn-bench-'));
  const make = async (name: string): Promise<Driver> => {
    const driver = createQemuDriver({ hostname: name, stateDir: join(folder, name), clock: systemClock, log: silentLog });
    await driver.start();
    return driver;
  };
  const image = tickingGuest();
  const fetch = (driver: Driver, wanted = image) => driver.fetchImage(wanted.ref, async () => Readable.from([wanted.bytes]), never);
  const boot = async (driver: Driver, more: Partial<GuestSpec> = {}) => {
    await fetch(driver);
    const guest = testGuest(image.ref, { memoryMiB: 128, ...more });
    await driver.createDisks(guest);
    await driver.spawn(guest);
    return guest;
  };
  const drivers = new Set<Driver>();
  try {
    const here = await make('here');
    drivers.add(here);
    await benchMove(folder, here, make, boot, fetch, drivers);
    await benchSnapshot(folder, here, boot);
    await benchAdopt(here, make, boot, drivers);
  } finally {
    for (const driver of drivers) {
      for (const guest of await driver.guests()) await driver.destroy(guest.uuid);
      await driver.close();
    }
    rmSync(folder, { recursive: true, force: true });
  }
}
type Boot = (driver: Driver, more?: Partial<GuestSpec>) => Promise<GuestSpec>;
type Make = (name: string) => Promise<Driver>;

/** Downtime as the guest has it: the longest silence of one that says something each millisecond. */
async function benchMove(
  folder: string,
  here: Driver,
  make: Make,
  boot: Boot,
  fetch: (driver: Driver) => Promise<unknown>,
  drivers: Set<Driver>,
): Promise<void> {
  const there = await make('there');
  drivers.add(there);
  await fetch(there);
  const guest = await boot(here);
  const sizes = () =>
    ['here', 'there'].reduce((sum, name) => {
      const log = join(folder, name, 'instances', guest.uuid, 'console.log');
      return sum + (existsSync(log) ? (statSync(log, { throwIfNoEntry: false })?.size ?? 0) : 0);
    }, 0);
  await waitFor(
    () => sizes() > 2000,
    30_000,
    () => 'the guest does not tick',
  );
  const downtimes: number[] = [];
  const totals: number[] = [];
  let quiet = 0;
  for (let turn = 0; turn < 6; turn++) {
    const [from, to] = turn % 2 === 0 ? [here, there] : [there, here];
    let seen = sizes();
    let since = performance.now();
    let longest = 0;
    const look = () => {
      const now = sizes();
      if (now === seen) return;
      longest = Math.max(longest, performance.now() - since);
      seen = now;
      since = performance.now();
    };
    const timer = setInterval(look, 2);
    // What the machine's load alone makes of it.
    await sleep(500);
    quiet = Math.max(quiet, longest);
    longest = 0;
    const began = performance.now();
    const offer = await to.prepareIncoming(guest);
    await from.migrateLive(guest.uuid, offer, never, () => {});
    if ((await to.guest(guest.uuid))?.power === 'paused') await to.unpause(guest.uuid);
    totals.push(performance.now() - began);
    await sleep(300);
    look();
    clearInterval(timer);
    downtimes.push(longest);
    await from.destroy(guest.uuid);
    await from.removeDisks(guest.uuid);
  }
  const conditions = { memoryMiB: 128, disk: 'qcow2, copied', moves: downtimes.length, statistic: 'median', load: loadavg()[0] };
  figure('qemu.live_migration_downtime', percentile(downtimes, 0.5), 'ms', {
    ...conditions,
    what: 'longest silence of a guest that ticks each millisecond',
    silenceAtRest: quiet,
    worst: Math.max(...downtimes),
    aim: 300,
  });
  figure('qemu.live_migration_total', percentile(totals, 0.5), 'ms', conditions);
  for (const driver of [here, there]) if (await driver.guest(guest.uuid)) await driver.destroy(guest.uuid);
}

async function benchSnapshot(folder: string, here: Driver, boot: Boot): Promise<void> {
  const guest = await boot(here, { rootGiB: 1 });
  await here.powerOff(guest.uuid, 0);
  const place = join(folder, 'here', 'instances', guest.uuid);
  const disk = join(place, readdirSync(place).find((name) => name.startsWith('disk')) ?? 'disk');
  // A gibibyte that is no zeros.
  await run('qemu-io', ['-f', 'qcow2', '-c', 'write -P 0x5a 0 1023M', disk]);
  const ours: number[] = [];
  const plain: number[] = [];
  for (let turn = 0; turn < 5; turn++) {
    const out = join(folder, 'plain.qcow2');
    const began = performance.now();
    await run('qemu-img', ['convert', '-f', 'qcow2', '-O', 'qcow2', disk, out]);
    plain.push(performance.now() - began);
    rmSync(out);
    const again = performance.now();
    const copy = await here.snapshot(guest.uuid, never);
    ours.push(performance.now() - again);
    await copy.discard();
  }
  const [mine, theirs] = [percentile(ours, 0.5), percentile(plain, 0.5)];
  const conditions = { diskGiB: 1, runs: ours.length, statistic: 'median', load: loadavg()[0] };
  figure('qemu.snapshot_stopped', mine, 'ms', conditions);
  figure('qemu.snapshot_plain_convert', theirs, 'ms', conditions);
  figure('qemu.snapshot_beyond_convert', 100 * (mine / theirs - 1), 'percent', { ...conditions, aim: 10 });
  await here.powerOn(guest);
  const live: number[] = [];
  for (let turn = 0; turn < 3; turn++) {
    const began = performance.now();
    const copy = await here.snapshot(guest.uuid, never);
    live.push(performance.now() - began);
    await copy.discard();
  }
  figure('qemu.snapshot_running', percentile(live, 0.5), 'ms', {
    ...conditions,
    runs: live.length,
    how: 'blockdev-backup by the emulator',
  });
  await here.destroy(guest.uuid);
  await here.removeDisks(guest.uuid);
}

async function benchAdopt(here: Driver, make: Make, boot: Boot, drivers: Set<Driver>): Promise<void> {
  for (let turn = 0; turn < GUESTS; turn++) {
    const guest = await boot(here, { memoryMiB: 64 });
    await here.pause(guest.uuid); // twenty tickers would measure the machine
  }
  const before = (await here.guests()).length;
  const times: number[] = [];
  let last = here;
  for (let turn = 0; turn < 5; turn++) {
    await last.close();
    drivers.delete(last);
    const began = performance.now();
    last = await make('here');
    drivers.add(last);
    const found = (await last.guests()).filter((guest) => guest.known).length;
    times.push(performance.now() - began);
    if (found !== before) throw new Error(`${found} of ${before} guests were found again`);
  }
  figure('qemu.adopt', percentile(times, 0.5), 'ms', {
    guests: before,
    runs: times.length,
    statistic: 'median',
    worst: Math.max(...times),
    aim: 1000,
    load: loadavg()[0],
  });
}
