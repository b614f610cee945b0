import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { testGuest, testVolume } from '../../../test/contracts/driver.ts';
import { requires } from '../../../test/requires.ts';
import { smallDisk } from '../../../test/servers/small-disk.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import type { CloudError } from '../../model/errors.ts';
import type { Driver, GuestSpec } from '../driver.ts';
import { usualDisks } from './disk-backends.ts';
import { createQemuDriver, type QemuDriverOptions } from './qemu-driver.ts';
import { buttonGuest } from './test-guests.ts';

const image = buttonGuest();
const never = new AbortController().signal;
const MiB = 1024 ** 2;

describe('disks that are full, broken or gone: a clear word, and what was there is as it was', {
  skip: requires('qemu', 'small-disk'),
}, () => {
  let folder: string;
  let small: ReturnType<typeof smallDisk>;
  let drivers: Driver[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-bad-'));
    small = smallDisk(24);
    drivers = [];
  });
  afterEach(async () => {
    for (const driver of drivers) {
      for (const one of await driver.guests()) await driver.removeDisks(one.uuid);
      await driver.close();
    }
    small.remove();
    await rm(folder, { recursive: true, force: true });
  });
  const started = async (stateDir: string, more: Partial<QemuDriverOptions> = {}) => {
    const driver = createQemuDriver({ hostname: 'host-1', stateDir, clock: systemClock, log: silentLog, acceleration: 'tcg', ...more });
    drivers.push(driver);
    await driver.start();
    await driver.fetchImage(image.ref, async () => Readable.from([image.bytes]), never);
    return driver;
  };
  const running = async (driver: Driver, more: Partial<GuestSpec> = {}) => {
    const guest = testGuest(image.ref, { rootGiB: 1, ephemeralGiB: 0, swapMiB: 0, nics: [], ...more });
    await driver.createDisks(guest);
    await driver.spawn(guest);
    return guest;
  };
  const power = async (driver: Driver, guest: GuestSpec) => (await driver.guest(guest.uuid))?.power;

  test('a snapshot that finds no room, of a running guest and of one that is off', async () => {
    const place = join(small.dir, 'snapshots');
    mkdirSync(place);
    const driver = await started(join(folder, 'state'), {
      snapshots: { format: 'raw', folder: place },
      disks: { ...usualDisks, type: 'raw' },
    });
    const guest = await running(driver);
    const disk = await open(join(folder, 'state', 'instances', guest.uuid, 'disk'), 'r+');
    for (let at = 1; at <= 40; at++) await disk.write(Buffer.alloc(MiB, at), 0, MiB, at * MiB); // more than there is room for
    await disk.close();
    await assert.rejects(driver.snapshot(guest.uuid, never), { code: 'guest.no_disk_space' });
    assert.equal(await power(driver, guest), 'running');
    await driver.powerOff(guest.uuid, 0);
    const told: number[] = [];
    await assert.rejects(
      driver.snapshot(guest.uuid, never, (done, total) => void told.push(done / total)),
      { code: 'guest.no_disk_space' },
    );
    assert.ok(
      told.some((part) => part > 0 && part < 1),
      `how far the copy was: ${told}`,
    );
    assert.deepEqual(await readdir(place), []);
    await driver.powerOn(guest);
    assert.equal(await power(driver, guest), 'running');
  });

  test('a snapshot in a folder that others see is for this user’s eyes only, of a running guest and of one that is off', async () => {
    const place = join(folder, 'snapshots');
    mkdirSync(place, { mode: 0o755 });
    const driver = await started(join(folder, 'state'), { snapshots: { format: null, folder: place } });
    const guest = await running(driver);
    for (const turn of ['running', 'off']) {
      const copy = await driver.snapshot(guest.uuid, never);
      const [file = ''] = await readdir(place);
      assert.equal((await stat(join(place, file))).mode & 0o777, 0o600, turn);
      await copy.discard();
      await driver.powerOff(guest.uuid, 0);
    }
  });

  test('a resize that finds no room: the disk is as long as before, and the guest starts from it', {
    skip: requires('mount'),
  }, async () => {
    const driver = await started(join(small.dir, 'state'), { disks: { ...usualDisks, type: 'raw', preallocate: true } });
    const guest = await running(driver, { rootGiB: 0 });
    await driver.powerOff(guest.uuid, 0);
    const file = join(small.dir, 'state', 'instances', guest.uuid, 'disk');
    const before = await readFile(file);
    await assert.rejects(driver.resizeDisks({ ...guest, rootGiB: 1 }), { code: 'guest.no_disk_space' });
    assert.ok((await readFile(file)).equals(before));
    await driver.powerOn(guest);
    assert.equal(await power(driver, guest), 'running');
  });

  test('a move to a host without room: nothing is left there, and the guest starts again where it was', async () => {
    const here = await started(join(folder, 'state'));
    const guest = await running(here, { localDisks: [{ kind: 'ephemeral', sizeMiB: 64, format: 'ext4', device: null }] });
    await here.powerOff(guest.uuid, 0);
    const ephemeral = await open(join(folder, 'state', 'instances', guest.uuid, 'disk.eph0'), 'r+');
    for (let at = 8; at < 56; at++) await ephemeral.write(Buffer.alloc(MiB, at), 0, MiB, at * MiB);
    await ephemeral.close();
    const there = await started(join(small.dir, 'state'));
    const offer = await here.offerDisks(guest.uuid);
    await assert.rejects(
      there.fetchDisks(guest, offer, never, () => {}),
      { code: 'guest.no_disk_space' },
    );
    await there.removeDisks(guest.uuid);
    assert.deepEqual(await readdir(join(small.dir, 'state', 'instances')), []);
    await here.withdrawDisks(guest.uuid);
    await here.powerOn(guest);
    assert.equal(await power(here, guest), 'running');
  });

  test('a live migration to a host without room: told so, nothing is left there, and the guest runs on where it was', async () => {
    const here = await started(join(folder, 'state'));
    const guest = await running(here, { localDisks: [{ kind: 'ephemeral', sizeMiB: 64, format: 'ext4', device: null }] });
    await here.powerOff(guest.uuid, 0);
    const ephemeral = await open(join(folder, 'state', 'instances', guest.uuid, 'disk.eph0'), 'r+');
    for (let at = 8; at < 56; at++) await ephemeral.write(Buffer.alloc(MiB, at), 0, MiB, at * MiB);
    await ephemeral.close();
    await here.powerOn(guest);
    const { pid } = (await here.guest(guest.uuid)) ?? {};
    const there = await started(join(small.dir, 'state'));
    const offer = await there.prepareIncoming(guest);
    await assert.rejects(
      here.migrateLive(guest.uuid, offer, never, () => {}),
      (cause: CloudError) => cause.code === 'guest.no_disk_space' && /other host/.test(cause.message),
    );
    assert.deepEqual([(await here.guest(guest.uuid))?.pid, await power(here, guest)], [pid, 'running']);
    await there.removeDisks(guest.uuid);
    assert.deepEqual([await there.guests(), await readdir(join(small.dir, 'state', 'instances'))], [[], []]);
    await (await here.snapshot(guest.uuid, never)).discard(); // its disks are nobody else's
  });

  test('a root disk whose beginning is lost: the guest stays off and says so; put back, it starts', async () => {
    const driver = await started(join(folder, 'state'));
    const guest = await running(driver);
    await driver.powerOff(guest.uuid, 0);
    const file = join(folder, 'state', 'instances', guest.uuid, 'disk');
    const whole = await readFile(file);
    await writeFile(file, Buffer.concat([Buffer.alloc(4096, 0xff), whole.subarray(4096)]));
    await assert.rejects(driver.powerOn(guest), /QEMU did not start: .*not in qcow2 format/i);
    assert.equal(await power(driver, guest), 'shutdown');
    await writeFile(file, whole);
    await driver.powerOn(guest);
    assert.equal(await power(driver, guest), 'running');
  });

  test('an image below a disk that went away, and the file of a volume: named, and the guest stays off', async () => {
    const driver = await started(join(folder, 'state'));
    const guest = await running(driver);
    await driver.powerOff(guest.uuid, 0);
    const images = join(folder, 'state', 'images');
    const [name = ''] = await readdir(images);
    const bytes = await readFile(join(images, name));
    await rm(join(images, name));
    await assert.rejects(driver.powerOn(guest), /disk of guest .* stands on an image that is not on this host/);
    await writeFile(join(images, name), bytes);
    const gone = testVolume({ driver_volume_type: 'file', data: { device_path: join(folder, 'no-volume'), format: 'raw' } });
    await assert.rejects(driver.powerOn({ ...guest, volumes: [gone] }), new RegExp(`volume ${gone.volumeId} is not on this host`));
    assert.equal(await power(driver, guest), 'shutdown');
    await driver.powerOn(guest);
    assert.equal(await power(driver, guest), 'running');
    assert.ok((await stat(join(images, name))).size > 0);
  });
});
