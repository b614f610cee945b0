import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { volumeClient } from '../../src/clients/volume.ts';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { headOf } from '../support/head-of.ts';

// A guest that boots from an encrypted volume and takes another one: two boots.
// biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form
type Any = any;
const run = promisify(execFile);
const AT = { 'openstack-api-version': 'compute 2.89' };
const BOOT_MS = 200_000;
const TEXT = 'This was written by the guest and is read by nobody else.';

describe('encrypted volumes and a real guest', { skip: requires('qemu', 'tiny-image') }, () => {
  let house: House;
  let demo: Client;
  let key: string;
  let id = '';
  let root: string;
  let data: string;
  const ask = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<Any> =>
    (await demo.compute.ask<Any>(method, path, { headers: AT, ...(body ? { body } : {}) })).body;
  const reaches = async (status: string, ms = 120_000) => {
    let seen: Any;
    await waitFor(
      async () => {
        seen = (await ask('GET', `/servers/${id}`)).server;
        if (seen.status === 'ERROR' && status !== 'ERROR') throw new Error(JSON.stringify(seen.fault));
        return seen.status === status && seen['OS-EXT-STS:task_state'] === null;
      },
      ms,
      () => `not ${status}: ${seen?.status}\n${house.output().slice(-1500)}`,
      50,
    );
  };
  const prompts = async () => {
    const { output } = await ask('POST', `/servers/${id}/action`, { 'os-getConsoleOutput': {} });
    return { count: output.match(/^\S+ login: $/gm)?.length ?? 0, end: output.slice(-600) };
  };
  const login = async (times: number) => {
    let seen = { count: 0, end: '' };
    await waitFor(
      async () => {
        seen = await prompts();
        return seen.count >= times;
      },
      BOOT_MS,
      () => `no login prompt: ${seen.end}`,
      200,
    );
  };
  const ssh = async (words: string) => {
    const [record = ''] = globSync(join(house.dataDir, '**', 'instances', id, 'guest.json'));
    const port = JSON.parse(readFileSync(record, 'utf8')).forwards[0].hostPort;
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'ConnectTimeout=20', 'LogLevel=ERROR'];
    const args = ['-p', String(port), '-i', key, ...options.flatMap((option) => ['-o', option]), 'root@127.0.0.1', words];
    return (await run('ssh', args, { timeout: 60_000 })).stdout.trim();
  };
  const volumeIs = async (volume: string, status: string) => {
    let seen = '';
    await waitFor(
      async () => {
        seen = (await volumeClient(demo.volume).show(volume)).status;
        if (seen.startsWith('error')) throw new Error(`volume ${volume} is ${seen}\n${house.output().slice(-1500)}`);
        return seen === status;
      },
      120_000,
      () => `volume ${volume} is ${seen}, not ${status}\n${house.output().slice(-1500)}`,
      100,
    );
  };
  const diskOf = (volume: string) => ssh(`grep -l ${volume.slice(0, 20)} /sys/block/*/serial | cut -d/ -f4; true`);
  const seenInside = async (volume: string) => {
    let name = '';
    await waitFor(
      async () => {
        name = await diskOf(volume);
        return name !== '';
      },
      60_000,
      () => 'the guest does not see its volume',
      200,
    );
    return name;
  };
  const fileOf = (volume: string) => join(house.dataDir, 'volumes', `volume-${volume}`);
  /** Whether a file holds these bytes anywhere, block by block. */
  const holds = (file: string, text: string): boolean => {
    const handle = openSync(file, 'r');
    const block = Buffer.alloc(1024 * 1024 + text.length);
    for (let at = 0; ; at += 1024 * 1024) {
      const bytes = readSync(handle, block, 0, block.length, at);
      if (bytes === 0) return false;
      if (block.subarray(0, bytes).includes(text)) return true;
    }
  };

  before(async () => {
    house = await startHouse({ args: ['--hypervisor', 'qemu'] });
    demo = await house.as('demo');
    const admin = await house.as('admin');
    const made = await admin.volume.ask<Any>('POST', '/types', { body: { volume_type: { name: 'locked' } } });
    const encryption = { provider: 'luks', cipher: 'aes-xts-plain64', key_size: 256, control_location: 'front-end' };
    await admin.volume.ask('POST', `/types/${made.body.volume_type.id}/encryption`, { body: { encryption } });
    key = join(house.dataDir, 'story.key');
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await demo.compute.ask('POST', '/os-keypairs', {
      body: { keypair: { name: 'story', public_key: readFileSync(`${key}.pub`, 'utf8').trim() } },
    });
    let image: Any;
    await waitFor(
      async () => {
        const { images } = (await demo.image.ask<Any>('GET', '/v2/images?status=active')).body;
        image = images.find((one: Any) => one.name === 'tiny' && one.kilonova_placeholder === undefined);
        return image !== undefined;
      },
      240_000,
      () => `the tiny image was not offered: ${house.output().slice(-800)}`,
      200,
    );
    const projectId = (await demo.identity.ask<Any>('GET', '/v3/auth/projects')).body.projects[0].id;
    const volumes = volumeClient(demo.volume);
    root = (await volumes.create({ projectId, sizeGiB: 1, name: 'root', type: 'locked', imageId: image.id })).id;
    data = (await volumes.create({ projectId, sizeGiB: 1, name: 'data', type: 'locked' })).id;
    await volumeIs(root, 'available');
    await volumeIs(data, 'available');
    const boot = { source_type: 'volume', uuid: root, destination_type: 'volume', boot_index: 0 };
    const server = {
      name: 'locked',
      flavorRef: '1',
      networks: 'auto',
      key_name: 'story',
      config_drive: true,
      block_device_mapping_v2: [boot],
    };
    id = (await ask('POST', '/servers', { server })).server.id;
    await reaches('ACTIVE', 180_000);
    await login(1);
  });
  after(async () => {
    if (id) await ask('DELETE', `/servers/${id}`).catch(() => undefined);
    await waitFor(
      () => globSync(join(house.dataDir, '**', 'qemu.pid')).length === 0,
      30_000,
      () => 'an emulator is left',
    ).finally(() => house?.remove());
  });

  test('what the guest writes on its root and on a volume it was given is not in their files; no key is anywhere else', async () => {
    await ask('POST', `/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: data } });
    await volumeIs(data, 'in-use');
    const name = await seenInside(data);
    assert.equal(Number(await ssh(`cat /sys/block/${name}/size`)), 2 ** 21, 'as large as was asked for');
    await ssh(`printf '${TEXT}' > /root/secret; printf '${TEXT}' | dd of=/dev/${name} conv=fsync 2>/dev/null; sync`);
    for (const volume of [root, data]) {
      assert.equal(headOf(fileOf(volume), 4), 'LUKS');
      assert.equal(holds(fileOf(volume), TEXT), false);
    }
    const [pid = ''] = globSync(join(house.dataDir, '**', 'qemu.pid')).map((file) => readFileSync(file, 'utf8').trim());
    assert.doesNotMatch(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), /[0-9a-f]{64}/);
    assert.deepEqual(globSync(join(house.dataDir, '**', 'instances', id, 'key.*')), []);
    assert.doesNotMatch(house.output(), /"secret"/);
  });

  test('it grows under the guest, goes and comes back with what was written', async () => {
    await volumeClient(demo.volume).show(data);
    await demo.volume.ask('POST', `/volumes/${data}/action`, {
      body: { 'os-extend': { new_size: 2 } },
      headers: { 'openstack-api-version': 'volume 3.42' },
    });
    const name = await seenInside(data);
    await waitFor(
      async () => Number(await ssh(`cat /sys/block/${name}/size`)) === 2 ** 22,
      60_000,
      () => 'the guest does not see it grow',
      200,
    );
    await volumeIs(data, 'in-use');
    await ask('DELETE', `/servers/${id}/os-volume_attachments/${data}`);
    await volumeIs(data, 'available');
    assert.equal(await diskOf(data), '');
    await ask('POST', `/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: data } });
    await volumeIs(data, 'in-use');
    const again = await seenInside(data);
    assert.equal(await ssh(`dd if=/dev/${again} bs=1 count=${TEXT.length} 2>/dev/null`), TEXT);
  });

  test('turned off and on it opens both again', async () => {
    await ask('POST', `/servers/${id}/action`, { 'os-stop': null });
    await reaches('SHUTOFF');
    const before = (await prompts()).count;
    await ask('POST', `/servers/${id}/action`, { 'os-start': null });
    await reaches('ACTIVE');
    await login(before + 1);
    assert.equal(await ssh('cat /root/secret'), TEXT);
    const name = await seenInside(data);
    assert.equal(await ssh(`dd if=/dev/${name} bs=1 count=${TEXT.length} 2>/dev/null`), TEXT);
  });
});
