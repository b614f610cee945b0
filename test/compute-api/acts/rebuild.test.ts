import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { atLeast, type Version } from '../../../src/lib/shape.ts';
import { againstFields, fieldFacts, noCatalogue, rangeAt } from '../../support/catalogue.ts';
import { callers } from '../../support/compute-api.ts';
import { type ActHouse, IMAGE, message, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse({ agent: { progressMs: 5 } });
  await house.db.transaction((tx) =>
    tx
      .insertInto('keypairs')
      .values({
        user_id: callers.demo?.userId ?? '',
        name: 'mykey',
        type: 'ssh',
        fingerprint: 'aa',
        public_key: 'ssh-ed25519 AAAA demo',
        created_at: 1,
      })
      .execute(),
  );
});
afterEach(() => house.wipe());
after(() => house.close());
const rebuild = (id: string, more: object = {}, at?: string, as?: string) =>
  house.act(id, { rebuild: { imageRef: IMAGE, ...more } }, { ...(at ? { at } : {}), ...(as ? { as } : {}) });

test('a rebuild keeps id, addresses, host and claim, and changes what it names', async () => {
  const id = await house.boot();
  const before = await house.server(id);
  const other = house.core.images.add({ name: 'other' });
  const answer = await rebuild(
    id,
    {
      imageRef: other,
      name: 'anew',
      description: 'again',
      metadata: { a: '1' },
      accessIPv4: '1.2.3.4',
      accessIPv6: 'fe80::1',
      'OS-DCF:diskConfig': 'AUTO',
      adminPass: 'secret',
      key_name: 'mykey',
      user_data: 'aGVsbG8=',
      hostname: 'anew.example.com',
      trusted_image_certificates: ['one'],
      preserve_ephemeral: false,
    },
    '2.94',
  );
  assert.equal(answer.status, 202, answer.text);
  const { server } = answer.body;
  assert.deepEqual(
    [server.id, server.status, server.adminPass, server.name, server.image.id, server.key_name, server.user_data],
    [id, 'REBUILD', 'secret', 'anew', other, 'mykey', 'aGVsbG8='],
  );
  assert.equal(answer.headers.get('location'), `${house.origin}/v2.1/servers/${id}`);
  const now = await house.ended(id);
  assert.deepEqual([now.vmState, now.imageId, now.image?.name, now.keyData], ['active', other, 'other', 'ssh-ed25519 AAAA demo']);
  assert.deepEqual([now.description, now.metadata, now.hostname, now.trustedCerts], ['again', { a: '1' }, 'anew.example.com', ['one']]);
  assert.deepEqual([now.networkInfo, now.host, now.epoch], [before.networkInfo, before.host, before.epoch]);
  assert.ok((now.launchedAt ?? 0) > (before.launchedAt ?? 0));
  assert.equal((await rebuild(id, { key_name: null, user_data: null, description: null }, '2.57')).status, 202);
  const bare = await house.ended(id);
  assert.deepEqual([bare.keyName, bare.keyData, bare.userData, bare.description, bare.name], [null, null, null, null, 'anew']);
  assert.deepEqual(await house.core.audit(), []);
});

test('a stopped server is stopped afterwards; one in error runs', async () => {
  const stopped = await house.boot('stopped');
  const since = systemClock.now();
  await house.put(stopped, { metadata: '{"fake:createDisks":"slow:20","fake:spawn":"slow:250"}' });
  await rebuild(stopped);
  const server = await house.ended(stopped);
  assert.deepEqual([server.vmState, server.powerState], ['stopped', 4]);
  assert.deepEqual(await house.tasks(stopped, since), [
    'rebuilding',
    'rebuild_block_device_mapping',
    'rebuild_spawning',
    'powering-off',
    null,
  ]);
  const broken = await house.boot('error');
  await house.put(broken, { fault: '{"code":500,"message":"x","details":null,"created":1}' });
  await rebuild(broken);
  const whole = await house.ended(broken);
  assert.deepEqual([whole.vmState, whole.fault], ['active', null]);
});

test('images that do not fit are refused before anything is done', async () => {
  const id = await house.boot();
  const { images } = house.core;
  for (const [image, text] of [
    ['00000000-0000-4000-8000-000000000000', /^Cannot find image for rebuild$/],
    [images.add({ status: 'queued' }), /is not active\.$/],
    [images.add({ minMemoryMiB: 100_000 }), /^Flavor's memory is too small/],
    [images.add({ minDiskGiB: 100 }), /smaller than the minimum specified in image metadata/],
  ] as const) {
    const refused = await rebuild(id, { imageRef: image });
    assert.equal(refused.status, 400, refused.text);
    assert.match(message(refused), text);
  }
  assert.equal((await rebuild(id, { key_name: 'nobody' }, '2.54')).status, 400);
  assert.equal((await rebuild(id, { metadata: Object.fromEntries(Array.from({ length: 129 }, (_, at) => [`k${at}`, 'v'])) })).status, 403);
  const file = (at: number) => ({ path: `/f${at}`, contents: 'aGVsbG8=' });
  assert.equal((await rebuild(id, { personality: [0, 1, 2, 3, 4, 5].map(file) })).status, 403);
  assert.equal((await rebuild(id, { personality: [file(0)] })).status, 202);
  await house.ended(id);
  assert.equal((await house.server(id)).imageId, IMAGE);
});

test('each field in its microversions alone', async () => {
  const id = await house.boot();
  for (const [field, value, from, to] of [
    ['personality', [], '2.1', '2.56'],
    ['description', 'x', '2.19', null],
    ['key_name', null, '2.54', null],
    ['user_data', null, '2.57', null],
    ['trusted_image_certificates', null, '2.63', null],
    ['hostname', 'ab', '2.90', null],
  ] as const)
    for (const at of ['2.1', '2.18', '2.19', '2.53', '2.54', '2.56', '2.57', '2.62', '2.63', '2.89', '2.90', '2.104'] as Version[]) {
      const there = atLeast(at, from) && (to === null || atLeast(to, at));
      const answer = await rebuild(id, { [field]: value }, at);
      assert.equal(answer.status, there ? 202 : 400, `${field} at ${at}: ${answer.text}`);
      if (there) await house.ended(id);
    }
  assert.equal((await rebuild(id, { hostname: 'a.b' }, '2.93')).status, 400);
  assert.equal((await rebuild(id, { imageRef: 'x' })).status, 400);
});

test('a host that may not run the new image: the server is in error, keeps its image, and says why', async () => {
  const id = await house.boot();
  const odd = house.core.images.add({ properties: { hw_architecture: 'armv7l' } });
  const answer = await rebuild(id, { imageRef: odd });
  assert.equal(answer.status, 202, answer.text);
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.imageId, server.image?.id], ['error', IMAGE, IMAGE]);
  assert.match(server.fault?.message ?? '', /^No valid host was found\./);
  assert.equal((await house.record(id))?.message, 'Error');
  await rebuild(id);
  assert.equal((await house.ended(id)).vmState, 'active');
});

test('a rebuild that fails before the guest is touched leaves it running', async () => {
  const id = await house.boot();
  const corrupt = house.core.images.add({ name: 'later' });
  const { download } = house.core.images.agent;
  house.core.images.agent.download = async () => {
    throw new Error('the line was cut');
  };
  try {
    await rebuild(id, { imageRef: corrupt });
    const server = await house.ended(id);
    assert.equal(server.vmState, 'error');
    assert.match(server.fault?.message ?? '', /the line was cut/);
    assert.equal((await house.core.drivers[server.host ?? '']?.guest(id))?.power, 'running');
  } finally {
    house.core.images.agent.download = download;
  }
});

test('ephemeral disks cannot be preserved: it is said, not done', async () => {
  const id = await house.boot();
  assert.equal((await rebuild(id, { preserve_ephemeral: true })).status, 202, 'nothing is there to be preserved');
  assert.equal((await house.ended(id)).vmState, 'active');
  const { flavor } = await house.server(id);
  await house.put(id, { flavor: JSON.stringify({ ...flavor, ephemeralGiB: 1 }) });
  await rebuild(id, { preserve_ephemeral: true });
  const server = await house.ended(id);
  assert.match(server.fault?.message ?? '', /does not support preserving ephemeral/);
  await house.put(id, { flavor: JSON.stringify(flavor) });
});

test('a server on a volume keeps its image', async () => {
  const id = await house.boot();
  await house.put(id, { image_id: null, image: null });
  const refused = await rebuild(id);
  assert.deepEqual([refused.status, message(refused)], [400, 'Unable to rebuild with a different image for a volume-backed server.']);
});

test('the answer at every edge is what the catalogue says', { skip: noCatalogue }, async () => {
  const facts = fieldFacts()['server-actions:rebuild']?.response;
  const id = await house.boot();
  for (const { min } of facts ?? []) {
    for (const as of ['demo', 'admin']) {
      const answer = await rebuild(id, {}, min, as);
      assert.equal(answer.status, 202, answer.text);
      const wrong = againstFields(rangeAt(facts, min)?.fields ?? {}, answer.body);
      assert.deepEqual(wrong, [], `at ${min} for ${as}`);
      await house.ended(id);
    }
  }
});
