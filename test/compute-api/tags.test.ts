import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { type Ask, type ComputeHouse, DEMO_PROJECT, openComputeHouse } from '../support/compute-api.ts';
import { furnish, SERVER_UUID } from '../support/compute-world.ts';

let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse();
  await furnish(house.db, house.clock);
});
after(() => house.close());
beforeEach(async () => {
  await house.db.transaction(async (tx) => {
    await tx.deleteFrom('server_tags').execute();
    await tx.updateTable('servers').set({ vm_state: 'active', task_state: null, locked: 0 }).execute();
  });
});
const ask = (place: string, more: Ask = {}) =>
  house.ask(place.replace(' ', ` /servers/${SERVER_UUID}/tags`), { as: 'demo', at: '2.26', ...more });
const tags = async () => (await ask('GET ')).body.tags as string[];
const revision = async () =>
  (await house.db.read.selectFrom('servers').select('revision').where('uuid', '=', SERVER_UUID).executeTakeFirstOrThrow()).revision;

test('one is added, looked for and removed; each change shows in the server and its revision', async () => {
  const before = await revision();
  const added = await ask('PUT /blue');
  assert.deepEqual([added.status, added.text], [201, '']);
  assert.equal(added.headers.get('location'), `${house.origin}/v2.1/servers/${SERVER_UUID}/tags/blue`);
  assert.equal((await ask('PUT /blue')).status, 204);
  assert.equal(await revision(), before + 1, 'only what changes something counts');
  const inProject = await house.ask(`PUT /${DEMO_PROJECT}/servers/${SERVER_UUID}/tags/a%20b`, { as: 'demo', at: '2.26' });
  assert.equal(inProject.headers.get('location'), `${house.origin}/v2.1/${DEMO_PROJECT}/servers/${SERVER_UUID}/tags/a%20b`);
  assert.deepEqual(await tags(), ['a b', 'blue']);
  const shown = await house.ask(`GET /servers/${SERVER_UUID}`, { as: 'demo', at: '2.26' });
  assert.deepEqual(shown.body.server.tags, ['a b', 'blue']);
  assert.equal((await ask('GET /blue')).status, 204);
  assert.equal((await ask('GET /Blue')).body.itemNotFound.message, `Server ${SERVER_UUID} has no tag 'Blue'`);
  assert.equal((await ask('DELETE /blue')).status, 204);
  assert.equal((await ask('DELETE /blue')).status, 404);
  assert.equal((await ask('DELETE ')).status, 204);
  assert.deepEqual(await tags(), []);
});

test('all are replaced; bad ones are refused', async () => {
  assert.deepEqual((await ask('PUT ', { body: { tags: ['b', 'a', 'b'] } })).body, { tags: ['b', 'a'] });
  assert.deepEqual(await tags(), ['a', 'b']);
  const fifty = Array.from({ length: 50 }, (_, at) => `tag${at}`);
  for (const body of [
    { tags: [...fifty, 'one more'] },
    ...['', 'a,b', 'a/b', 'x'.repeat(61), 5, null].map((tag) => ({ tags: [tag] })),
    { tags: 'a' },
    {},
    { tags: [], more: 1 },
  ])
    assert.equal((await ask('PUT ', { body })).status, 400, JSON.stringify(body).slice(0, 60));
  for (const tag of ['a%2Cb', 'a%2Fb', 'x'.repeat(61)]) assert.equal((await ask(`PUT /${tag}`)).status, 400, tag);
  assert.equal((await ask(`PUT /${encodeURIComponent('\u{1f600}'.repeat(60))}`)).status, 201);
  assert.equal((await ask('PUT ', { body: { tags: fifty } })).status, 200);
  const full = await ask('PUT /another');
  assert.deepEqual([full.status, full.body.badRequest.message], [400, 'The number of tags exceeded the per-server limit 50']);
  assert.equal((await ask('PUT ', { at: '2.25', body: { tags: [] } })).status, 404);
});

test('of many added at once no more than fifty stay', async () => {
  await ask('PUT ', { body: { tags: Array.from({ length: 45 }, (_, at) => `tag${at}`) } });
  const answers = await Promise.all(Array.from({ length: 12 }, (_, at) => ask(`PUT /new${at}`)));
  assert.deepEqual(
    [201, 400].map((status) => answers.filter((answer) => answer.status === status).length),
    [5, 7],
  );
  assert.equal((await tags()).length, 50);
});

test('only in states that allow it, locked or not; others’ servers are not there', async () => {
  const states = (set: object) => house.db.transaction((tx) => tx.updateTable('servers').set(set).execute());
  for (const vm_state of ['paused', 'suspended', 'stopped', 'active']) {
    await states({ vm_state, locked: 1 });
    assert.equal((await ask(`PUT /${vm_state}`)).status, 201, vm_state);
  }
  for (const vm_state of ['building', 'error', 'shelved', 'rescued', 'resized']) {
    await states({ vm_state });
    for (const [place, word] of [
      ['PUT /x', 'update tag'],
      ['DELETE /x', 'delete tag'],
      ['DELETE ', 'delete tags'],
      ['PUT ', 'update tags'],
    ] as const) {
      const answer = await ask(place, { body: { tags: [] } });
      const message = `Cannot '${word}' instance ${SERVER_UUID} while it is in vm_state ${vm_state}`;
      assert.deepEqual([answer.status, answer.body.conflictingRequest?.message], [409, message]);
    }
    assert.equal((await ask('GET /active')).status, 204);
  }
  for (const place of ['GET ', 'GET /x', 'PUT /x', 'DELETE /x', 'DELETE ']) assert.equal((await ask(place, { as: 'other' })).status, 404);
});
