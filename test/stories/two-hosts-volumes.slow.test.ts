import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { volumeClient } from '../../src/clients/volume.ts';
import { waitFor } from '../house/running.ts';
import { openTwoHosts, type TwoHosts } from '../house/two-hosts.ts';
import { requires } from '../requires.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form
type Any = any;

describe('two hosts with one folder for disks, and a volume', { skip: requires('qemu', 'tiny-image', 'rabbitmq') }, () => {
  let two: TwoHosts;
  let common: string;
  let id: string;
  let volume: string;
  /** The guest's name for a volume; empty when it has none by that id. */
  const find = (volumeId: string) => two.ssh(id, `grep -l ${volumeId.slice(0, 20)} /sys/block/*/serial | cut -d/ -f4; true`);
  const volumes = async () => volumeClient((await two.client('demo')).volume);
  const makeVolume = async (sizeGiB: number) => {
    const demo = await two.client('demo');
    const projectId = (await demo.identity.ask<Any>('GET', '/v3/auth/projects')).body.projects[0].id;
    const { id: made } = await (await volumes()).create({ projectId, sizeGiB, name: 'data' });
    await volumeIs(made, 'available');
    return made;
  };
  const volumeIs = (volumeId: string, status: string) =>
    waitFor(
      async () => (await (await volumes()).show(volumeId)).status === status,
      60_000,
      () => `volume ${volumeId} is not ${status}\n${two.house.output().slice(-800)}`,
      50,
    );
  const sees = async (what: string, look: () => Promise<string>, wanted: string) => {
    let seen = '';
    await waitFor(
      async () => {
        seen = await look();
        return seen === wanted;
      },
      30_000,
      () => `${what}: ${seen} instead of ${wanted}`,
      200,
    );
  };
  before(async () => {
    common = await mkdtemp(join(tmpdir(), 'kilonova-common-'));
    two = await openTwoHosts({ config: { DEFAULT: [`instances_path = ${common}`] } });
    id = await two.create('sharer', await two.tiny());
    await two.startHost('two');
    volume = await makeVolume(1);
    await two.login(id);
    await two.ask('demo', 'POST', `/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } });
    await volumeIs(volume, 'in-use');
    await two.ssh(id, 'echo kept > /root/kept; sync');
  });
  after(async () => {
    await two?.close();
    await rm(common, { recursive: true, force: true });
  });

  test('live: only memory goes, the disk and the volume are the same ones', async () => {
    await sees('the volume', async () => ((await find(volume)) === '' ? '' : 'there'), 'there');
    const name = await find(volume);
    await two.ssh(id, `printf written | dd of=/dev/${name} conv=fsync 2>/dev/null`);
    const uptime = await two.uptime(id);
    await two.act(id, { 'os-migrateLive': { host: 'two', block_migration: 'auto' } }, 'admin');
    await two.moveIs(id, 'completed');
    await two.reaches(id, 'ACTIVE');
    assert.equal(await two.hostOf(id), 'two');
    assert.ok((await two.uptime(id)) > uptime);
    assert.equal(await two.ssh(id, `cat /root/kept; head -c 7 /dev/${name}`), 'kept\nwritten');
    assert.ok(readdirSync(join(common, id)).includes('disk'));
    await waitFor(
      () => readdirSync(join(common, id)).filter((file) => file.startsWith('.host-')).length === 1,
      30_000,
      () => 'the old host still has a part in the disks',
    );
  });

  test('a volume grows under its guest, and another takes its place with all that is in it', async () => {
    const name = await find(volume);
    await (await two.client('demo')).volume.ask('POST', `/volumes/${volume}/action`, {
      body: { 'os-extend': { new_size: 2 } },
      headers: { 'openstack-api-version': 'volume 3.42' },
      expect: [202],
    });
    await sees('its size', () => two.ssh(id, `cat /sys/block/${name}/size`), String(2 * 2 ** 21));
    await volumeIs(volume, 'in-use');
    const next = await makeVolume(3);
    const admin = (await two.client('admin')).volume;
    await admin.ask('POST', `/volumes/${volume}/action`, { body: { 'os-reset_status': { migration_status: 'migrating' } }, expect: [202] });
    await two.ask('admin', 'PUT', `/servers/${id}/os-volume_attachments/${volume}`, { volumeAttachment: { volumeId: next } });
    await volumeIs(volume, 'available');
    await volumeIs(next, 'in-use');
    await sees('its new size', () => two.ssh(id, `cat /sys/block/${name}/size`), String(3 * 2 ** 21));
    assert.equal(await two.ssh(id, `echo 3 > /proc/sys/vm/drop_caches; head -c 7 /dev/${name}`), 'written');
    await two.ask('demo', 'DELETE', `/servers/${id}/os-volume_attachments/${next}`);
    await volumeIs(next, 'available');
    await sees('the disk', () => two.ssh(id, `ls /sys/block | grep -c ${name}; true`), '0');
  });

  test('its host dies, guest and all: evacuated it has the disk it had', async () => {
    await two.killHost('two');
    for (const { pid } of two.emulators()) process.kill(pid, 'SIGKILL');
    await two.service('two', { forced_down: true });
    await two.act(id, { evacuate: {} }, 'admin');
    await two.reaches(id, 'ACTIVE');
    await two.login(id);
    assert.equal(await two.ssh(id, 'cat /root/kept'), 'kept');
    await two.startHost('two');
    await two.ask('demo', 'DELETE', `/servers/${id}`);
    await waitFor(
      () => two.emulators().length === 0,
      60_000,
      () => 'an emulator is left',
    );
  });
});
