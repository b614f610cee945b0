import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, test } from 'node:test';
import { imageClient } from '../../src/clients/image.ts';
import { waitFor } from '../house/running.ts';
import { headOf } from '../support/head-of.ts';
import { type Any, openVolumeWorld, type VolumeWorld } from '../support/volume-world.ts';

let world: VolumeWorld;
before(async () => {
  world = await openVolumeWorld();
});
after(() => world.house.remove());

const fileOf = (volume: string) => join(world.house.dataDir, 'volumes', `volume-${volume}`);
const head = (volume: string) => headOf(fileOf(volume), 30);
const rootOf = async (server: string): Promise<Any> => (await world.attachments(server)).find((one) => one.device === '/dev/vda');
const newImage = async (data: string, more: object = {}): Promise<string> => {
  const images = imageClient(world.demo.image);
  const { id } = await images.create({ name: 'other', diskFormat: 'raw', containerFormat: 'bare', ...more });
  await images.upload(id, Readable.from([Buffer.from(data)]));
  return id;
};
const rebuild = (server: string, imageRef: string, at = '2.96') =>
  world.compute(`POST /servers/${server}/action`, { rebuild: { imageRef } }, at);

test('before 2.93 a server on volumes is rebuilt with its own image only, and what is on them stays', async () => {
  const server = await world.bootBacked();
  const data = await world.makeVolume();
  await world.attach(server, data);
  const { volumeId } = await rootOf(server);
  writeFileSync(fileOf(volumeId), 'what the guest wrote');
  const other = await newImage('something else');
  const refused = await rebuild(server, other, '2.92');
  assert.deepEqual(
    [refused.status, refused.body.badRequest?.message],
    [400, 'Unable to rebuild with a different image for a volume-backed server.'],
  );
  assert.equal((await rebuild(server, world.imageId, '2.92')).status, 202);
  await world.ended(server, 'rebuild');
  await world.serverIs(server, 'ACTIVE');
  assert.match(head(volumeId), /what the guest wrote/);
  assert.deepEqual(
    (await world.attachments(server)).map((one) => one.volumeId),
    [volumeId, data],
  );
  await world.end(server);
});

test('from 2.93 on the root volume gets the image, under the same volume', async () => {
  const server = await world.bootBacked();
  const data = await world.makeVolume();
  await world.attach(server, data);
  writeFileSync(fileOf(data), 'what the guest wrote');
  const before = await rootOf(server);
  const other = await newImage('something else altogether');
  const answer = await rebuild(server, other);
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
  const action = await world.ended(server, 'rebuild');
  assert.equal(action.message, null, JSON.stringify(action));
  assert.equal((await world.serverIs(server, 'ACTIVE')).image, '');
  assert.match(head(before.volumeId), /^something else altogether/);
  assert.match(head(data), /what the guest wrote/);
  const now = await rootOf(server);
  assert.equal(now.volumeId, before.volumeId);
  assert.notEqual(now.attachment_id, before.attachment_id);
  const volume = await world.volumeIs(before.volumeId, 'in-use');
  assert.equal(volume.volume_image_metadata.image_id, other);
  assert.deepEqual(
    volume.attachments.map((one: Any) => one.attachment_id),
    [now.attachment_id],
  );
  assert.equal((await rebuild(server, other, '2.92')).status, 202, 'it is its own image now');
  await world.serverIs(server, 'ACTIVE');
  await world.end(server);
});

test('an image that is too large for the root volume is refused', async () => {
  const server = await world.bootBacked();
  const large = await newImage('x', { minDiskGiB: 2 });
  assert.equal((await rebuild(server, large)).status, 400);
  await world.end(server);
});

test('a server on volumes is rescued from 2.87 on by an image that says how, and comes back', async () => {
  const server = await world.bootBacked();
  const stable = await newImage('rescue', { properties: { hw_rescue_device: 'disk' } });
  const rescue = (ref: string, at = '2.96') => world.compute(`POST /servers/${server}/action`, { rescue: { rescue_image_ref: ref } }, at);
  assert.equal((await rescue(stable, '2.86')).status, 400);
  assert.equal((await rescue(world.imageId)).status, 400, 'its disk would stand in the volume’s place');
  assert.equal((await rescue(stable)).status, 200);
  await world.serverIs(server, 'RESCUE');
  await world.compute(`POST /servers/${server}/action`, { unrescue: null });
  await world.serverIs(server, 'ACTIVE');
  assert.equal((await world.attachments(server)).length, 1);
  await world.end(server);
});

test('a volume of a running server grows, and its guest is told', async () => {
  const server = await world.boot();
  await world.serverIs(server, 'ACTIVE');
  const volume = await world.makeVolume();
  await world.attach(server, volume);
  await world.volumes(`POST /volumes/${volume}/action`, { 'os-extend': { new_size: 3 } });
  await waitFor(
    async () => (await world.console(server)).includes(`volume ${volume} has 3 GiB now`),
    10_000,
    () => 'the guest is not told',
    20,
  );
  const action = await world.ended(server, 'extend_volume');
  assert.deepEqual(
    action.events.map((event: Any) => [event.event, event.result]),
    [['compute_extend_volume', 'Success']],
  );
  assert.equal((await world.volumeIs(volume, 'in-use')).size, 3);
  const unknown = { name: 'volume-extended', server_uuid: server, tag: '6b1a4e9f-4a2b-4bd2-9b54-6f5b0b8f0001' };
  const answer = await world.compute('POST /os-server-external-events', { events: [unknown] }, '2.51', world.admin);
  assert.equal(answer.status, 200, 'a volume it does not have is nothing to it');
  const old = await world.compute('POST /os-server-external-events', { events: [unknown] }, '2.50', world.admin);
  assert.equal(old.status, 400);
  await world.end(server);
});
