import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { findAction, insertActions, insertEvents } from '../../src/db/tables/compute/actions.ts';
import { type ComputeHouse, DEMO_PROJECT, openComputeHouse } from '../support/compute-api.ts';
import { furnish, SERVER_UUID } from '../support/compute-world.ts';

const REQUEST = 'req-11111111-2222-4333-8444-555555555555';
const OTHER = 'req-11111111-2222-4333-8444-555555555556';
let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse();
  await furnish(house.db, house.clock);
  const at = house.clock.now();
  const context = { userId: '2'.repeat(32), projectId: DEMO_PROJECT, roles: [], requestId: REQUEST };
  await house.db.transaction(async (tx) => {
    await insertActions(tx, [
      { serverUuid: SERVER_UUID, action: 'create', context, at },
      { serverUuid: SERVER_UUID, action: 'stop', context: { ...context, requestId: OTHER }, at: at + 1_000_000 },
    ]);
    const id = await findAction(tx, SERVER_UUID, REQUEST);
    assert.ok(id);
    const event = { event: 'compute__do_build_and_run_instance', host: 'host1', startedAt: at, finishedAt: at + 5, details: 'no disk' };
    await insertEvents(tx, id, [{ ...event, result: 'Error' }]);
  });
});
after(() => house.close());
const place = `/servers/${SERVER_UUID}/os-instance-actions`;
const show = async (at: string, as = 'demo') => (await house.ask(`GET ${place}/${REQUEST}`, { at, as })).body.instanceAction;

test('who sees events, and what of them, at each version that changed it', async () => {
  const plain = ['event', 'finish_time', 'result', 'start_time'];
  const keys = async (at: string, as?: string) => {
    const [event] = (await show(at, as)).events ?? [];
    return event && Object.keys(event).sort();
  };
  assert.equal(await keys('2.50'), undefined);
  assert.deepEqual(await keys('2.50', 'admin'), [...plain, 'traceback'].sort());
  assert.deepEqual(await keys('2.51'), plain);
  assert.deepEqual(await keys('2.51', 'admin'), [...plain, 'traceback'].sort());
  assert.deepEqual(await keys('2.62'), [...plain, 'hostId'].sort());
  assert.deepEqual(await keys('2.62', 'admin'), [...plain, 'host', 'hostId', 'traceback'].sort());
  assert.deepEqual(await keys('2.84'), [...plain, 'hostId'].sort());
  assert.deepEqual(await keys('2.84', 'admin'), [...plain, 'details', 'host', 'hostId', 'traceback'].sort());
  const [event] = (await show('2.84', 'admin')).events;
  assert.deepEqual([event.details, event.host, event.result], ['no disk', 'host1', 'Error']);
  const server = (await house.ask(`GET /servers/${SERVER_UUID}`, { as: 'demo' })).body.server;
  assert.equal(event.hostId, server.hostId, 'the same hash as the server shows');
});

test('pages and spans of time from 2.58 and 2.66 on', async () => {
  const list = async (query: string, at: string) => (await house.ask(`GET ${place}${query}`, { at, as: 'demo' })).body;
  assert.equal('updated_at' in (await show('2.57')), false);
  assert.equal(typeof (await show('2.58')).updated_at, 'string');
  assert.equal((await list('?limit=1', '2.57')).instanceActions.length, 2, 'older versions know no pages');
  const first = await list('?limit=1', '2.58');
  assert.deepEqual([first.instanceActions[0].request_id, first.links[0].rel], [OTHER, 'next']);
  const rest = await list(`?limit=1&marker=${OTHER}`, '2.58');
  assert.deepEqual(
    rest.instanceActions.map((action: { request_id: string }) => action.request_id),
    [REQUEST],
  );
  const since = new Date((house.clock.now() + 500_000) / 1000).toISOString();
  assert.equal((await list(`?changes-since=${since}`, '2.58')).instanceActions.length, 1);
  assert.equal((await list(`?changes-before=${since}`, '2.66')).instanceActions.length, 1);
  for (const [query, at] of [
    [`?changes-before=${since}`, '2.58'],
    ['?marker=req-none', '2.58'],
    ['?limit=-1', '2.58'],
    ['?changes-since=today', '2.58'],
    ['?more=1', '2.58'],
    [`?changes-since=${since}&changes-before=2000-01-01T00:00:00Z`, '2.66'],
  ] as const)
    assert.equal((await house.ask(`GET ${place}${query}`, { at, as: 'demo' })).status, 400, query);
});

test('the history outlives its server from 2.21 on', async () => {
  await house.db.transaction((tx) => tx.updateTable('servers').set({ deleted: 1 }).execute());
  assert.equal((await house.ask(`GET ${place}`, { at: '2.20', as: 'demo' })).status, 404);
  assert.equal((await house.ask(`GET ${place}`, { at: '2.21', as: 'demo' })).body.instanceActions.length, 2);
  assert.equal((await show('2.21')).action, 'create');
  assert.equal((await house.ask(`GET ${place}/${REQUEST}`, { at: '2.21', as: 'other' })).status, 404);
});
