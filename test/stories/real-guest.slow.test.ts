import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { volumeClient } from '../../src/clients/volume.ts';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { headOf } from '../support/head-of.ts';

// The life of a server with a real guest, through the whole house: API, conductor, agent, QEMU, image and volume service.
// biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form
type Any = any;
const run = promisify(execFile);
const AT = { 'openstack-api-version': 'compute 2.89' };
const BOOT_MS = 150_000;

describe('a server on QEMU through the whole house', { skip: requires('qemu', 'tiny-image') }, () => {
  let house: House;
  let demo: Client;
  let id: string;
  let key: string;
  const made: string[] = [];
  const ask = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object): Promise<Any> =>
    (await demo.compute.ask<Any>(method, path, { headers: AT, ...(body ? { body } : {}) })).body;
  const act = (server: string, body: object) => ask('POST', `/servers/${server}/action`, body);
  const show = async (server: string): Promise<Any> => (await ask('GET', `/servers/${server}`)).server;
  const reaches = async (server: string, status: string, ms = 60_000) => {
    let seen: Any;
    await waitFor(
      async () => {
        seen = await show(server);
        return seen.status === status && seen['OS-EXT-STS:task_state'] === null;
      },
      ms,
      () =>
        `not ${status}: ${seen?.status} ${seen?.['OS-EXT-STS:task_state']} ${JSON.stringify(seen?.fault)}\n${house.output().slice(-1500)}`,
      50,
    );
    return seen;
  };
  const consoleOf = async (server: string): Promise<string> => (await act(server, { 'os-getConsoleOutput': {} })).output;
  const login = async (server: string) => {
    let text = '';
    await waitFor(
      async () => {
        text = await consoleOf(server);
        return /^\S+ login: $/m.test(text);
      },
      BOOT_MS,
      () => `no login prompt: ${text.slice(-800)}`,
      200,
    );
  };
  const recordOf = (server: string): Any => {
    const [file = ''] = globSync(join(house.dataDir, '**', 'instances', server, 'guest.json'));
    return JSON.parse(readFileSync(file, 'utf8'));
  };
  const ssh = async (server: string, words: string) => {
    const port = recordOf(server).forwards[0].hostPort;
    const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'ConnectTimeout=20', 'LogLevel=ERROR'];
    const args = ['-p', String(port), '-i', key, ...options.flatMap((option) => ['-o', option]), 'root@127.0.0.1', words];
    return (await run('ssh', args, { timeout: 60_000 })).stdout.trim();
  };
  const create = async (name: string, imageRef: string) => {
    const server = { name, imageRef, flavorRef: '1', networks: 'auto', key_name: 'story', config_drive: true };
    const { id: uuid } = (await ask('POST', '/servers', { server })).server;
    made.push(uuid);
    await reaches(uuid, 'ACTIVE', 120_000);
    return uuid as string;
  };
  const emulators = () =>
    globSync('/proc/[0-9]*/cmdline').filter((file) => {
      try {
        return readFileSync(file, 'utf8').includes(`${house.dataDir}/`) && readFileSync(file, 'utf8').includes('qemu-system');
      } catch {
        return false; // it ended meanwhile
      }
    });

  before(async () => {
    house = await startHouse({ args: ['--hypervisor', 'qemu'] });
    demo = await house.as('demo');
    key = join(house.dataDir, 'story.key');
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await demo.compute.ask('POST', '/os-keypairs', {
      body: { keypair: { name: 'story', public_key: readFileSync(`${key}.pub`, 'utf8').trim() } },
    });
    let tiny: Any;
    await waitFor(
      async () => {
        const { images } = (await demo.image.ask<Any>('GET', '/v2/images?status=active')).body;
        tiny = images.find((image: Any) => image.name === 'tiny' && image.kilonova_placeholder === undefined);
        return tiny !== undefined;
      },
      240_000,
      () => `the tiny image was not offered: ${house.output().slice(-800)}`,
      200,
    );
    id = await create('story', tiny.id);
    await login(id);
  });
  after(async () => {
    for (const uuid of made) await demo?.compute.ask('DELETE', `/servers/${uuid}`, { headers: AT }).catch(() => undefined);
    await waitFor(
      () => emulators().length === 0,
      20_000,
      () => 'an emulator is left',
    ).finally(() => house?.remove());
  });

  test('pause and unpause, suspend and resume: the guest goes on where it was', async () => {
    const uptime = async () => Number((await ssh(id, 'cat /proc/uptime')).split(' ')[0]);
    const first = await uptime();
    await act(id, { pause: null });
    await reaches(id, 'PAUSED');
    await act(id, { unpause: null });
    await reaches(id, 'ACTIVE');
    await act(id, { suspend: null });
    await reaches(id, 'SUSPENDED');
    assert.equal(emulators().length, 0, 'its memory is on the disk');
    await act(id, { resume: null });
    await reaches(id, 'ACTIVE');
    assert.ok((await uptime()) > first, 'it was not booted again');
  });

  test('a volume is seen inside by its id, and gone after its detachment', async () => {
    const volumes = volumeClient(demo.volume);
    const projectId = (await demo.identity.ask<Any>('GET', '/v3/auth/projects')).body.projects[0].id;
    const volume = await volumes.create({ projectId, sizeGiB: 1, name: 'data' });
    const is = (status: string) =>
      waitFor(
        async () => (await volumes.show(volume.id)).status === status,
        60_000,
        () => `the volume is not ${status}\n${house.output().slice(-1500)}`,
        50,
      );
    await is('available');
    await ask('POST', `/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId: volume.id } });
    await is('in-use');
    const find = `grep -l ${volume.id.slice(0, 20)} /sys/block/*/serial | cut -d/ -f4; true`;
    let name = '';
    await waitFor(
      async () => {
        name = await ssh(id, find);
        return name !== '';
      },
      20_000,
      () => 'the guest does not see its volume',
      100,
    );
    assert.equal(Number(await ssh(id, `cat /sys/block/${name}/size`)), 2 ** 21);
    await ssh(id, `printf written | dd of=/dev/${name} conv=fsync 2>/dev/null`);
    await ask('DELETE', `/servers/${id}/os-volume_attachments/${volume.id}`);
    await is('available');
    assert.equal(await ssh(id, find), '');
    assert.equal(headOf(join(house.dataDir, 'volumes', `volume-${volume.id}`), 7), 'written');
  });

  test('a server booted from an image of this one has what was written', async () => {
    await ssh(id, 'echo kept > /root/kept; sync');
    const { image_id: image } = await act(id, { createImage: { name: 'copy' } });
    await waitFor(
      async () => (await demo.image.ask<Any>('GET', `/v2/images/${image}`)).body.status === 'active',
      120_000,
      () => `the image never became active\n${house.output().slice(-1500)}`,
      100,
    );
    await reaches(id, 'ACTIVE');
    const second = await create('second', image);
    await login(second);
    assert.equal(await ssh(second, 'cat /root/kept'), 'kept');
  });

  test('delete leaves nothing: no emulator, no disk', async () => {
    for (const uuid of made) await ask('DELETE', `/servers/${uuid}`);
    await waitFor(
      async () => (await ask('GET', '/servers')).servers.length === 0,
      60_000,
      () => 'a server is still listed',
    );
    assert.deepEqual(emulators(), []);
    const [instances = ''] = globSync(join(house.dataDir, '**', 'instances'));
    assert.deepEqual(await readdir(instances), []);
    made.splice(0);
  });
});
