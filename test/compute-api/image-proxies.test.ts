import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { CloudError, invalidInput } from '../../src/model/errors.ts';
import type { Image } from '../../src/model/image.ts';
import { type Ask, type ComputeHouse, openComputeHouse } from '../support/compute-api.ts';

const SERVER = '41111111-1111-4111-8111-111111111111';
const image = (at: number, more: Partial<Image> = {}): Image => ({
  ...{ id: `a1b2c3d4-0000-4000-8000-00000000000${at}`, name: `image ${at}`, status: 'active', visibility: 'public', owner: null },
  ...{ diskFormat: 'qcow2', containerFormat: 'bare', protected: false, hidden: false, minDiskGiB: 1, minMemoryMiB: 64 },
  ...{ sizeBytes: 4096, virtualSizeBytes: null, checksum: null, hashAlgo: null, hashValue: null, properties: {}, tags: [] },
  ...{ createdAt: 1_700_000_000_000_000, updatedAt: 1_700_000_001_000_000 },
  ...more,
});
let images = new Map<string, Image>();
/** How the image service was asked. */
let asked: { words: unknown; page: unknown; token: string | null }[] = [];
const mayNot = () => new CloudError('image.answered_403', 'forbidden', 'Image is protected and cannot be deleted.');
const find = (id: string): Image => {
  const found = images.get(id);
  if (!found) throw new CloudError('image.answered_404', 'notFound', 'No image found');
  return found;
};

let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse({
    maxLimit: 3,
    quotas: { metadata_items: 3 },
    imageProxy: {
      async list(words, page, { token }) {
        asked.push({ words, page, token });
        if (words.min_ram === 'x') throw invalidInput({ why: 'no number' });
        return [...images.values()].slice(0, page.limit);
      },
      show: async (id) => find(id),
      async remove(id) {
        if (find(id).protected) throw mayNot();
        images.delete(id);
      },
      async change(id, set, away) {
        const old = find(id);
        if (old.protected) throw mayNot();
        const kept = Object.entries(old.properties).filter(([key]) => !away.includes(key));
        const changed = { ...old, properties: { ...Object.fromEntries(kept), ...set } };
        images.set(id, changed);
        return changed;
      },
      publicUrl: (origin) => `${origin}/image`,
    },
  });
});
after(() => house.close());
const one = image(1, { properties: { a: '1', auto_disk_config: 'True', instance_uuid: SERVER } });
const guarded = image(2, { protected: true });
const fresh = () => {
  images = new Map([one, guarded, image(3), image(4)].map((each) => [each.id, each]));
  asked = [];
};
const ask = (place: string, more: Ask = {}) => house.ask(place, { as: 'demo', at: '2.35', ...more });

test('an image is shown in Nova’s words, with links to itself, its server and the image service', async () => {
  fresh();
  const self = `${house.origin}/v2.1/images/${one.id}`;
  assert.deepEqual((await ask(`GET /images/${one.id}`)).body.image, {
    id: one.id,
    name: 'image 1',
    links: [
      { rel: 'self', href: self },
      { rel: 'bookmark', href: self.replace('/v2.1', '') },
      { rel: 'alternate', type: 'application/vnd.openstack.image', href: `${house.origin}/image/images/${one.id}` },
    ],
    minRam: 64,
    minDisk: 1,
    metadata: one.properties,
    created: '2023-11-14T22:13:20Z',
    updated: '2023-11-14T22:13:21Z',
    status: 'ACTIVE',
    progress: 100,
    'OS-EXT-IMG-SIZE:size': 4096,
    'OS-DCF:diskConfig': 'AUTO',
    server: {
      id: SERVER,
      links: [
        { rel: 'self', href: `${house.origin}/v2.1/servers/${SERVER}` },
        { rel: 'bookmark', href: `${house.origin}/servers/${SERVER}` },
      ],
    },
  });
  const of = async (status: string) => {
    images.set(guarded.id, { ...guarded, status: status as Image['status'], sizeBytes: null });
    const { image: seen } = (await ask(`GET /images/${guarded.id}`)).body;
    return [seen.status, seen.progress, seen['OS-EXT-IMG-SIZE:size']];
  };
  assert.deepEqual(await of('queued'), ['SAVING', 25, 0]);
  assert.deepEqual(await of('saving'), ['SAVING', 50, 0]);
  assert.deepEqual(await of('killed'), ['ERROR', 0, 0]);
  assert.deepEqual(await of('deactivated'), ['UNKNOWN', 0, 0]);
});

test('lists hand filters and pages on, with the user’s own token', async () => {
  fresh();
  const words = `name=x&status=ACTIVE&server=http://h/servers/${SERVER}&type=snapshot&minRam=1&minDisk=2&changes-since=2023-01-01&property-os=bsd&other=1`;
  const list = await ask(`GET /images/detail?${words}&limit=2&marker=${one.id}`);
  assert.deepEqual(asked, [
    {
      words: {
        ...{ name: 'x', status: 'active', instance_uuid: SERVER, image_type: 'snapshot', min_ram: '1', min_disk: '2' },
        ...{ updated_at: 'gte:2023-01-01', os: 'bsd' },
      },
      page: { limit: 2, marker: one.id },
      token: 'demo',
    },
  ]);
  assert.equal(list.body.images.length, 2);
  const next = new URL(list.body.images_links[0].href);
  assert.deepEqual(
    [next.pathname, next.searchParams.get('marker'), next.searchParams.get('limit')],
    ['/v2.1/images/detail', guarded.id, '2'],
  );
  const names = (await ask('GET /images')).body;
  assert.deepEqual(Object.keys(names.images[0]), ['id', 'name', 'links']);
  assert.equal(names.images.length, 3, 'no more than max_limit');
  assert.equal(new URL(names.images_links[0].href).pathname, '/v2.1/images');
  assert.deepEqual((await ask('GET /images?limit=0')).body, { images: [] });
  for (const query of ['limit=x', 'limit=-1', 'minRam=x']) assert.equal((await ask(`GET /images?${query}`)).status, 400, query);
});

test('metadata is listed, added to, replaced and removed', async () => {
  fresh();
  const at = '2.38';
  const place = `/images/${one.id}/metadata`;
  assert.deepEqual((await ask(`GET ${place}`, { at })).body, { metadata: one.properties });
  assert.deepEqual((await ask(`GET ${place}/a`, { at })).body, { meta: { a: '1' } });
  assert.equal((await ask(`GET ${place}/b`, { at })).status, 404);
  assert.equal((await ask(`POST ${place}`, { at, body: { metadata: { b: '2' } } })).status, 403, 'over the quota');
  assert.deepEqual((await ask(`PUT ${place}`, { at, body: { metadata: { b: '2' } } })).body, { metadata: { b: '2' } });
  assert.deepEqual((await ask(`POST ${place}`, { at, body: { metadata: { c: '3' } } })).body, { metadata: { b: '2', c: '3' } });
  assert.deepEqual((await ask(`PUT ${place}/c`, { at, body: { meta: { c: '4' } } })).body, { meta: { c: '4' } });
  assert.equal((await ask(`PUT ${place}/c`, { at, body: { meta: { d: '4' } } })).status, 400);
  assert.equal((await ask(`DELETE ${place}/b`, { at })).status, 204);
  assert.equal((await ask(`DELETE ${place}/b`, { at })).status, 404);
  assert.deepEqual(images.get(one.id)?.properties, { c: '4' });
  assert.equal((await ask(`PUT /images/${guarded.id}/metadata`, { at, body: { metadata: { b: '2' } } })).status, 403);
  for (const body of [{ metadata: { a: 1 } }, { metadata: { a: 'x'.repeat(256) } }, { meta: {} }, { metadata: {}, x: 1 }])
    assert.equal((await ask(`PUT ${place}`, { at, body })).status, 400);
});

test('what is not there, or not allowed, and from when on it is gone', async () => {
  fresh();
  const missing = '/images/a1b2c3d4-0000-4000-8000-0000000000ff';
  for (const place of [`GET ${missing}`, `DELETE ${missing}`, `GET ${missing}/metadata`, `DELETE ${missing}/metadata/a`])
    assert.equal((await ask(place)).body.itemNotFound.message, 'Image not found.', place);
  assert.equal((await ask(`DELETE /images/${guarded.id}`)).status, 403);
  assert.equal((await ask(`DELETE /images/${one.id}`)).status, 204);
  for (const place of ['GET /images', 'GET /images/detail', `GET /images/${guarded.id}`, `DELETE /images/${guarded.id}`])
    assert.equal((await ask(place, { at: '2.36' })).status, 404, place);
  assert.equal((await ask(`GET /images/${guarded.id}/metadata`, { at: '2.38' })).status, 200);
  assert.equal((await ask(`GET /images/${guarded.id}/metadata`, { at: '2.39' })).status, 404);
});

test('bare metal: nothing to list here, and never anything to change', async () => {
  for (const place of ['GET /os-baremetal-nodes', 'GET /os-baremetal-nodes/1']) {
    assert.equal((await ask(place, { as: 'admin' })).status, 501, place);
    assert.equal((await ask(place)).status, 403, place);
    assert.equal((await ask(place, { as: 'admin', at: '2.36' })).status, 404, place);
  }
  for (const [place, body, command] of [
    ['POST /os-baremetal-nodes', {}, 'node-create'],
    ['DELETE /os-baremetal-nodes/1', undefined, 'node-delete'],
    ['POST /os-baremetal-nodes/1/action', { add_interface: {} }, 'port-create'],
    ['POST /os-baremetal-nodes/1/action', { remove_interface: {} }, 'port-delete'],
  ] as const) {
    const answer = await ask(place, { body });
    assert.equal(answer.status, 400, place);
    assert.match(answer.body.badRequest.message, new RegExp(`Ironic command ${command} `));
  }
});
