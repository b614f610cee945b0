import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { waitFor } from '../house/running.ts';
import { headOf } from '../support/head-of.ts';
import { type Any, openVolumeWorld, type VolumeWorld } from '../support/volume-world.ts';

let world: VolumeWorld;
before(async () => {
  world = await openVolumeWorld();
});
after(() => world.house.remove());

const imageOf = async (id: string): Promise<Any> => (await world.demo.image.ask<Any>('GET', `/v2/images/${id}`)).body;
const snapshots = async (): Promise<Any[]> => (await world.volumes('GET /snapshots/detail')).snapshots;
const fileOf = (volume: string) => join(world.house.dataDir, 'volumes', `volume-${volume}`);
const rootOf = async (server: string): Promise<Any> => (await world.attachments(server)).find((one) => one.device === '/dev/vda');

test('a server on volumes becomes an image without data, and a server made of that image has what was on them', async () => {
  const server = await world.bootBacked();
  const data = await world.makeVolume({ name: 'data' });
  await world.attach(server, data);
  const root = await rootOf(server);
  writeFileSync(fileOf(root.volumeId), 'what the root holds');
  writeFileSync(fileOf(data), 'what the other holds');
  const made = await world.compute(`POST /servers/${server}/action`, { createImage: { name: 'copy', metadata: { mine: 'yes' } } });
  assert.equal(made.status, 202, JSON.stringify(made.body));
  const action = await world.ended(server, 'createImage');
  assert.deepEqual(
    action.events.map((event: Any) => [event.event, event.result]),
    [['api_snapshot_instance', 'Success']],
  );
  const image = await imageOf(made.body.image_id);
  assert.deepEqual([image.status, image.size, image.bdm_v2, image.root_device_name, image.mine], ['active', 0, 'True', '/dev/vda', 'yes']);
  const mapping = JSON.parse(image.block_device_mapping);
  assert.deepEqual(
    mapping.map((one: Any) => [one.source_type, one.destination_type, one.boot_index, one.device_name, one.volume_size]),
    [
      ['snapshot', 'volume', 0, '/dev/vda', 1],
      ['snapshot', 'volume', null, '/dev/vdb', 1],
    ],
  );
  assert.deepEqual((await snapshots()).map((one) => one.id).sort(), mapping.map((one: Any) => one.snapshot_id).sort());
  assert.ok((await snapshots()).every((one) => one.name === 'snapshot for copy' && one.status === 'available'));

  const twin = await world.boot({ imageRef: image.id });
  const shown = await world.serverIs(twin, 'ACTIVE');
  assert.equal(shown.image, '');
  const [first, second, ...more] = await world.attachments(twin);
  assert.deepEqual([first.device, second.device, more.length], ['/dev/vda', '/dev/vdb', 0]);
  assert.match(headOf(fileOf(first.volumeId), 100), /what the root holds/);
  assert.match(headOf(fileOf(second.volumeId), 100), /what the other holds/);
  await world.end(twin);
  await world.end(server);
});

test('a snapshot that cannot be taken leaves neither image nor snapshots', async () => {
  const server = await world.bootBacked();
  const before = (await snapshots()).length;
  const { volumeId } = await rootOf(server);
  const force = (status: string) => world.volumes(`POST /volumes/${volumeId}/action`, { 'os-reset_status': { status } }, world.admin);
  await force('maintenance');
  const made = await world.compute(`POST /servers/${server}/action`, { createImage: { name: 'never' } });
  assert.equal(made.status, 202);
  assert.equal((await world.ended(server, 'createImage')).events[0].result, 'Error');
  await waitFor(
    async () => !(await world.demo.image.ask<Any>('GET', '/v2/images')).body.images.some((one: Any) => one.id === made.body.image_id),
    5000,
    () => 'the image stays',
  );
  assert.equal((await snapshots()).length, before);
  await force('in-use');
  await world.end(server);
});

test('an image whose word about disks is nonsense is refused', async () => {
  const { body: image } = await world.demo.image.ask<Any>('POST', '/v2/images', {
    body: { name: 'odd', disk_format: 'raw', container_format: 'bare', bdm_v2: 'True', block_device_mapping: '[{"source_type": 7}]' },
    expect: [201],
  });
  const server = { name: 's', flavorRef: '1', imageRef: image.id, networks: 'none' };
  assert.equal((await world.compute('POST /servers', { server })).status, 400);
});

test('a backup of a server on volumes is refused', async () => {
  const server = await world.bootBacked();
  const wish = { createBackup: { name: 'b', backup_type: 'daily', rotation: 1 } };
  const answer = await world.compute(`POST /servers/${server}/action`, wish);
  assert.deepEqual([answer.status, answer.body.badRequest?.message], [400, 'Backup is not supported for volume-backed instances.']);
  await world.end(server);
});
