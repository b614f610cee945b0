import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { access, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { type TestImage, testGuest, testVolume, until } from '../../../test/contracts/driver.ts';
import { requires } from '../../../test/requires.ts';
import { smallDisk } from '../../../test/servers/small-disk.ts';
import { systemClock } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import { silentLog } from '../../lib/log.ts';
import type { Driver, GuestSpec } from '../driver.ts';
import { createQemuDriver, type QemuDriverOptions } from './qemu-driver.ts';
import { connectQmp } from './qmp.ts';
import { buttonGuest } from './test-guests.ts';

// What can go wrong with deeds on guests, and what of it a new agent finds.
const run = promisify(execFile);
const image = buttonGuest();
const never = new AbortController().signal;

describe('QEMU driver, deeds that are cut short or refused', { skip: requires('qemu') }, () => {
  let folder: string;
  let here: Driver;
  let there: Driver;
  const make = async (name: string, more: Partial<QemuDriverOptions> = {}) => {
    const stateDir = join(folder, name);
    const usual = { clock: systemClock, log: silentLog, acceleration: 'tcg', unplugMs: 300 } as const;
    const driver = createQemuDriver({ hostname: name, stateDir, ...usual, ...more });
    await driver.start();
    return driver;
  };
  const fetch = (driver: Driver, wanted: TestImage = image) =>
    driver.fetchImage(wanted.ref, async () => Readable.from([wanted.bytes]), never);
  const running = async (more: Partial<GuestSpec> = {}) => {
    await fetch(here);
    const guest = testGuest(image.ref, more);
    await here.createDisks(guest);
    await here.spawn(guest);
    return guest;
  };
  const place = (guest: GuestSpec, name = 'here') => join(folder, name, 'instances', guest.uuid);
  const power = async (guest: GuestSpec, driver = here) => (await driver.guest(guest.uuid))?.power;
  const restart = async (between: () => Promise<void> = async () => {}) => {
    await here.close();
    await between();
    here = await make('here');
  };
  const volume = async (bytes = 1024 * 1024) => {
    const file = join(folder, newUuid());
    await writeFile(file, '');
    await truncate(file, bytes);
    return { file, volume: testVolume({ driver_volume_type: 'file', data: { device_path: file, format: 'raw' } }) };
  };
  /** Who has this file open, of the emulators of this guest. */
  const holds = async (guest: GuestSpec, file: string) => {
    const pid = (await here.guest(guest.uuid))?.pid;
    const links = await run('sh', ['-c', `ls -l /proc/${pid}/fd`]);
    return links.stdout.includes(file);
  };
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-deeds-'));
    [here, there] = [await make('here'), await make('there')];
  });
  afterEach(async () => {
    for (const driver of [here, there]) {
      for (const guest of await driver.guests()) await driver.destroy(guest.uuid);
      await driver.close();
    }
    await rm(folder, { recursive: true });
  });

  test('a suspend that was cut short by the end of its agent leaves the guest running; one that was whole stays whole', async () => {
    const guest = await running();
    const record = join(place(guest), 'guest.json');
    const edit = async (change: object) => writeFile(record, JSON.stringify({ ...JSON.parse(await readFile(record, 'utf8')), ...change }));
    await here.pause(guest.uuid);
    await restart(async () => {
      await edit({ suspending: 'running' });
      await writeFile(join(place(guest), 'memory.part'), 'half of it');
    });
    assert.equal(await power(guest), 'running');
    await here.suspend(guest.uuid);
    await restart(() => edit({ power: 'running', suspending: 'running' }));
    assert.equal(await power(guest), 'suspended');
    await restart(() => edit({ power: 'pending' }));
    assert.equal(await power(guest), 'suspended', 'its machine was being built again');
    await here.resume(guest);
    assert.equal(await power(guest), 'running');
  });

  test('the key of a volume that a start cut short has left goes with the guest, though its disks stay', async () => {
    const guest = await running();
    const key = join(place(guest), `key.${newUuid()}`);
    await writeFile(key, 'secret', { mode: 0o600 });
    await here.destroy(guest.uuid);
    await assert.rejects(access(key), { code: 'ENOENT' });
    await access(join(place(guest), 'disk'));
  });

  test('memory that cannot be read leaves the guest suspended, with a reason; a hard reboot begins anew', async () => {
    const guest = await running();
    await here.suspend(guest.uuid);
    const memory = join(place(guest), 'memory');
    const whole = await readFile(memory);
    await writeFile(memory, Buffer.alloc(4096, 'x'));
    await assert.rejects(here.resume(guest), /memory/);
    assert.equal(await power(guest), 'suspended');
    await writeFile(memory, whole);
    await here.resume(guest);
    assert.equal(await power(guest), 'running');
    await here.suspend(guest.uuid);
    await assert.rejects(here.attachVolume(guest, (await volume()).volume), /suspended/);
    await here.reboot(guest, 'hard', 0);
    assert.equal(await power(guest), 'running');
    await assert.rejects(access(memory));
  });

  test('disk full while memory or a snapshot is written: said so, and the guest runs on', { skip: requires('mount') }, async () => {
    const small = smallDisk(3);
    try {
      await here.close();
      const stateDir = join(small.dir, 'state');
      here = await make('here', { stateDir });
      const guest = await running();
      small.fill();
      await truncate(small.ballast, (await stat(small.ballast)).size - 64 * 1024); // enough for records
      const files = async () => (await readdir(join(stateDir, 'instances', guest.uuid))).sort();
      const filled = await files();
      await assert.rejects(here.suspend(guest.uuid), { code: 'guest.no_disk_space' });
      assert.equal(await power(guest), 'running');
      await assert.rejects(here.snapshot(guest.uuid, never), { code: 'guest.no_disk_space' });
      assert.equal(await power(guest), 'running');
      assert.deepEqual(await files(), filled);
      small.empty();
      await (await here.snapshot(guest.uuid, never)).discard();
      await here.destroy(guest.uuid);
    } finally {
      await here.close();
      here = await make('here');
      small.remove();
    }
  });

  test('a snapshot nobody came for goes with the next start, and so does a copy that still runs', async () => {
    const guest = await running();
    const copy = await here.snapshot(guest.uuid, never);
    const file = join(folder, 'copy.qcow2');
    const chunks: Buffer[] = [];
    for await (const chunk of await copy.open()) chunks.push(chunk);
    await writeFile(file, Buffer.concat(chunks));
    const info = JSON.parse((await run('qemu-img', ['info', '--output=json', file])).stdout);
    assert.deepEqual([info.format, info['virtual-size'], info['backing-filename']], ['qcow2', 1024 ** 3, undefined]);
    const head = await run('qemu-img', ['dd', '-f', 'qcow2', '-O', 'raw', 'bs=512', 'count=1', `if=${file}`, `of=${file}.raw`]);
    assert.ok(head && (await readFile(`${file}.raw`)).equals(image.bytes.subarray(0, 512)), 'the image below is in it');
    assert.ok(info['actual-size'] < 2 * 1024 ** 2, 'what is empty stays empty');
    await restart();
    assert.deepEqual(
      (await readdir(place(guest))).filter((name) => name.startsWith('snapshot')),
      [],
    );
    await assert.rejects(here.snapshot(guest.uuid, AbortSignal.abort(new Error('enough'))), /enough/);
    assert.equal(await power(guest), 'running');
  });

  test('a guest that does not let go of its volume loses it all the same; the file is free, and it can sleep and wake without it', async () => {
    const guest = await running();
    const one = await volume();
    const whole = { ...guest, volumes: [one.volume] };
    await here.attachVolume(whole, one.volume);
    assert.ok(await holds(guest, one.file));
    await here.detachVolume(guest, one.volume.volumeId);
    assert.ok(!(await holds(guest, one.file)));
    await here.attachVolume(whole, one.volume);
    assert.ok(await holds(guest, one.file), 'in another place');
    await here.detachVolume(guest, one.volume.volumeId);
    await here.suspend(guest.uuid);
    await here.resume(guest);
    assert.equal(await power(guest), 'running');
  });

  test('another volume takes the place of one, running or off, again and back; the guest holds only the newer one, and all bytes are in it', async () => {
    const guest = await running();
    const [one, two, three] = [await volume(), await volume(2 * 1024 * 1024), await volume(2 * 1024 * 1024)];
    await writeFile(two.file, Buffer.alloc(2 * 1024 * 1024, 'x'));
    const bytes = Buffer.concat([Buffer.alloc(4096, 'what stands in it '), Buffer.alloc(1024 * 1024 - 4096)]);
    await writeFile(one.file, bytes);
    const as = (now: { volume: (typeof one)['volume'] }) => ({ ...guest, volumes: [now.volume] });
    await here.attachVolume(as(one), one.volume);
    await here.swapVolume(as(two), one.volume.volumeId, two.volume);
    assert.deepEqual([await holds(guest, one.file), await holds(guest, two.file)], [false, true]);
    assert.ok((await readFile(two.file)).subarray(0, bytes.length).equals(bytes));
    await here.swapVolume(as(two), one.volume.volumeId, two.volume); // said twice
    await restart();
    await here.swapVolume(as(three), two.volume.volumeId, three.volume);
    assert.deepEqual([await holds(guest, two.file), await holds(guest, three.file)], [false, true]);
    const same = { volume: { ...two.volume, volumeId: three.volume.volumeId } }; // as when a volume is moved and keeps its id
    await here.swapVolume(as(same), three.volume.volumeId, same.volume);
    assert.deepEqual([await holds(guest, two.file), await holds(guest, three.file)], [true, false]);
    assert.equal(await power(guest), 'running');
    await here.detachVolume(guest, same.volume.volumeId);
    assert.ok(!(await holds(guest, two.file)), 'it was let go of');
    await here.attachVolume(as(three), three.volume);
    await here.powerOff(guest.uuid, 0);
    await writeFile(one.file, Buffer.alloc(2 * 1024 * 1024));
    await here.swapVolume(as(one), three.volume.volumeId, one.volume);
    assert.ok((await readFile(one.file)).subarray(0, bytes.length).equals(bytes));
    await here.powerOn(as(one));
    assert.ok(await holds(guest, one.file));
  });

  test('a swap that fails leaves the old volume in its place: the new one too small, or gone', async () => {
    const guest = await running();
    const [one, small] = [await volume(), await volume(512 * 1024)];
    await writeFile(one.file, Buffer.alloc(1024 * 1024, 'old'));
    const whole = { ...guest, volumes: [one.volume] };
    await here.attachVolume(whole, one.volume);
    await assert.rejects(here.swapVolume({ ...guest, volumes: [small.volume] }, one.volume.volumeId, small.volume));
    const gone = testVolume({ driver_volume_type: 'file', data: { device_path: join(folder, 'nowhere'), format: 'raw' } });
    await assert.rejects(here.swapVolume({ ...guest, volumes: [gone] }, one.volume.volumeId, gone), /is not on this host/);
    assert.deepEqual([await holds(guest, one.file), await holds(guest, small.file)], [true, false]);
    assert.equal(await power(guest), 'running');
  });

  test('a volume that several may have is shared by running guests; any other is refused to the second', async () => {
    const [first, second] = [await running(), await running()];
    const one = await volume();
    const shared = { ...one.volume, connection: { ...one.volume.connection, multiattach: true } };
    await here.attachVolume({ ...first, volumes: [one.volume] }, one.volume);
    await assert.rejects(here.attachVolume({ ...second, volumes: [one.volume] }, one.volume), /lock|cannot be opened|write/);
    await here.detachVolume(first, one.volume.volumeId);
    await here.attachVolume({ ...first, volumes: [shared] }, shared);
    await here.attachVolume({ ...second, volumes: [shared] }, shared);
    assert.deepEqual([await holds(first, one.file), await holds(second, one.file)], [true, true]);
  });

  test('a running machine of every family takes and gives devices, sleeps and wakes', async () => {
    const nic = {
      portId: newUuid(),
      networkId: newUuid(),
      mac: 'fa:16:3e:00:00:01',
      mtu: 1500,
      addresses: [{ address: '172.24.0.9', cidr: '172.24.0.0/16', gateway: null }],
      nameServers: [],
    };
    const second = { ...nic, portId: newUuid(), mac: 'fa:16:3e:00:00:02', addresses: [] };
    for (const imageProperties of [
      { hw_machine_type: 'q35' },
      { hw_machine_type: 'q35', hw_disk_bus: 'scsi', hw_vif_model: 'e1000' },
      { hw_disk_bus: 'scsi' },
      { hw_disk_bus: 'ide', hw_vif_model: 'rtl8139' },
    ]) {
      const guest = await running({ imageProperties: imageProperties as Record<string, string>, nics: [nic] });
      const one = await volume();
      const whole = {
        ...guest,
        nics: [nic, second],
        volumes: [{ ...one.volume, bus: imageProperties.hw_disk_bus === 'ide' ? 'virtio' : null }],
      };
      await here.attachNic(whole, second);
      await here.attachVolume(whole, whole.volumes[0]!);
      await here.suspend(guest.uuid);
      await here.resume(whole);
      assert.ok(await holds(guest, one.file), JSON.stringify(imageProperties));
      await here.detachNic({ ...whole, nics: [second] }, nic.portId);
      await here.suspend(guest.uuid);
      await here.resume({ ...whole, nics: [second] });
      assert.equal(await power(guest), 'running');
      await here.destroy(guest.uuid);
    }
  });

  test('volumes this driver cannot connect are refused before anything changes', async () => {
    const guest = await running();
    const { volume: good } = await volume();
    const data = (more: object) => ({
      ...good,
      connection: { driver_volume_type: 'file', data: { device_path: '/nonexistent', format: 'raw', ...more } },
    });
    const before = await readFile(join(place(guest), 'guest.json'), 'utf8');
    for (const bad of [
      data({}),
      data({ device_path: 'relative' }),
      data({ format: 'vmdk' }),
      data({ encrypted: true }),
      { ...good, connection: { driver_volume_type: 'rbd', data: {} } },
      { ...good, bus: 'ide' },
      { ...good, bus: 'scsi' },
    ]) {
      await assert.rejects(here.attachVolume({ ...guest, volumes: [bad] }, bad), /volume|SCSI|bus/);
    }
    assert.equal(await readFile(join(place(guest), 'guest.json'), 'utf8'), before);
    await here.powerOff(guest.uuid, 0);
    const missing = { ...guest, volumes: [data({})] };
    await assert.rejects(here.powerOn(missing), /is not on this host/);
    assert.equal(await power(guest), 'shutdown');
  });

  test('no place left, no agent, no rescue image: refused, and the guest runs on', async () => {
    const guest = await running();
    const volumes = await Promise.all(Array.from({ length: 20 }, async () => (await volume()).volume));
    for (let count = 1; count <= 19; count++) await here.attachVolume({ ...guest, volumes: volumes.slice(0, count) }, volumes[count - 1]!);
    await assert.rejects(here.attachVolume({ ...guest, volumes }, volumes[19]!), { code: 'guest.deed_unsupported' });
    await assert.rejects(here.setPassword(guest.uuid, 'x'), { code: 'guest.deed_unsupported' });
    const rescue = { image: { ...image.ref, id: newUuid() }, kernel: null, ramdisk: null, properties: {}, configDrive: null };
    const pid = (await here.guest(guest.uuid))?.pid;
    await assert.rejects(here.rescue(guest, rescue), { code: 'guest.image_unusable' });
    assert.equal((await here.guest(guest.uuid))?.pid, pid);
  });

  test('a live migration that is aborted, or whose target gives up, leaves the guest running here and nothing there', async () => {
    const guest = await running({ ephemeralGiB: 1 });
    const pid = (await here.guest(guest.uuid))?.pid;
    const stop = new AbortController();
    const offer = await there.prepareIncoming(guest);
    const aborted = here.migrateLive(guest.uuid, offer, stop.signal, () => stop.abort(new Error('enough')));
    await assert.rejects(aborted, /enough/);
    assert.deepEqual([(await here.guest(guest.uuid))?.pid, await power(guest)], [pid, 'running']);
    await until(
      'nothing there',
      () => there.guests(),
      (seen) => seen.length === 0,
    );
    await until(
      'no disks there',
      () => readdir(place(guest, 'there')).catch(() => []),
      (files) => !files.some((name) => name.startsWith('disk')),
    );
    const again = await there.prepareIncoming(guest);
    const given = here.migrateLive(guest.uuid, again, never, () => void there.close());
    await assert.rejects(given, /other host|lost|closed/);
    there = await make('there');
    assert.deepEqual([(await here.guest(guest.uuid))?.pid, await power(guest)], [pid, 'running']);
    assert.deepEqual(await there.guests(), []);
    await (await here.snapshot(guest.uuid, never)).discard();
    await here.pause(guest.uuid);
    await here.migrateLive(guest.uuid, await there.prepareIncoming(guest), never, () => {});
    assert.deepEqual([await power(guest), await power(guest, there)], [undefined, 'paused']);
  });

  test('an agent that dies when its guest was sent asks the target whose it is', async () => {
    const guest = await running();
    const offer = await there.prepareIncoming(guest);
    await here.close();
    const qmp = await connectQmp(join(place(guest), 'qmp.sock'));
    const sink = createServer((socket) => socket.resume()).listen(join(folder, 'sink'));
    await qmp.command('migrate', { uri: `unix:${join(folder, 'sink')}` });
    await until(
      'sent',
      () => qmp.command('query-status'),
      (seen) => (seen as { status: string }).status === 'postmigrate',
    );
    sink.close();
    const file = join(place(guest), 'guest.json');
    await writeFile(file, JSON.stringify({ ...JSON.parse(await readFile(file, 'utf8')), leaving: offer }));
    qmp.close();
    here = await make('here');
    await until(
      'runs',
      () => power(guest),
      (seen) => seen === 'running',
    );
    assert.equal(JSON.parse(await readFile(file, 'utf8')).leaving, null);
  });

  test('what is offered to one is for nobody else: no token, no guest; no other file, no disk', async () => {
    const guest = await running();
    await here.powerOff(guest.uuid, 0);
    const offer = await here.offerDisks(guest.uuid);
    const ask = (question: object): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect(String(offer.path), () => socket.write(`${JSON.stringify(question)}\n`));
        let said = '';
        socket.on('data', (bytes) => (said += bytes));
        socket.on('close', () => resolve(said));
      });
    const { uuid, token } = offer;
    assert.match(await ask({ want: 'disks', uuid, token }), /"disks":\[\{"name":"disk"/);
    for (const wrong of [
      { want: 'disks', uuid, token: 'x' },
      { want: 'disks', uuid: newUuid(), token },
      { want: 'disk', uuid, token, name: '../../moves.key' },
      { want: 'constructor', uuid, token },
      { want: 'nbd', uuid, token },
      { want: 'config', uuid, token, name: '../x' },
      {},
    ]) {
      assert.match(await ask(wrong), /"error"/, JSON.stringify(wrong));
    }
    await here.withdrawDisks(guest.uuid);
    assert.match(await ask({ want: 'disks', uuid, token }), /not offered any more/);
    await assert.rejects(
      there.fetchDisks(guest, offer, never, () => {}),
      /not offered/,
    );
    await assert.rejects(access(join(place(guest, 'there'), 'disk')));
  });

  test('hosts with one folder for disks: only memory moves, nobody deletes what another still needs, and the last one does', async () => {
    const common = join(folder, 'common');
    await Promise.all([here.close(), there.close()]);
    for (const name of ['here', 'there']) await rm(join(folder, name), { recursive: true });
    const both = { disksFolder: common };
    [here, there] = [await make('here', both), await make('there', both)];
    const names = async (uuid: string) =>
      (await readdir(join(common, uuid)).catch(() => [])).filter((name) => name.startsWith('disk') && name !== 'disks.json').sort();
    const guest = await running({ ephemeralGiB: 1, configDrive: { 'a/b': Buffer.from('words').toString('base64') } });
    const files = ['disk', 'disk.config', 'disk.eph0'];
    assert.deepEqual(await names(guest.uuid), files);
    const inode = (await stat(join(common, guest.uuid, 'disk'))).ino;
    // A target that gives up takes nothing with it.
    const stop = new AbortController();
    const offer = await there.prepareIncoming(guest);
    await assert.rejects(
      here.migrateLive(guest.uuid, offer, stop.signal, () => stop.abort(new Error('enough'))),
      /enough/,
    );
    await there.removeDisks(guest.uuid);
    assert.deepEqual([await names(guest.uuid), await power(guest)], [files, 'running']);
    const moved: { diskProcessed: number }[] = [];
    await here.migrateLive(guest.uuid, await there.prepareIncoming(guest), never, (bytes) => void moved.push(bytes));
    assert.ok(moved.every((bytes) => bytes.diskProcessed === 0));
    assert.equal(await power(guest, there), 'running');
    await here.removeDisks(guest.uuid);
    assert.deepEqual([await names(guest.uuid), (await stat(join(common, guest.uuid, 'disk'))).ino], [files, inode]);
    // Back while it is off; taken back once.
    await there.powerOff(guest.uuid, 0);
    await there.destroy(guest.uuid);
    const cold = await there.offerDisks(guest.uuid);
    await here.fetchDisks(guest, cold, never, () => assert.fail('nothing is copied'));
    await here.removeDisks(guest.uuid);
    assert.deepEqual(await names(guest.uuid), files, 'the move was taken back');
    await here.fetchDisks(guest, cold, never, () => {});
    await here.resizeDisks({ ...guest, rootGiB: 2 });
    await there.withdrawDisks(guest.uuid);
    await there.removeDisks(guest.uuid);
    await here.spawn(guest);
    assert.deepEqual(await names(guest.uuid), files);
    // A host that lost sight of its guest: the other one takes the same disks, once they are free.
    await assert.rejects(
      (async () => {
        await fetch(there);
        await there.createDisks(guest);
        await there.spawn(guest);
      })(),
      /another process using/,
    );
    await here.powerOff(guest.uuid, 0);
    await there.spawn(guest);
    const kept = { removeUnused: true, minimumAgeMs: 0, limitBytes: 0 };
    assert.deepEqual((await here.tidyCache(kept)).removed, [], 'the other host’s guest stands on it');
    await here.removeDisks(guest.uuid);
    assert.deepEqual(await names(guest.uuid), files);
    await there.removeDisks(guest.uuid);
    await assert.rejects(access(join(common, guest.uuid)));
    assert.equal((await here.tidyCache(kept)).removed.length, 1);
    await assert.rejects(make('here', { disksFolder: join(folder, 'elsewhere') }), /cannot be changed/);
  });

  test('between hosts over TCP: disks, then the running guest back', async () => {
    await there.close();
    there = createQemuDriver({
      hostname: 'there',
      stateDir: join(folder, 'there'),
      clock: systemClock,
      log: silentLog,
      acceleration: 'tcg',
      moves: { host: '127.0.0.1', firstPort: 0, lastPort: 0 },
    });
    await there.start();
    const guest = await running();
    const offer = await there.prepareIncoming(guest);
    assert.equal(offer.path, undefined);
    await here.migrateLive(guest.uuid, offer, never, () => {});
    assert.equal(await power(guest, there), 'running', 'its image was not there: the whole disk came');
    await there.powerOff(guest.uuid, 0);
    await here.removeDisks(guest.uuid);
    await here.fetchDisks(guest, await there.offerDisks(guest.uuid), never, () => {});
    await there.removeDisks(guest.uuid);
    await here.spawn(guest);
    await until(
      'console',
      async () => (await here.consoleOutput(guest.uuid, 1000)).toString(),
      (text) => text.includes('test guest is up'),
    );
  });
});
