import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { testVolume, until } from '../../../test/contracts/driver.ts';
import { requires } from '../../../test/requires.ts';
import { cacheFile, tinyGuest } from '../../../test/support/tiny-guest.ts';
import type { TinyImage } from '../../cloud/tiny-image.ts';
import { systemClock } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import { silentLog } from '../../lib/log.ts';
import type { Driver, GuestSpec } from '../driver.ts';
import { createQemuDriver } from './qemu-driver.ts';

// One guest with an operating system in it, to which all is done in turn: what the emulator claims is looked at from inside.
const run = promisify(execFile);
const BOOT_MS = 120_000;
const never = new AbortController().signal;

describe('a real guest on QEMU, seen from inside', { skip: requires('qemu', 'tiny-image') }, () => {
  let folder: string;
  let tiny: TinyImage;
  let driver: Driver;
  let key: string;
  let guest: GuestSpec;
  const start = async () => {
    driver = createQemuDriver({ hostname: 'host-1', stateDir: join(folder, 'state'), clock: systemClock, log: silentLog });
    await driver.start();
  };
  const consoleOf = async (uuid: string) => (await driver.consoleOutput(uuid, 400_000)).toString();
  const logins = async (uuid: string) => (await consoleOf(uuid)).match(/^\S+ login: $/gm)?.length ?? 0;
  const login = (uuid: string, times = 1) =>
    until(
      'login prompt',
      async () => ({ prompts: await logins(uuid), newest: (await consoleOf(uuid)).slice(-300) }),
      ({ prompts }) => prompts >= times,
      BOOT_MS,
    );
  const ssh = async (words: string, to = guest, secret = key) => {
    const port = (await driver.guest(to.uuid))?.forwards.find((forward) => forward.guestPort === 22)?.hostPort;
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'ConnectTimeout=20', 'LogLevel=ERROR'];
    const args = ['-p', String(port), '-i', secret, ...options.flatMap((option) => ['-o', option]), 'root@127.0.0.1', words];
    return (await run('ssh', args, { timeout: 60_000 })).stdout.trim();
  };
  const uptime = async () => Number((await ssh('cat /proc/uptime')).split(' ')[0]);
  const within = <T>(what: string, look: () => Promise<T>, holds: (seen: T) => boolean) => until(what, look, holds, 20_000);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-real-'));
    key = join(folder, 'key');
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await start();
    const json = JSON.stringify({
      uuid: newUuid(),
      hostname: 'inside',
      name: 'inside',
      public_keys: { mine: await readFile(`${key}.pub`, 'utf8') },
    });
    ({ files: tiny, guest } = await tinyGuest(driver, join(folder, 'image'), {
      memoryMiB: 128,
      configDrive: { 'openstack/latest/meta_data.json': Buffer.from(json).toString('base64') },
      imageProperties: { hw_qemu_guest_agent: 'yes' },
      nics: [
        {
          portId: newUuid(),
          networkId: newUuid(),
          mac: 'fa:16:3e:11:22:33',
          mtu: 1500,
          addresses: [{ address: '172.24.3.7', cidr: '172.24.0.0/16', gateway: '172.24.0.1' }],
          nameServers: ['172.24.0.2'],
        },
      ],
    }));
    await driver.createDisks(guest);
    await driver.spawn(guest);
    await login(guest.uuid);
  });
  after(async () => {
    for (const one of (await driver?.guests()) ?? []) await driver.destroy(one.uuid);
    await driver?.close();
    await rm(folder, { recursive: true, force: true });
  });

  test('numbers are real, the kernel hears of a crash dump, the agent changes the password', async () => {
    const numbers = await driver.diagnostics(guest.uuid);
    assert.ok((numbers.cpus[0]?.time ?? 0) > 1e9 && (numbers.disks[0]?.readBytes ?? 0) > 1e6, JSON.stringify(numbers));
    assert.equal(numbers.disks[0]?.device, 'vda');
    await driver.crashDump(guest.uuid);
    await within(
      'NMI',
      () => ssh('dmesg | grep -ci nmi'),
      (seen) => Number(seen) > 0,
    );
    const before = await ssh('grep ^root: /etc/shadow');
    await driver.setPassword(guest.uuid, 'a new: secret');
    assert.notEqual(await ssh('grep ^root: /etc/shadow'), before);
  });

  test('a paused guest does not age, a suspended one goes on where it was', async () => {
    await ssh('echo remembered > /dev/shm/memory || echo remembered > /run/memory');
    const [before, prompts] = [await uptime(), await logins(guest.uuid)];
    await driver.pause(guest.uuid);
    await new Promise((resolve) => setTimeout(resolve, 1500)); // time has to pass for it to be missed
    await driver.unpause(guest.uuid);
    await driver.suspend(guest.uuid);
    await driver.close();
    await start();
    await driver.resume(guest);
    const after = await uptime();
    assert.ok(after > before && after < before + 8, `${before} ${after}`);
    assert.equal(await ssh('cat /dev/shm/memory /run/memory 2>/dev/null; true'), 'remembered');
    assert.equal(await logins(guest.uuid), prompts, 'it was not booted again');
  });

  test('a volume appears by its id, keeps what is written, grows, survives a sleep, and goes; a card too', async () => {
    const file = join(folder, 'volume');
    await writeFile(file, '');
    await truncate(file, 1024 ** 3);
    const volume = testVolume({ driver_volume_type: 'file', data: { device_path: file, format: 'raw' } });
    const whole = { ...guest, volumes: [volume] };
    const find = `grep -l ${volume.volumeId.slice(0, 20)} /sys/block/*/serial | cut -d/ -f4`;
    await driver.attachVolume(whole, volume);
    const name = await within(
      'the disk',
      () => ssh(`${find}; true`),
      (seen) => seen !== '',
    );
    assert.match(name, /^vd[a-z]$/);
    await ssh(`printf kilonova | dd of=/dev/${name} bs=512 conv=fsync,notrunc 2>/dev/null; sync`);
    assert.equal((await readFile(file)).subarray(0, 8).toString(), 'kilonova');
    await truncate(file, 2 * 1024 ** 3);
    await driver.extendVolume({ ...whole, volumes: [{ ...volume, sizeGiB: 2 }] }, volume.volumeId, 2);
    await within(
      'the new size',
      () => ssh(`cat /sys/block/${name}/size`),
      (seen) => Number(seen) === 2 * 2 ** 21,
    );
    const nic = {
      ...guest.nics[0]!,
      portId: newUuid(),
      mac: 'fa:16:3e:11:22:44',
      addresses: [{ address: '10.9.0.7', cidr: '10.9.0.0/24', gateway: null }],
    };
    const both = { ...whole, nics: [...guest.nics, nic] };
    await driver.attachNic(both, nic);
    await within(
      'the card',
      () => ssh('cat /sys/class/net/*/address'),
      (seen) => seen.includes(nic.mac),
    );
    await driver.suspend(guest.uuid);
    await driver.resume(both);
    assert.equal(await ssh(`${find}`), name);
    await driver.detachNic(whole, nic.portId);
    await within(
      'no card',
      () => ssh('cat /sys/class/net/*/address'),
      (seen) => !seen.includes(nic.mac),
    );
    const began = performance.now();
    await driver.detachVolume(guest, volume.volumeId);
    assert.ok(performance.now() - began < 10_000, 'the guest let go of it by itself');
    assert.equal(await ssh(`${find}; true`), '');
  });

  test('it moves to another driver while it runs, and nobody inside notices', async () => {
    const other = createQemuDriver({ hostname: 'host-2', stateDir: join(folder, 'other'), clock: systemClock, log: silentLog });
    await other.start();
    for (const [ref, file] of [
      [guest.image, tiny.disk],
      [guest.kernel, tiny.kernel],
      [guest.ramdisk, tiny.initrd],
    ] as const)
      if (ref) await other.fetchImage(ref, async () => createReadStream(file), never);
    const [before, prompts, here] = [await uptime(), await logins(guest.uuid), driver];
    const began = performance.now();
    await here.migrateLive(guest.uuid, await other.prepareIncoming(guest), never, () => {});
    console.log(
      JSON.stringify({ figure: 'qemu.live-migration', totalMs: Math.round(performance.now() - began), memoryMiB: guest.memoryMiB }),
    );
    try {
      driver = other;
      const after = await uptime();
      assert.ok(after > before && after < before + 60, `${before} ${after}`);
      assert.equal(
        await ssh('cat /dev/shm/memory /run/memory 2>/dev/null; echo on disk > /root/moved; sync; cat /root/moved'),
        'remembered\non disk',
      );
      await here.removeDisks(guest.uuid);
      await other.migrateLive(guest.uuid, await here.prepareIncoming(guest), never, () => {});
      driver = here;
      assert.equal(await ssh('cat /root/moved'), 'on disk');
      assert.ok((await logins(guest.uuid)) <= prompts, 'it was not booted again');
    } finally {
      driver = here;
      for (const one of await other.guests()) await other.destroy(one.uuid);
      await other.close();
    }
  });

  test('what was written before a snapshot of the running guest is in a guest booted from it; disks that grew are seen', async () => {
    await ssh('echo kept > /root/kept; sync');
    const copy = await driver.snapshot(guest.uuid, never);
    const file = join(folder, 'snapshot.qcow2');
    await pipeline(await copy.open(), createWriteStream(file));
    await copy.discard();
    const info = JSON.parse((await run('qemu-img', ['info', '--output=json', file])).stdout);
    assert.deepEqual([info.format, info['backing-filename']], ['qcow2', undefined]);
    await driver.powerOff(guest.uuid, 0);
    const second = { ...guest, uuid: newUuid(), image: await cacheFile(driver, file, 'qcow2') };
    await driver.createDisks(second);
    await driver.powerOff(guest.uuid, 0);
    await driver.resizeDisks({ ...second, rootGiB: 3 });
    await driver.spawn(second);
    await login(second.uuid);
    assert.equal(await ssh('cat /root/kept', second), 'kept');
    assert.equal(Number(await ssh('cat /sys/block/vda/size', second)), 3 * 2 ** 21);
    await driver.removeDisks(second.uuid);
  });

  test('rescue boots from the rescue image with the own disk beside it', async () => {
    const seen = await logins(guest.uuid);
    const rescue = { image: guest.image!, kernel: null, ramdisk: null, properties: {}, configDrive: guest.configDrive };
    await driver.rescue(guest, rescue);
    await login(guest.uuid, seen + 1);
    const look = 'for d in vda2 vdb2; do mkdir -p /run/$d; mount /dev/$d /run/$d; test -f /run/$d/root/kept && echo $d; done; true';
    assert.equal(await ssh(look), 'vdb2', 'the rescue disk comes first, the own one is the second');
  });
});
