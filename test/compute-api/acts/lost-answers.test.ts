import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { lostCommits } from '../../support/lost-commits.ts';
import { type ActHouse, IMAGE, openActHouse } from './house.ts';

// A database that dies as it saves: what the API asked for may be kept though the request is answered with a 503. What the request set aside elsewhere is
// the server's then, and must not be taken back.

let house: ActHouse;
const commits = lostCommits();
before(async () => {
  house = await openActHouse({ apiDb: commits.between });
});
afterEach(async () => {
  await house.db.transaction((tx) => tx.deleteFrom('jobs').where('kind', '=', 'settle-request').execute());
  await house.wipe();
  assert.deepEqual(await house.core.audit(), []);
});
after(() => house.close());
const imagesOf = (name: string) => [...house.core.images.images.values()].filter((one) => one.name.includes(name));
/** Requests of two commits: what they are about to do is written first. */
const ask = async (id: string, body: object, kept: boolean) => {
  commits.lose(2, kept);
  assert.equal((await house.act(id, body)).status, 503);
  assert.equal(commits.waits(), false);
};

test('shelve: the image that the server becomes stays', async () => {
  const id = await house.boot();
  await ask(id, { shelve: null }, true);
  assert.equal((await house.ended(id)).vmState, 'shelved_offloaded');
  assert.deepEqual(
    imagesOf('-shelved').map((image) => image.status),
    ['active'],
  );
  assert.equal((await house.act(id, { unshelve: null })).status, 202);
  assert.equal((await house.ended(id)).vmState, 'active');
});

test('createImage: the image is made', async () => {
  const id = await house.boot();
  await ask(id, { createImage: { name: 'kept copy' } }, true);
  await house.ended(id);
  assert.deepEqual(
    imagesOf('kept copy').map((image) => image.status),
    ['active'],
  );
});

test('one that was not kept leaves an image that a conductor removes', async () => {
  const id = await house.boot();
  const since = systemClock.now();
  await ask(id, { createImage: { name: 'no copy' } }, false);
  assert.deepEqual(await house.tasks(id, since), []);
  assert.equal(imagesOf('no copy').length, 1);
  await house.db.transaction((tx) => tx.updateTable('jobs').set({ not_before: 0 }).where('kind', '=', 'settle-request').execute());
  await house.core.until(
    async () => imagesOf('no copy').length,
    (left) => left === 0,
  );
});

test('a server is built', async () => {
  commits.lose(1, true);
  const made = await house.ask('POST /servers', { body: { server: { name: 'kept', imageRef: IMAGE, flavorRef: '1' } } });
  assert.equal(made.status, 503);
  const [row] = await house.db.read.selectFrom('servers').select('uuid').where('deleted', '=', 0).execute();
  assert.equal((await house.ended(row?.uuid ?? '')).vmState, 'active');
});

for (const [act, state, back] of [
  ['pause', 'paused', 'unpause'],
  ['suspend', 'suspended', 'resume'],
] as const)
  test(`${act}: one whose answer the hypervisor lost was done, and the server is what its guest is found to be`, async () => {
    const id = await house.boot('active', { [`fake:${act}`]: 'lose-reply-once' });
    assert.equal((await house.act(id, { [act]: null })).status, 202);
    assert.match((await house.ended(id)).fault?.message ?? '', /reply to .* was lost/);
    await house.core.agents.get((await house.server(id)).host ?? '')?.sync();
    await house.core.until(
      () => house.server(id),
      (server) => server.vmState === state,
    );
    assert.equal((await house.act(id, { [back]: null })).status, 202);
    assert.equal((await house.ended(id)).vmState, 'active');
  });
