import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { silentLog } from '../../lib/log.ts';
import { type ImageHouse, openImageHouse, projects, qcow2Head } from './image-test-house.ts';
import { type SeedOptions, seedImage } from './seed-image.ts';

describe('seeding', () => {
  let house: ImageHouse;
  before(async () => {
    house = await openImageHouse();
  });
  after(() => house.close());
  const seed = (more: Partial<SeedOptions> = {}) =>
    seedImage({
      db: house.db,
      clock: house.clock,
      log: silentLog,
      storeDir: house.storeDir,
      ownerProjectId: projects.admin,
      name: 'tiny',
      source: { bytes: Buffer.from('placeholder') },
      diskFormat: 'raw',
      ...more,
    });
  const named = async (name: string, query = '') => (await house.ask('bob', 'GET', `/v2/images?name=${name}${query}`)).body.images;

  test('the same twice is one image; a better one replaces it; a user’s of that name stays', async () => {
    const users = await house.create('admin', { name: 'tiny', visibility: 'public' });
    const first = await seed();
    assert.deepEqual(await seed(), { id: first.id, fresh: false });
    const [image] = (await named('tiny')).filter((one: { id: string }) => one.id !== users);
    assert.deepEqual([image.id, image.status, image.visibility, image.size], [first.id, 'active', 'public', 11]);
    const file = join(house.dir, 'tiny.qcow2');
    writeFileSync(file, qcow2Head());
    const second = await seed({ source: { file }, diskFormat: 'qcow2', properties: { kernel_id: 'k1' } });
    assert.equal(second.fresh, true);
    assert.deepEqual((await named('tiny')).map((one: { id: string }) => one.id).sort(), [users, second.id].sort());
    // A new kernel under the same disk: only the property moves.
    assert.deepEqual(await seed({ source: { file }, diskFormat: 'qcow2', properties: { kernel_id: 'k2' } }), {
      id: second.id,
      fresh: false,
    });
    assert.equal((await house.ask('bob', 'GET', `/v2/images/${second.id}`)).body.kernel_id, 'k2');
    assert.deepEqual(readdirSync(house.storeDir), [second.id]);
  });

  test('an older one can be hidden instead', async () => {
    const old = await seed({ name: 'kernel', diskFormat: 'aki' });
    const now = await seed({ name: 'kernel', diskFormat: 'aki', source: { bytes: Buffer.from('newer') }, older: 'hide' });
    assert.deepEqual(
      (await named('kernel')).map((one: { id: string }) => one.id),
      [now.id],
    );
    const [hidden] = await named('kernel', '&os_hidden=true');
    assert.deepEqual([hidden.id, hidden.container_format], [old.id, 'aki']);
    assert.equal((await house.ask('bob', 'GET', `/v2/images/${old.id}/file`)).text, 'placeholder');
  });

  test('a seed that fails leaves nothing', async () => {
    const before = readdirSync(house.storeDir).length;
    await assert.rejects(seed({ name: 'broken', diskFormat: 'qcow2' }), /no qcow2 header/);
    await assert.rejects(seed({ name: 'broken', source: { file: join(house.dir, 'absent') } }));
    assert.deepEqual([await named('broken'), readdirSync(house.storeDir).length], [[], before]);
  });
});
