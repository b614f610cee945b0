import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { openConnections } from '../../clients/connections.ts';
import { type ImageClient, imageClient, snapshotOf } from '../../clients/image.ts';
import { neighbour } from '../../clients/neighbour.ts';
import { manualClock } from '../../lib/clock.ts';
import { CloudError } from '../../model/errors.ts';
import { type ImageHouse, openImageHouse, projects } from './image-test-house.ts';

const is = (kind: string, words: RegExp) => (cause: unknown) =>
  cause instanceof CloudError && cause.kind === kind && words.test(cause.message);

describe('the client of the image service', () => {
  let house: ImageHouse;
  let client: ImageClient;
  const clock = manualClock();
  const connections = openConnections();
  before(async () => {
    house = await openImageHouse();
    client = imageClient(neighbour({ service: 'image', url: house.url, token: async () => 'admin', connections }), { clock });
  });
  after(async () => {
    connections.close();
    await house.close();
  });
  const make = (more: object = {}) =>
    client.create({ name: 'snap', diskFormat: 'raw', containerFormat: 'bare', visibility: 'private', ...more });

  test('creates, sends, shows, fetches, removes', async () => {
    const made = await make({ owner: projects.ann, minDiskGiB: 1, minMemoryMiB: 64, properties: { base_image_ref: 'x' }, tags: ['t'] });
    assert.deepEqual([made.status, made.owner, made.properties, made.tags], ['queued', projects.ann, { base_image_ref: 'x' }, ['t']]);
    await assert.rejects(client.download(made.id), is('notFound', /has no data/));
    assert.throws(() => snapshotOf(made), is('invalid', /is not active/));
    await client.upload(made.id, Readable.from([Buffer.from('some '), Buffer.from('data')]));
    const image = await client.show(made.id);
    assert.deepEqual([image.status, image.sizeBytes, image.createdAt], ['active', 9, made.createdAt]);
    const { hashValue, ...snapshot } = snapshotOf(image);
    assert.equal(hashValue.length, 128);
    assert.deepEqual(snapshot, {
      id: made.id,
      name: 'snap',
      diskFormat: 'raw',
      containerFormat: 'bare',
      sizeBytes: 9,
      hashAlgo: 'sha512',
      minDiskGiB: 1,
      minMemoryMiB: 64,
      properties: { base_image_ref: 'x' },
    });
    assert.equal(await text(await client.download(made.id)), 'some data');
    await client.remove(made.id);
    await client.remove(made.id);
    await assert.rejects(client.show(made.id), is('notFound', /^No image found with ID/));
  });

  test('asks as somebody else when given a token', async () => {
    const { id } = await make({ owner: projects.ann });
    assert.equal((await client.show(id, { token: 'ann' })).id, id);
    await assert.rejects(client.show(id, { token: 'bob' }), is('notFound', /No image found/));
  });

  test('keeps an active image for a second, and nothing else', async () => {
    const { id } = await make();
    assert.equal((await client.show(id)).status, 'queued');
    await client.upload(id, Readable.from([Buffer.from('x')]));
    assert.equal((await client.show(id)).status, 'active');
    await house.patch('admin', id, [{ op: 'replace', path: '/name', value: 'renamed' }]);
    assert.equal((await client.show(id)).name, 'snap');
    await clock.advance(1001);
    assert.equal((await client.show(id)).name, 'renamed');
  });

  test('lists over all pages', async () => {
    const made = [];
    for (let n = 0; n < 5; n++) made.push((await make({ name: 'paged' })).id);
    assert.deepEqual((await client.list({ name: 'paged', limit: '2' })).map((image) => image.id).sort(), made.sort());
  });

  test('a refused upload says why and ends its stream', async () => {
    const { id } = await make({ diskFormat: 'qcow2' });
    const data = Readable.from([Buffer.alloc(100_000)]);
    await assert.rejects(client.upload(id, data), (cause: unknown) => {
      assert.ok(cause instanceof CloudError);
      assert.equal(cause.params.status, 415);
      assert.match(cause.message, /no qcow2 header/);
      return true;
    });
    assert.ok(data.destroyed);
    assert.equal((await client.show(id)).status, 'queued');
  });
});
