import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { testGuest, until } from '../../test/contracts/driver.ts';
import { requires } from '../../test/requires.ts';
import { cacheFile, downloads } from '../../test/support/tiny-guest.ts';
import type { Driver, GuestEvent, GuestSpec, ImageRef } from '../hypervisors/driver.ts';
import { createQemuDriver } from '../hypervisors/qemu/qemu-driver.ts';
import { systemClock } from '../lib/clock.ts';
import { newUuid } from '../lib/ids.ts';
import { silentLog } from '../lib/log.ts';
import { buildTinyImage, type TinyImage } from './tiny-image.ts';

const run = promisify(execFile);
const BOOT_MS = 120_000;

describe('the tiny guest on QEMU', { skip: requires('qemu', 'tiny-image') }, () => {
  let folder: string;
  let tiny: TinyImage;
  let driver: Driver;
  let key: string;
  let served: Server;
  const asked: string[] = [];
  const events: GuestEvent[] = [];
  const refs = new Map<string, ImageRef>();
  const newDriver = async () => {
    const made = createQemuDriver({ hostname: 'host-1', stateDir: join(folder, 'state'), clock: systemClock, log: silentLog });
    made.onEvent((event) => events.push(event));
    await made.start();
    return made;
  };
  const consoleOf = async (uuid: string) => (await driver.consoleOutput(uuid, 200_000)).toString();
  const login = (uuid: string) =>
    until(
      'login prompt',
      () => consoleOf(uuid),
      (text) => /^\S+ login: $/m.test(text),
      BOOT_MS,
    );
  const ssh = async (uuid: string, user: string, ...words: string[]) => {
    const port = (await driver.guest(uuid))?.forwards.find((forward) => forward.guestPort === 22)?.hostPort;
    const options = ['StrictHostKeyChecking=no', `UserKnownHostsFile=${folder}/hosts`, 'BatchMode=yes', 'ConnectTimeout=20'];
    const args = ['-p', String(port), '-i', key, ...options.flatMap((option) => ['-o', option]), `${user}@127.0.0.1`, ...words];
    return (await run('ssh', args, { timeout: 60_000 })).stdout.trim();
  };

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-tiny-'));
    tiny = await buildTinyImage({
      outDir: join(folder, 'image'),
      workDir: downloads,
      log: silentLog,
      signal: new AbortController().signal,
    });
    key = join(folder, 'key');
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    driver = await newDriver();
    refs.set('disk', await cacheFile(driver, tiny.disk, 'qcow2'));
    refs.set('kernel', await cacheFile(driver, tiny.kernel, 'aki'));
    refs.set('initrd', await cacheFile(driver, tiny.initrd, 'ari'));
  });
  after(async () => {
    for (const guest of (await driver?.guests()) ?? []) await driver.destroy(guest.uuid);
    await driver?.close();
    served?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const spec = (more: Partial<GuestSpec>) =>
    testGuest(refs.get('disk') ?? null, {
      memoryMiB: 128,
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
      ...more,
    });
  const metadataOf = async (uuid: string, hostname: string) => ({
    uuid,
    hostname,
    name: hostname,
    public_keys: { 'my "key"': await readFile(`${key}.pub`, 'utf8') },
    meta: { uuid: 'not this one', hostname: 'nor this' },
    admin_pass: 'tiny:secret',
  });

  test('a second build answers at once with the same files', async () => {
    const began = performance.now();
    const again = await buildTinyImage({
      outDir: join(folder, 'image'),
      workDir: join(folder, 'nothing-is-done-here'),
      log: silentLog,
      signal: new AbortController().signal,
    });
    assert.deepEqual(again, tiny);
    assert.ok(performance.now() - began < 200);
  });

  test('an interrupted build leaves nothing behind', async () => {
    const [outDir, workDir] = [join(folder, 'interrupted'), join(folder, 'interrupted-work')];
    await mkdir(workDir, { recursive: true });
    await symlink(join(downloads, 'packages'), join(workDir, 'packages'));
    const stop = new AbortController();
    const progress = ({ percent }: { percent: number }) => percent >= 60 && stop.abort(new Error('enough'));
    await assert.rejects(buildTinyImage({ outDir, workDir, log: silentLog, progress, signal: stop.signal }), /enough/);
    assert.deepEqual([await readdir(outDir), await readdir(workDir)], [[], ['packages']]);
  });

  test('direct kernel boot, metadata, ssh; survives its driver; shuts down when asked', async () => {
    const guest = spec({
      rootGiB: 1,
      kernel: refs.get('kernel') ?? null,
      ramdisk: refs.get('initrd') ?? null,
      kernelCommandLine: tiny.commandLine,
      metadataSocket: join(folder, 'metadata.sock'),
    });
    const metadata = await metadataOf(guest.uuid, 'shining.example.org');
    served = createServer((request, response) => {
      asked.push(request.url ?? '');
      const found: Record<string, string> = {
        '/openstack/latest/meta_data.json': JSON.stringify(metadata, null, 2),
        '/openstack/latest/user_data': '#!/bin/sh\necho hello from user data\n',
      };
      const body = found[request.url ?? ''];
      response.writeHead(body ? 200 : 404, { connection: 'close' }).end(body ?? '');
    });
    await new Promise<void>((resolve) => served.listen(guest.metadataSocket ?? '', resolve));
    await driver.createDisks(guest);
    const began = performance.now();
    await driver.spawn(guest);
    const running = performance.now() - began;
    const text = await login(guest.uuid);
    console.log(JSON.stringify({ figure: 'tiny.boot', spawnMs: Math.round(running), loginMs: Math.round(performance.now() - began) }));
    assert.match(text, /kilonova: address 172\.24\.3\.7 on eth0/);
    assert.match(text, /kilonova: metadata from metadata service \[/);
    assert.match(text, /kilonova: ssh is up, host key SHA256:/i);
    assert.match(text, /user data: hello from user data/);
    assert.match(text, /^shining login: $/m);
    assert.ok(asked.includes('/openstack/latest/meta_data.json'));
    assert.equal(await ssh(guest.uuid, 'root', 'hostname'), 'shining');
    assert.equal(await ssh(guest.uuid, 'cloud', 'id -un'), 'cloud');
    const rootMiB = Number(await ssh(guest.uuid, 'root', "df -m / | awk 'END { print $2 }'"));
    assert.ok(rootMiB > 800, `the root file system has ${rootMiB} MiB`);
    assert.match(await ssh(guest.uuid, 'root', 'grep ^cloud: /etc/shadow'), /^cloud:\$6\$/);

    const before = await driver.guest(guest.uuid);
    await driver.close();
    driver = await newDriver();
    assert.deepEqual(await driver.guest(guest.uuid), before);
    assert.equal(await ssh(guest.uuid, 'root', 'echo still here'), 'still here');

    await ssh(guest.uuid, 'root', 'poweroff').catch(() => undefined); // the line may be cut first
    await until(
      'event',
      () => events,
      (seen) => seen.length > 0,
      60_000,
    );
    assert.deepEqual([events[0]?.kind, events[0]?.kind === 'stopped' && events[0].reason], ['stopped', 'guest-shutdown']);
    assert.equal((await driver.guest(guest.uuid))?.power, 'shutdown');
    await driver.destroy(guest.uuid);
    await driver.removeDisks(guest.uuid);
  });

  test('boots from its own disk with a config drive, obeys the power button, and its crash is noticed', async () => {
    const base = spec({});
    const json = JSON.stringify(await metadataOf(base.uuid, 'driven'));
    const guest = { ...base, configDrive: { 'openstack/latest/meta_data.json': Buffer.from(json).toString('base64') } };
    events.splice(0);
    await driver.createDisks(guest);
    await driver.spawn(guest);
    const text = await login(guest.uuid);
    assert.match(text, /kilonova: metadata from config drive/);
    assert.match(text, /^driven login: $/m);
    const began = performance.now();
    await driver.powerOff(guest.uuid, 60_000);
    assert.ok(performance.now() - began < 30_000, 'it went down by itself, not by the deadline');
    assert.match(await consoleOf(guest.uuid), /power button pressed.*shutting down/s);
    assert.equal(events.length, 0);
    await driver.powerOn(guest);
    const pid = (await driver.guest(guest.uuid))?.pid ?? 0;
    const killed = performance.now();
    process.kill(pid, 'SIGKILL');
    await until(
      'event',
      () => events,
      (seen) => seen.length > 0,
      2000,
    );
    assert.ok(performance.now() - killed < 1000);
    const [event] = events;
    assert.deepEqual([event?.kind === 'stopped' && event.reason, (await driver.guest(guest.uuid))?.power], ['crashed', 'crashed']);
  });
});
