import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../house/running.ts';
import { openTwoHosts, type TwoHosts } from '../house/two-hosts.ts';
import { requires } from '../requires.ts';
import { smallDisk } from '../servers/small-disk.ts';

// Its moves are made while it is off, as far as that shows the same: each boot takes seconds.
describe('a server is moved, resized, shelved and evacuated between two hosts', {
  skip: requires('qemu', 'tiny-image', 'rabbitmq'),
}, () => {
  let two: TwoHosts;
  let id: string;
  const act = (body: object) => two.act(id, body, 'admin');
  const enable = (host: string, yes: boolean) => two.service(host, yes ? { status: 'enabled' } : { status: 'disabled' });
  before(async () => {
    two = await openTwoHosts({ config: { DEFAULT: ['disk_allocation_ratio = 32'] } }); // for the host with the small disk
    id = await two.create('traveller', await two.tiny());
    await two.startHost('two');
    await two.login(id);
    await two.ssh(id, 'echo kept > /root/kept; sync');
  });
  after(() => two?.close());

  test('shelved on one host, unshelved on the other: its disk comes along', async () => {
    await act({ shelve: null });
    await two.reaches(id, 'SHELVED_OFFLOADED');
    assert.equal(two.emulators().length, 0);
    assert.deepEqual(await two.used(), { one: 0, two: 0 });
    await enable('one', false);
    await act({ unshelve: null });
    await two.reaches(id, 'ACTIVE');
    await enable('one', true);
    assert.equal(await two.hostOf(id), 'two');
    await two.login(id);
    assert.equal(await two.ssh(id, 'cat /root/kept'), 'kept');
    await two.ssh(id, 'echo more >> /root/kept; sync');
  });

  test('cold migration to a named host and confirmed; a resize is reverted, the next one confirmed: file, memory and disk are seen inside', async () => {
    await act({ 'os-stop': null });
    await two.reaches(id, 'SHUTOFF');
    const from = await two.hostOf(id);
    const to = from === 'one' ? 'two' : 'one';
    await act({ migrate: { host: to } });
    await two.reaches(id, 'VERIFY_RESIZE', 60_000);
    assert.equal(await two.hostOf(id), to);
    await act({ confirmResize: null });
    await two.reaches(id, 'SHUTOFF');
    await act({ resize: { flavorRef: '2' } });
    await two.reaches(id, 'VERIFY_RESIZE', 60_000);
    assert.equal(await two.hostOf(id), from);
    await act({ revertResize: null });
    const reverted = await two.reaches(id, 'SHUTOFF');
    assert.deepEqual([await two.hostOf(id), reverted.flavor.ram], [to, 512]);
    await act({ resize: { flavorRef: '2' } });
    await two.reaches(id, 'VERIFY_RESIZE', 60_000);
    await act({ confirmResize: null });
    await two.reaches(id, 'SHUTOFF');
    await act({ 'os-start': null });
    await two.reaches(id, 'ACTIVE');
    assert.equal(await two.hostOf(id), from);
    await two.login(id);
    assert.equal(await two.ssh(id, 'cat /root/kept'), 'kept\nmore');
    const [memory, disk] = (await two.ssh(id, "awk '/MemTotal/{print $2}' /proc/meminfo; cat /sys/block/vda/size")).split('\n').map(Number);
    assert.ok((memory ?? 0) > 1_800_000, `${memory} KiB`);
    assert.equal(disk, 20 * 2 ** 21);
    assert.deepEqual(await two.used(), { one: 0, two: 1 });
  });

  test('its host dies: evacuated it is made anew on the other; the old guest ends when its agent is back', async () => {
    await two.killHost('two');
    await two.service('two', { forced_down: true });
    await act({ evacuate: {} });
    await two.reaches(id, 'ACTIVE');
    assert.equal(await two.hostOf(id), 'one');
    assert.equal(two.emulators().length, 2, 'the old one still runs where nobody looks after it');
    await two.startHost('two');
    await waitFor(
      () => two.emulators().length === 1,
      30_000,
      () => 'the old guest is not put away',
    );
    await two.moveIs(id, 'completed');
    await two.service('two', { forced_down: false });
    await waitFor(
      async () => (await two.used()).two === 0,
      30_000,
      () => 'the claim of the dead host is not given back',
    );
    await two.login(id);
    assert.equal(await two.ssh(id, 'cat /root/kept 2>/dev/null; hostname'), 'traveller', 'it was made of its image');
  });

  test('a host whose disk is full takes nothing, running or off: told so, and the server is as it was', {
    skip: requires('mount'),
  }, async () => {
    const disk = smallDisk(1300); // what the host offers at its start; then others take it
    try {
      const three = await two.startHost('three', { dataDir: disk.dir });
      disk.fill();
      const left = () => globSync(join(three.dataDir, '**', 'instances', '*', '*')).filter((file) => /disk|guest\.json/.test(file));
      const intact = async (why: RegExp) => {
        const [move] = await two.migrations(id);
        assert.deepEqual([move.status, move.dest_compute], ['error', 'three'], JSON.stringify(move));
        const server = await two.show(id);
        assert.match(await two.lastError(id), why);
        assert.equal(server['OS-EXT-SRV-ATTR:host'], 'one');
        assert.equal((await two.used()).three, 0);
        assert.deepEqual(left(), []);
      };
      const pid = two.emulators()[0]?.pid;
      await act({ 'os-migrateLive': { host: 'three', block_migration: 'auto' } });
      await two.reaches(id, 'ACTIVE');
      await intact(/not enough disk space/);
      assert.deepEqual(
        two.emulators().map((one) => one.pid),
        [pid],
      );
      assert.equal(await two.ssh(id, 'touch /root/goes-on && sync && ls /root/goes-on'), '/root/goes-on');
      await act({ migrate: { host: 'three' } });
      await two.reaches(id, 'ACTIVE');
      await intact(/not enough disk space/);
      disk.empty();
      await act({ 'os-migrateLive': { host: 'three', block_migration: 'auto' } });
      await two.moveIs(id, 'completed');
      await two.reaches(id, 'ACTIVE');
      assert.equal(await two.hostOf(id), 'three');
    } finally {
      await two.killHost('three');
      for (const { pid, text } of two.emulators()) if (text.includes(disk.dir)) process.kill(pid, 'SIGKILL');
      disk.remove();
    }
  });
});
