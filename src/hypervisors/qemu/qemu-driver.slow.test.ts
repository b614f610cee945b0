import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { driverContract, type TestImage, testGuest, testImage, testVolume, until } from '../../../test/contracts/driver.ts';
import { requires } from '../../../test/requires.ts';
import { smallDisk } from '../../../test/servers/small-disk.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import type { Driver, GuestEvent, GuestSpec } from '../driver.ts';
import { usualDisks } from './disk-backends.ts';
import { probeKvm } from './kvm-probe.ts';
import { identify, killProcess } from './process-identity.ts';
import { createQemuDriver, type QemuDriverOptions } from './qemu-driver.ts';
import { buttonGuest, GUEST_SAYS, shortGuest } from './test-guests.ts';

const image = buttonGuest();
const shortLived = { image: shortGuest(), metadata: {} };

for (const type of ['qcow2', 'raw'] as const)
  driverContract(
    `qemu, disks in ${type}`,
    async () => {
      const stateDir = await mkdtemp(join(tmpdir(), 'kn-qemu-'));
      const make = (dir = stateDir) =>
        createQemuDriver({
          hostname: 'host-1',
          stateDir: dir,
          clock: systemClock,
          log: silentLog,
          acceleration: 'tcg',
          unplugMs: 300,
          disks: { ...usualDisks, type },
        });
      const volumes = await mkdtemp(join(tmpdir(), 'kn-volumes-'));
      let made = 0;
      let other: Driver | undefined;
      const driver = make();
      await driver.start();
      const t = {
        driver,
        image,
        shortLived,
        crashing: {},
        async crash(uuid: string) {
          const pid = (await t.driver.guest(uuid))?.pid;
          if (pid) process.kill(pid, 'SIGKILL');
        },
        async other() {
          if (other) return other;
          other = make(join(volumes, 'other'));
          await other.start();
          return other;
        },
        async volume() {
          const file = join(volumes, `volume ${++made}, "odd\\\\`); // a name that needs care on every way to QEMU
          await writeFile(file, image.bytes);
          await truncate(file, 1024 * 1024);
          const volume = testVolume({ driver_volume_type: 'file', data: { device_path: file, format: 'raw' } });
          return { volume, sizeBytes: async () => (await stat(file)).size };
        },
        files: async () => (await readdir(stateDir, { recursive: true })).sort(),
        consoleTells: () => new RegExp(GUEST_SAYS),
        async restart(between?: () => Promise<void>) {
          await t.driver.close();
          await between?.();
          t.driver = make();
          await t.driver.start();
          return t.driver;
        },
        async close() {
          for (const one of [t.driver, ...(other ? [other] : [])]) {
            for (const guest of await one.guests()) await one.destroy(guest.uuid);
            await one.close();
          }
          await rm(stateDir, { recursive: true });
          await rm(volumes, { recursive: true });
        },
      };
      return t;
    },
    requires('qemu'),
  );

const run = promisify(execFile);

describe('QEMU driver, what only it can do wrong', { skip: requires('qemu') }, () => {
  let folder: string;
  let stateDir: string;
  let driver: Driver;
  let events: GuestEvent[];
  const started = async (more: Partial<QemuDriverOptions> = {}) => {
    driver = createQemuDriver({ hostname: 'host-1', stateDir, clock: systemClock, log: silentLog, acceleration: 'tcg', ...more });
    events = [];
    driver.onEvent((event) => events.push(event));
    await driver.start();
  };
  const fetch = (wanted: TestImage) =>
    driver.fetchImage(wanted.ref, async () => Readable.from([wanted.bytes]), new AbortController().signal);
  const running = async (more: Partial<GuestSpec> = {}) => {
    await fetch(image);
    const guest = testGuest(image.ref, more);
    await driver.createDisks(guest);
    await driver.spawn(guest);
    return guest;
  };
  const pidOf = async (guest: GuestSpec) => (await driver.guest(guest.uuid))?.pid ?? 0;
  const nic = {
    portId: 'a-port',
    networkId: 'a-network',
    mac: 'fa:16:3e:00:00:01',
    mtu: 1500,
    addresses: [{ address: '172.24.0.9', cidr: '172.24.0.0/16', gateway: '172.24.0.1' }],
    nameServers: [],
  };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-qemu-'));
    stateDir = join(folder, 'state');
    await started();
  });
  afterEach(async () => {
    for (const guest of await driver.guests()) await driver.destroy(guest.uuid);
    await driver.close();
    await rm(folder, { recursive: true });
  });

  test('the probe guest passes where it must: under emulation; on KVM it answers within its cap', async () => {
    assert.deepEqual(await probeKvm({ accel: 'tcg', capMs: 10_000 }), { usable: true, why: 'the probe guest ran' });
    const began = performance.now();
    const verdict = await probeKvm();
    assert.ok(performance.now() - began < 2500, JSON.stringify(verdict));
    assert.match((await probeKvm({ accel: 'tcg', capMs: 0 })).why, /did not end within 0 ms/);
  });

  test('qcow2: the root disk is an overlay of the asked size; an image larger than the disk is refused', async () => {
    const file = join(folder, 'image.qcow2');
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', file, '2G']);
    const big = testImage(await readFile(file), { diskFormat: 'qcow2' });
    await fetch(big);
    const guest = testGuest(big.ref, { rootGiB: 3, ephemeralGiB: 1, swapMiB: 16 });
    await driver.createDisks(guest);
    const disks = join(stateDir, 'instances', guest.uuid);
    const info = JSON.parse((await run('qemu-img', ['info', '--output=json', join(disks, 'disk')])).stdout);
    assert.equal(info['virtual-size'], 3 * 1024 ** 3);
    assert.match(info['backing-filename'], new RegExp(`images/${big.ref.id}`));
    assert.deepEqual((await readdir(disks)).sort(), ['disk', 'disk.eph0', 'disk.swap', 'disks.json']);
    const small = testGuest(big.ref, { rootGiB: 1 });
    await assert.rejects(driver.createDisks(small), /needs 2 GiB, the root disk has 1/);
    await assert.rejects(access(join(stateDir, 'instances', small.uuid)), 'nothing is left behind');
  });

  test('a backing file named in an uploaded image never reaches the host', async () => {
    const file = join(folder, 'evil.qcow2');
    await writeFile(join(folder, 'secret'), 'x'.repeat(1024));
    await run('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', join(folder, 'secret'), file]);
    await assert.rejects(fetch(testImage(await readFile(file), { diskFormat: 'qcow2' })), /has a backing file/);
    await writeFile(file, Buffer.concat([(await readFile(file)).subarray(0, 300)]));
    await assert.rejects(fetch(testImage(await readFile(file), { diskFormat: 'qcow2' })), { code: 'guest.image_unusable' });
  });

  test('disk full, in a fetch and in making disks: said so, and nothing is left behind', { skip: requires('small-disk') }, async () => {
    const small = smallDisk(1);
    try {
      await driver.close();
      stateDir = join(small.dir, 's');
      await started();
      const large = testImage(Buffer.alloc(2 * 1024 * 1024, 1));
      await assert.rejects(fetch(large), { code: 'guest.no_disk_space' });
      await fetch(image);
      small.fill();
      const guest = testGuest(image.ref);
      await assert.rejects(driver.createDisks(guest), { code: 'guest.no_disk_space' });
      assert.deepEqual(await readdir(join(stateDir, 'instances')), []);
      assert.equal((await readdir(join(stateDir, 'images'))).length, 1);
      small.empty();
      await driver.createDisks(guest);
      await driver.removeDisks(guest.uuid);
    } finally {
      await driver.close();
      stateDir = join(folder, 'state');
      await started();
      small.remove();
    }
  });

  test('an emulator that hangs is ended all the same, within the deadlines', async () => {
    const guest = await running();
    process.kill(await pidOf(guest), 'SIGSTOP');
    const began = performance.now();
    await driver.destroy(guest.uuid);
    assert.ok(performance.now() - began < 10_000);
    assert.deepEqual(await driver.guests(), []);
  });

  test('a hung guest is adopted too, and answers again when it wakes', async () => {
    const guest = await running();
    const pid = await pidOf(guest);
    process.kill(pid, 'SIGSTOP');
    await driver.close();
    await started();
    assert.deepEqual([(await driver.guest(guest.uuid))?.pid, (await driver.guest(guest.uuid))?.power], [pid, 'running']);
    process.kill(pid, 'SIGCONT');
    process.kill(pid, 'SIGTERM');
    await until(
      'event',
      () => events,
      (seen) => seen.length === 1,
    );
    assert.equal((await driver.guest(guest.uuid))?.pid, null);
  });

  test('what ended while no driver was there is told at the next start: a crash as a crash, a shutdown as a shutdown', async () => {
    const [crashed, stopped] = [await running(), await running()];
    const found = [await pidOf(crashed), await pidOf(stopped)].map((pid) => identify(pid));
    await driver.close();
    process.kill(found[0]?.pid ?? 0, 'SIGKILL');
    process.kill(found[1]?.pid ?? 0, 'SIGTERM');
    for (const was of found)
      await until(
        'end',
        () => identify(was?.pid ?? 0)?.startTime,
        (now) => now !== was?.startTime,
      );
    await started();
    const power = async (guest: GuestSpec) => (await driver.guest(guest.uuid))?.power;
    assert.deepEqual([await power(crashed), await power(stopped)], ['crashed', 'shutdown']);
    assert.equal(events.length, 2);
    await driver.powerOn(crashed);
    assert.equal(await power(crashed), 'running');
  });

  test('a host that ends the emulator is told apart from the guest and from a crash', async () => {
    const guest = await running();
    process.kill(await pidOf(guest), 'SIGTERM');
    await until(
      'event',
      () => events,
      (seen) => seen.length === 1,
    );
    assert.equal(events[0]?.kind === 'stopped' && events[0].reason, 'host-request');
  });

  test('a process of ours without a record is reported, not killed; destroyed when named', async () => {
    const guest = await running();
    const pid = await pidOf(guest);
    await driver.close();
    await rm(join(stateDir, 'instances', guest.uuid, 'guest.json'));
    await started();
    assert.deepEqual(
      (await driver.guests()).map(({ uuid, known, pid: number }) => [uuid, known, number]),
      [[guest.uuid, false, pid]],
    );
    await driver.destroy(guest.uuid);
    assert.deepEqual(await driver.guests(), []);
    await until(
      'end',
      () => identify(pid),
      (now) => now === undefined,
    );
  });

  test('a start that was killed between the process and its record is adopted by its pid', async () => {
    const guest = await running();
    const before = await driver.guest(guest.uuid);
    await driver.close();
    const file = join(stateDir, 'instances', guest.uuid, 'guest.json');
    const record = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...record, power: 'pending', process: null }));
    await started();
    assert.deepEqual(await driver.guest(guest.uuid), before);
  });

  test('the number of a dead guest that another process has now is left alone', async () => {
    const guest = await running();
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    const stranger = identify(other.pid ?? 0);
    assert.ok(stranger);
    const was = identify(await pidOf(guest));
    await driver.close();
    if (was) killProcess(was);
    const file = join(stateDir, 'instances', guest.uuid, 'guest.json');
    const record = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...record, process: { ...record.process, pid: stranger.pid } }));
    await started();
    await driver.destroy(guest.uuid);
    assert.ok(identify(stranger.pid), 'the other process lives');
    other.kill();
    await once(other, 'exit');
  });

  test('forwards lead to the guest, keep their port over a power cycle, and give way when it was taken', async () => {
    const guest = await running({ nics: [nic] });
    const first = (await driver.guest(guest.uuid))?.forwards[0];
    assert.deepEqual([first?.guestPort, first?.hostAddress], [22, '127.0.0.1']);
    await driver.powerOff(guest.uuid, 0);
    await driver.powerOn(guest);
    assert.deepEqual((await driver.guest(guest.uuid))?.forwards, [first]);
    await driver.powerOff(guest.uuid, 0);
    const squatter = createServer().listen(first?.hostPort, '127.0.0.1');
    await once(squatter, 'listening');
    await driver.powerOn(guest);
    const moved = (await driver.guest(guest.uuid))?.forwards[0];
    assert.ok(moved && moved.hostPort !== first?.hostPort);
    squatter.close();
  });

  test('a guest that cannot start says why in QEMU\u2019s words, and nothing is left of the try', async () => {
    await fetch(image);
    const guest = testGuest(image.ref, { imageProperties: { hw_machine_type: 'pc-nonsense' } });
    await driver.createDisks(guest);
    await assert.rejects(driver.spawn(guest), /QEMU did not start: .*machine/i);
    assert.equal(await driver.guest(guest.uuid), undefined);
    assert.deepEqual((await readdir(join(stateDir, 'instances', guest.uuid))).toSorted(), ['disk', 'disks.json']);
  });

  test('a state dir with a long path works: its sockets lie elsewhere and go with the guest', async () => {
    await driver.close();
    stateDir = join(folder, 'x'.repeat(80), 'state');
    await started();
    const guest = await running();
    const socket = (await driver.guest(guest.uuid))?.vncSocket ?? '';
    assert.ok(!socket.startsWith(folder) && (await stat(socket)).isSocket());
    await driver.close();
    await started();
    assert.equal((await driver.guest(guest.uuid))?.power, 'running');
    await driver.removeDisks(guest.uuid);
    await assert.rejects(access(dirname(dirname(socket))), 'the short folder goes with its last guest');
  });

  test('destroy does not wait for a power-off that waits for its guest', async () => {
    await fetch(image);
    const guest = testGuest(image.ref);
    await driver.createDisks(guest);
    await driver.spawn(guest); // its firmware has not enabled the button yet: it will not obey
    const off = driver.powerOff(guest.uuid, 60_000);
    const began = performance.now();
    await driver.destroy(guest.uuid);
    await off;
    assert.ok(performance.now() - began < 10_000);
  });
});
