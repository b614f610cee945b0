import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../house/running.ts';
import { openTwoHosts, type TwoHosts } from '../house/two-hosts.ts';
import { requires } from '../requires.ts';
import { openAuthority } from '../support/certificates.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form
type Any = any;

const slow = { libvirt: ['live_migration_bandwidth = 8'] };

describe('a running guest goes from host to host', { skip: requires('qemu', 'tiny-image', 'rabbitmq') }, () => {
  let two: TwoHosts;
  let certificates: string;
  let id: string;
  let uptime = 0;
  const live = () => two.act(id, { 'os-migrateLive': { host: null, block_migration: 'auto' } }, 'admin');
  /** The migration, once some of the memory has gone over. */
  const underWay = async (): Promise<Any> => {
    let seen: Any;
    await waitFor(
      async () => {
        seen = await two.migrationOf(id);
        return seen?.status === 'running' && seen.memory_processed_bytes > 0;
      },
      60_000,
      () => `no memory moves: ${JSON.stringify(seen)}`,
      20,
    );
    return seen;
  };
  /** It runs on that host as it did before, seen from inside. */
  const runsOn = async (host: string) => {
    await two.reaches(id, 'ACTIVE');
    assert.equal(await two.hostOf(id), host);
    const now = await two.uptime(id);
    assert.ok(now > uptime, `it was up for ${uptime} s before, and is for ${now} s`);
    uptime = now;
    assert.equal(await two.ssh(id, 'cat /run/memory /root/kept'), 'remembered\nkept');
    await waitFor(
      () => two.emulators().length === 1,
      20_000,
      () => `emulators are left: ${two.emulators().length}`,
    );
  };
  const toTwo = async () => {
    await live();
    await two.ask('admin', 'POST', `/servers/${id}/migrations/${(await underWay()).id}/action`, { force_complete: null });
    await two.moveIs(id, 'completed');
    await runsOn('two');
  };
  const nothingOn = (host: string) =>
    waitFor(
      async () => (await two.used())[host] === 0,
      30_000,
      () => `host ${host} does not have its claim back`,
      50,
    );
  before(async () => {
    certificates = await (await openAuthority()).writeHost(mkdtempSync(join(tmpdir(), 'kn-hosts-')), '127.0.0.1');
    // Slow from host one, so that there is time to do something about it.
    two = await openTwoHosts({
      one: slow,
      config: {
        libvirt: [
          'live_migration_permit_post_copy = true',
          'live_migration_inbound_addr = 127.0.0.1',
          'live_migration_with_native_tls = true',
        ],
        kilonova: ['migration_ports = 0', `tls_x509_cert_dir = ${certificates}`],
      },
    });
    id = await two.create('mover', await two.tiny());
    await two.startHost('two');
    await two.login(id);
    await two.ssh(id, 'echo remembered > /run/memory; echo kept > /root/kept; sync');
    uptime = await two.uptime(id);
  });
  after(async () => {
    await two?.close();
    rmSync(certificates, { recursive: true, force: true });
  });

  test('aborted: it stays, and the other host has its claim back', async () => {
    await live();
    const move = await underWay();
    assert.ok(move.memory_total_bytes >= move.memory_processed_bytes && move.disk_total_bytes > 0, JSON.stringify(move));
    await two.ask('admin', 'DELETE', `/servers/${id}/migrations/${move.id}`);
    await two.moveIs(id, 'cancelled');
    await runsOn('one');
    await nothingOn('two');
  });

  test('killed with its agent in the middle: the guest stays, the claim is given back, the next migration works', async () => {
    await live();
    await underWay();
    await two.killHost('two');
    await two.moveIs(id, 'error');
    const server = await two.reaches(id, 'ACTIVE');
    assert.match(
      JSON.stringify(server.fault ?? (await two.ask('admin', 'GET', `/servers/${id}/os-instance-actions`))),
      /other host|live-migration/,
    );
    await runsOn('one');
    await nothingOn('two');
    await two.startHost('two');
  });

  test('forced to its end: it runs there while the rest of its memory comes', async () => {
    await live();
    const move = await underWay();
    await two.ask('admin', 'POST', `/servers/${id}/migrations/${move.id}/action`, { force_complete: null });
    await two.moveIs(id, 'completed');
    await runsOn('two');
    await nothingOn('one');
    assert.equal(await two.ssh(id, 'timeout 10 wget -q -O - http://169.254.169.254/latest/meta-data/hostname'), 'mover.novalocal');
  });

  test('the agent that sends dies in the middle: the guest runs in one place, and the move has an end', async () => {
    await two.stopHost('two');
    await two.startHost('two', { config: slow });
    await live();
    await underWay();
    await two.killHost('two');
    await two.startHost('two');
    const { status } = await two.moveIs(id, 'completed', 'error');
    await runsOn(status === 'completed' ? 'one' : 'two');
    await nothingOn(status === 'completed' ? 'two' : 'one');
  });

  test('at full speed', async () => {
    if ((await two.hostOf(id)) === 'one') await toTwo();
    const began = performance.now();
    await live();
    await two.moveIs(id, 'completed');
    console.log(JSON.stringify({ figure: 'live-migration.api', totalMs: Math.round(performance.now() - began) }));
    await runsOn('one');
    await nothingOn('two');
  });

  test('an agent that dies leaves its guest running, and the next one knows it; what happens to it is noticed within a second', async () => {
    await toTwo();
    await two.killHost('two');
    assert.ok((await two.uptime(id)) > uptime);
    await two.startHost('two');
    const pid = two.emulators()[0]?.pid ?? 0;
    const killed = performance.now();
    process.kill(pid, 'SIGKILL');
    await two.reaches(id, 'SHUTOFF', 20_000);
    console.log(JSON.stringify({ figure: 'qemu.killed-noticed', ms: Math.round(performance.now() - killed) }));
    assert.equal((await two.show(id))['OS-EXT-STS:power_state'], 6);
    await two.act(id, { 'os-start': null });
    await two.reaches(id, 'ACTIVE');
    assert.equal(await two.hostOf(id), 'two');
    await waitFor(
      () =>
        two.ssh(id, 'true').then(
          () => true,
          () => false,
        ),
      180_000,
      () => 'nobody can log in',
      500,
    );
    await two.ssh(id, 'poweroff');
    await two.reaches(id, 'SHUTOFF');
    assert.equal((await two.show(id))['OS-EXT-STS:power_state'], 4, 'it turned itself off');
  });

  test('two agents of one name, or in one data dir: the second is told so and ends', async () => {
    const namesake = two.beginHost('two', { as: 'namesake' });
    assert.notEqual(await namesake.ended, 0);
    assert.match(namesake.output(), /host name two .* is alive/);
    const twin = two.beginHost('two', { as: 'twin', dataDir: two.hosts.get('two')!.dataDir });
    assert.notEqual(await twin.ended, 0);
    assert.match(twin.output(), /Another compute agent uses/);
    assert.equal(two.hosts.get('two')!.child.exitCode, null);
  });

  describe('a host dies while the rest of the memory follows a guest that runs on the other one', () => {
    const emulators = (count: number) =>
      waitFor(
        () => two.emulators().length === count,
        40_000,
        () => `${two.emulators().length} emulators, not ${count}`,
        50,
      );
    /** It runs there, and not all of its memory has come. */
    const inPart = async (to: string) => {
      await live();
      const move = await underWay();
      await two.ask('admin', 'POST', `/servers/${id}/migrations/${move.id}/action`, { force_complete: null });
      const place = to === 'one' ? two.house.dataDir : (two.hosts.get(to)?.dataDir ?? '');
      await waitFor(
        () => two.recordOf(id, place)?.arriving === true,
        30_000,
        () => `it does not run on ${to}: ${JSON.stringify(two.recordOf(id, place))}`,
      );
      // The host it comes from knows it too: it looks at the memory again, after a word that may have been on its way.
      const seen = new Set<number>();
      await waitFor(
        async () => seen.add((await two.migrationOf(id))?.memory_processed_bytes).size > 2,
        30_000,
        () => `no memory follows: ${[...seen]}`,
      );
      assert.equal(two.recordOf(id, place)?.arriving, true, 'all of its memory has come');
    };
    const lostOn = async (host: string, why: RegExp) => {
      await two.moveIs(id, 'error');
      const server = await two.reaches(id, 'ERROR', 60_000);
      assert.equal(server['OS-EXT-SRV-ATTR:host'], host);
      assert.match(server.fault?.message, why);
      await nothingOn(host === 'one' ? 'two' : 'one');
    };

    test('the one that sends: ERROR on the other one, nothing is left of it, and a hard reboot starts it there', async () => {
      await two.stopHost('two');
      await two.startHost('two', { config: { libvirt: ['live_migration_bandwidth = 1'] } });
      await two.act(id, { 'os-start': null });
      await two.reaches(id, 'ACTIVE');
      await inPart('one');
      await two.killHost('two');
      await lostOn('one', /memory of the guest was lost .* hard reboot/);
      await two.startHost('two');
      await emulators(0);
      await two.act(id, { reboot: { type: 'HARD' } });
      await two.reaches(id, 'ACTIVE');
      assert.equal(await two.hostOf(id), 'one');
      await two.login(id);
      assert.equal(await two.ssh(id, 'cat /root/kept'), 'kept');
    });

    test('the one that takes: ERROR there, and a delete leaves nothing', async () => {
      await inPart('two');
      await two.killHost('two');
      await lostOn('two', /memory of the guest was lost .* hard reboot/);
      await two.startHost('two');
      await emulators(0);
      await two.ask('demo', 'DELETE', `/servers/${id}`);
      await nothingOn('two');
      const { ports } = (await (await two.client('admin')).network.ask<Any>('GET', `/v2.0/ports?device_id=${id}`)).body;
      assert.deepEqual(ports, []);
    });
  });
});
