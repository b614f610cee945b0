import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';

// Snapshots, backups, rescue, rebuild and soft delete with the true image, network and identity services.
interface Shown {
  readonly status: string;
  readonly addresses: object;
  readonly image: { readonly id: string };
  readonly 'OS-EXT-STS:task_state': string | null;
}
let house: House;
let demo: Client;
let dir: string;
let id: string;
const at = { headers: { 'openstack-api-version': 'compute 2.104' } };

const show = async (server = id): Promise<Shown> =>
  (await demo.compute.ask<{ server: Shown }>('GET', `/servers/${server}`, at)).body.server;
const reaches = async (status: string, server = id) => {
  let seen: Shown | undefined;
  await waitFor(
    async () => {
      seen = await show(server);
      return seen.status === status && seen['OS-EXT-STS:task_state'] === null;
    },
    20_000,
    () => `not ${status}: ${JSON.stringify(seen)}`,
  );
  return seen;
};
const act = async <T = unknown>(body: object): Promise<T> =>
  (await demo.compute.ask<T>('POST', `/servers/${id}/action`, { ...at, body })).body;
/** What the image service says of an image; {} when it is gone. */
const image = (ref: string): Promise<Record<string, unknown>> =>
  demo.image.ask<Record<string, unknown>>('GET', `/v2/images/${ref}`).then(
    ({ body }) => body,
    () => ({}),
  );

before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kilonova-snapshots-'));
  const config = join(dir, 'nova.conf');
  writeFileSync(config, '[DEFAULT]\nreclaim_instance_interval = 3600\n');
  house = await startHouse({ args: ['--hypervisor', 'fake', '--config', config] });
  demo = await house.as('demo');
  const { images } = (await demo.image.ask<{ images: { id: string }[] }>('GET', '/v2/images')).body;
  const { flavors } = (await demo.compute.ask<{ flavors: { id: string }[] }>('GET', '/flavors')).body;
  const server = { name: 'story', imageRef: images[0]?.id, flavorRef: flavors[0]?.id, networks: 'auto' };
  id = (await demo.compute.ask<{ server: { id: string } }>('POST', '/servers', { ...at, body: { server } })).body.server.id;
  await reaches('ACTIVE');
});
after(async () => {
  await house.remove();
  rmSync(dir, { recursive: true });
});

test('a snapshot lands in the image service as the user’s own, with its data', async () => {
  const { image_id } = await act<{ image_id: string }>({ createImage: { name: 'copy', metadata: { mine: 'yes' } } });
  await waitFor(
    async () => (await image(image_id)).status === 'active',
    20_000,
    () => 'it never became active',
  );
  const made = await image(image_id);
  assert.deepEqual(
    [made.name, made.visibility, made.image_type, made.instance_uuid, made.mine, made.container_format],
    ['copy', 'private', 'snapshot', id, 'yes', 'bare'],
  );
  assert.ok(Number(made.size) > 0);
  await reaches('ACTIVE');
  await act({ rebuild: { imageRef: image_id } });
  const { addresses } = await show();
  const rebuilt = await reaches('ACTIVE');
  assert.equal(rebuilt?.image.id, image_id);
  assert.deepEqual(rebuilt?.addresses, addresses);
  await act({ rescue: { rescue_image_ref: image_id } });
  await reaches('RESCUE');
  await act({ unrescue: null });
  await reaches('ACTIVE');
});

test('of backups only the newest of a type are kept', async () => {
  const made: string[] = [];
  for (let round = 0; round < 3; round++) {
    made.push((await act<{ image_id: string }>({ createBackup: { name: `b${round}`, backup_type: 'daily', rotation: 2 } })).image_id);
    await reaches('ACTIVE');
  }
  const statuses = await Promise.all(made.map(async (ref) => (await image(ref)).status));
  assert.deepEqual(statuses, [undefined, 'active', 'active']);
});

test('a snapshot whose disk cannot be read leaves no image', async () => {
  const before = (await demo.image.ask<{ images: object[] }>('GET', '/v2/images')).body.images.length;
  const { images } = (await demo.image.ask<{ images: { id: string }[] }>('GET', '/v2/images')).body;
  const { flavors } = (await demo.compute.ask<{ flavors: { id: string }[] }>('GET', '/flavors')).body;
  const server = {
    name: 'odd',
    imageRef: images.at(-1)?.id,
    flavorRef: flavors[0]?.id,
    networks: 'auto',
    metadata: { 'fake:snapshot': 'fail' },
  };
  const odd = (await demo.compute.ask<{ server: { id: string } }>('POST', '/servers', { ...at, body: { server } })).body.server.id;
  await reaches('ACTIVE', odd);
  await demo.compute.ask('POST', `/servers/${odd}/action`, { ...at, body: { createImage: { name: 'never' } } });
  await reaches('ACTIVE', odd);
  assert.equal((await demo.image.ask<{ images: object[] }>('GET', '/v2/images')).body.images.length, before);
});

test('the option keeps deleted servers, and restore brings them back', async () => {
  await demo.compute.ask('DELETE', `/servers/${id}`, at);
  await reaches('SOFT_DELETED');
  await act({ restore: null });
  await reaches('ACTIVE');
});

test('diagnostics come from the host', async () => {
  const admin = await house.as('admin');
  const { body } = await admin.compute.ask<{ state: string; nic_details: object[] }>('GET', `/servers/${id}/diagnostics`, at);
  assert.deepEqual([body.state, body.nic_details.length], ['running', 1]);
});
