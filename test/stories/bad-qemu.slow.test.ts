import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Client, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { smallDisk } from '../servers/small-disk.ts';

const BOOT_MS = 150_000;

interface Seen {
  readonly id: string;
  readonly status: string;
  readonly fault?: { readonly message: string };
  readonly 'OS-EXT-STS:power_state': number;
}
const find = async (client: Client, id: string): Promise<Seen | undefined> => {
  const answer = await client.compute.ask<{ server?: Seen }>('GET', `/servers/${id}`, { expect: [200, 404] });
  return answer.body.server;
};
const become = (client: Client, id: string, status: string | undefined, ms = 60_000) =>
  waitFor(
    async () => {
      const server = await find(client, id);
      if (server?.status === 'ERROR' && status !== 'ERROR' && status !== undefined) throw new Error(server.fault?.message);
      return server?.status === status;
    },
    ms,
    () => `${id} does not become ${status}`,
    50,
  );
const act = (client: Client, id: string, body: object) => client.compute.ask('POST', `/servers/${id}/action`, { body });
const consoleOf = async (client: Client, id: string) =>
  (await client.compute.ask<{ output: string }>('POST', `/servers/${id}/action`, { body: { 'os-getConsoleOutput': {} } })).body.output;
const create = async (client: Client, image: string) => {
  const images = (
    await client.image.ask<{ images: { id: string; kilonova_placeholder?: string }[] }>('GET', `/v2/images?name=${image}&status=active`)
  ).body.images;
  const imageRef = images.find((one) => one.kilonova_placeholder === undefined)?.id ?? '';
  const flavors = (await client.compute.ask<{ flavors: { id: string; name: string }[] }>('GET', '/flavors')).body.flavors;
  const made = await client.compute.ask<{ server: { id: string } }>('POST', '/servers', {
    body: { server: { name: 'guest', imageRef, flavorRef: flavors.find((one) => one.name === 'k1.nano')?.id, networks: 'auto' } },
    headers: { 'openstack-api-version': 'compute 2.37' },
  });
  return { id: made.body.server.id, imageRef };
};
/** The emulator's process of a guest. */
const emulatorOf = (uuid: string) =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
      return words.startsWith('/') && words.includes('qemu-system') && words.includes(uuid);
    } catch {
      return false; // it ended meanwhile
    }
  });

test('kill -9 of the cloud: a real guest runs on and is adopted; its console, its power and its end still work', {
  skip: requires('qemu', 'tiny-image'),
}, async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'kn-adopt-'));
  let house = await startHouse({ args: ['--hypervisor', 'qemu'], dataDir });
  let id = '';
  try {
    let demo = await house.as('demo');
    await waitFor(
      async () =>
        (await demo.image.ask<{ images: { kernel_id?: string }[] }>('GET', '/v2/images?name=tiny&status=active')).body.images.some(
          (one) => one.kernel_id,
        ),
      60_000,
      () => `the tiny image is not offered:\n${house.output()}`,
    );
    ({ id } = await create(demo, 'tiny'));
    await become(demo, id, 'ACTIVE');
    const [pid] = emulatorOf(id);
    assert.ok(pid, 'its emulator runs');
    await house.kill();
    assert.deepEqual(emulatorOf(id), [pid], 'the guest outlives the cloud');
    house = await startHouse({ args: ['--hypervisor', 'qemu'], dataDir });
    demo = await house.as('demo');
    assert.deepEqual(emulatorOf(id), [pid]);
    const server = await find(demo, id);
    assert.deepEqual([server?.status, server?.['OS-EXT-STS:power_state']], ['ACTIVE', 1]);
    await waitFor(
      async () => /^\S+ login: $/m.test(await consoleOf(demo, id)),
      BOOT_MS,
      () => 'no login prompt after the cloud came back',
      500,
    );
    await act(demo, id, { 'os-stop': null });
    await become(demo, id, 'SHUTOFF', 90_000);
    assert.deepEqual(emulatorOf(id), []);
    assert.equal((await find(demo, id))?.['OS-EXT-STS:power_state'], 4);
    await act(demo, id, { 'os-start': null });
    await become(demo, id, 'ACTIVE');
    assert.equal(emulatorOf(id).length, 1);

    // One that dies while nobody looks is told as it is.
    await house.kill();
    const [second] = emulatorOf(id);
    process.kill(Number(second), 'SIGKILL');
    house = await startHouse({ args: ['--hypervisor', 'qemu'], dataDir });
    demo = await house.as('demo');
    await become(demo, id, 'SHUTOFF');
    await act(demo, id, { 'os-start': null });
    await become(demo, id, 'ACTIVE');
    await house.kill();
    house = await startHouse({ args: ['--hypervisor', 'qemu'], dataDir });
    demo = await house.as('demo');
    await demo.compute.ask('DELETE', `/servers/${id}`);
    await become(demo, id, undefined);
    assert.deepEqual(emulatorOf(id), []);
    const left = readdirSync(join(dataDir, 'agent'), { recursive: true }).filter((name) => String(name).includes(id));
    assert.deepEqual(left, [], 'its files are gone');
    assert.equal(await house.stop(), 0, house.output());
  } finally {
    await house.remove();
    if (id !== '') for (const pid of emulatorOf(id)) process.kill(Number(pid), 'SIGKILL');
  }
});

test('no room for an image, and an image whose bytes changed: the server is in ERROR with the reason, nothing is left on the host', {
  skip: requires('qemu', 'mount'),
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kn-room-'));
  const disk = smallDisk(1200); // what the host reports at its start; then it shrinks
  try {
    const image = join(dir, 'large.qcow2');
    execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', image, '64M']);
    truncateSync(image, 40 * 1024 * 1024);
    const config = join(dir, 'nova.conf');
    const state = join(disk.dir, 'state');
    mkdirSync(state);
    writeFileSync(config, `[DEFAULT]\nstate_path = ${state}\n`);
    const made: string[] = [];
    const house = await startHouse({ args: ['--hypervisor', 'qemu', '--image', image, '--config', config], dataDir: join(dir, 'data') });
    try {
      const demo = await house.as('demo');
      disk.resize(24);
      const remains = () => readdirSync(state, { recursive: true }).map(String);
      const first = await create(demo, 'large');
      await become(demo, first.id, 'ERROR');
      assert.match((await find(demo, first.id))?.fault?.message ?? '', new RegExp(`image ${first.imageRef} needs 41943040 bytes`));
      assert.deepEqual(
        remains().filter((name) => name.includes(first.imageRef) || name.includes(first.id)),
        [],
      );

      const small = join(dir, 'small');
      execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', small, '64M']);
      const uploaded = await demo.image.ask<{ id: string }>('POST', '/v2/images', {
        body: { name: 'small', disk_format: 'qcow2', container_format: 'bare' },
      });
      const upload = await fetch(`${house.base}/image/v2/images/${uploaded.body.id}/file`, {
        method: 'PUT',
        headers: { 'x-auth-token': demo.token, 'content-type': 'application/octet-stream' },
        body: readFileSync(small),
      });
      assert.equal(upload.status, 204, await upload.text());
      const stored = join(house.dataDir, 'images', uploaded.body.id);
      const bytes = readFileSync(stored);
      const changed = Buffer.from(bytes);
      changed[bytes.length - 1] = 255;
      writeFileSync(stored, changed);
      const second = await create(demo, 'small');
      await become(demo, second.id, 'ERROR');
      assert.match((await find(demo, second.id))?.fault?.message ?? '', new RegExp(`${uploaded.body.id}.*sha512`));
      assert.deepEqual(
        remains().filter((name) => name.includes(uploaded.body.id) || name.includes(second.id)),
        [],
      );

      // The right bytes again: the same image boots.
      writeFileSync(stored, bytes);
      const third = await create(demo, 'small');
      made.push(third.id);
      await become(demo, third.id, 'ACTIVE');
      for (const { id } of [first, second, third]) {
        await demo.compute.ask('DELETE', `/servers/${id}`);
        await become(demo, id, undefined);
        assert.deepEqual(emulatorOf(id), []);
      }
      assert.equal(await house.stop(), 0, house.output());
    } finally {
      await house.remove();
      for (const id of made) for (const pid of emulatorOf(id)) process.kill(Number(pid), 'SIGKILL');
    }
  } finally {
    disk.remove();
    rmSync(dir, { recursive: true, force: true });
    assert.equal(existsSync(dir), false);
  }
});
