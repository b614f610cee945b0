import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type ActHouse, message, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse();
});
afterEach(() => house.wipe());
after(() => house.close());
const shown = async (id: string) => (await house.ask(`GET /servers/${id}`, { at: '2.73' })).body.server;

test('an owner’s lock stops the owner’s hands, keeps its reason, and goes by the owner’s word', async () => {
  const id = await house.boot();
  assert.equal((await house.act(id, { lock: { locked_reason: 'do not touch' } }, { at: '2.73' })).status, 202);
  assert.deepEqual([(await shown(id)).locked, (await shown(id)).locked_reason], [true, 'do not touch']);
  const record = await house.record(id);
  assert.deepEqual([record?.action, record?.events[0]?.event, record?.events[0]?.result], ['lock', 'api_lock', 'Success']);
  // A second lock by the owner changes nothing and is not noted.
  assert.equal((await house.act(id, { lock: null }, { at: '2.73' })).status, 202);
  assert.equal((await house.record(id))?.id, record?.id);
  const refused = await house.act(id, { pause: null });
  assert.deepEqual([refused.status, message(refused)], [409, `Instance ${id} is locked`]);
  assert.equal((await house.act(id, { injectNetworkInfo: null }, { as: 'admin' })).status, 202, 'admins pass');
  assert.equal((await house.act(id, { unlock: null })).status, 202);
  assert.deepEqual([(await shown(id)).locked, (await shown(id)).locked_reason], [false, null]);
  assert.deepEqual([(await house.record(id))?.action, (await house.record(id))?.events[0]?.event], ['unlock', 'api_unlock']);
});

test('an admin’s lock is lifted only by who may override it; an owner’s lock an admin lifts', async () => {
  const id = await house.boot();
  assert.equal((await house.act(id, { lock: null }, { as: 'admin' })).status, 202);
  const refused = await house.act(id, { unlock: null });
  assert.deepEqual([refused.status, /unlock_override/.test(message(refused))], [403, true]);
  assert.equal((await shown(id)).locked, true);
  assert.equal((await house.act(id, { unlock: null }, { as: 'admin' })).status, 202);
  await house.act(id, { lock: null });
  assert.equal((await house.act(id, { lock: null }, { as: 'admin' })).status, 202, 'an admin takes the lock over');
  assert.equal((await house.act(id, { unlock: null })).status, 403);
  assert.equal((await house.act(id, { unlock: null }, { as: 'admin' })).status, 202);
});

test('a lock’s reason is of 2.73; before, whatever stands there is passed over', async () => {
  const id = await house.boot();
  for (const [at, lock, status] of [
    ['2.72', { locked_reason: 'x' }, 202],
    ['2.72', 'yes', 202],
    ['2.73', 'yes', 400],
    ['2.73', { locked_reason: '' }, 400],
    ['2.73', { locked_reason: 'x'.repeat(256) }, 400],
    ['2.73', { reason: 'x' }, 400],
    ['2.73', {}, 202],
  ] as const) {
    assert.equal((await house.act(id, { lock }, { at })).status, status, `${at} ${JSON.stringify(lock)}`);
    assert.equal((await house.server(id)).lockedReason, null);
  }
});

test('lock and unlock work in every state; others’ servers are not there', async () => {
  const id = await house.boot();
  for (const state of ['building', 'error', 'shelved_offloaded', 'soft-delete', 'rescued']) {
    await house.put(id, { vm_state: state, task_state: 'deleting' });
    assert.equal((await house.act(id, { lock: null })).status, 202, state);
    assert.equal((await house.act(id, { unlock: null })).status, 202, state);
  }
  for (const word of ['lock', 'unlock']) assert.equal((await house.act(id, { [word]: null }, { as: 'other' })).status, 404);
});

test('os-resetState: an operator’s word, in any state, noted', async () => {
  const id = await house.boot();
  for (const [state, vmState] of [
    ['error', 'error'],
    ['active', 'active'],
  ] as const) {
    await house.put(id, { vm_state: 'resized', task_state: 'resize_reverting', task_deadline: 99, locked: 1 });
    const answer = await house.act(id, { 'os-resetState': { state } }, { as: 'admin' });
    assert.equal(answer.status, 202, answer.text);
    const server = await house.server(id);
    assert.deepEqual([server.vmState, server.taskState], [vmState, null]);
    const record = await house.record(id);
    assert.deepEqual([record?.action, record?.message, record?.events.length], ['resetState', null, 0]);
    assert.ok(record?.finished_at);
  }
  assert.equal((await house.act(id, { 'os-resetState': { state: 'active' } })).status, 403);
  assert.equal((await house.act(id, { 'os-resetState': { state: 'paused' } }, { as: 'admin' })).status, 400);
  assert.equal((await house.act(id, { 'os-resetState': {} }, { as: 'admin' })).status, 400);
  const nowhere = await house.act('00000000-0000-4000-8000-000000000000', { 'os-resetState': { state: 'active' } }, { as: 'admin' });
  assert.equal(nowhere.status, 404);
});

test('injectNetworkInfo: for operators, in any state', async () => {
  const id = await house.boot();
  await house.put(id, { vm_state: 'suspended', task_state: 'resuming' });
  assert.equal((await house.act(id, { injectNetworkInfo: {} }, { as: 'admin' })).status, 202);
  assert.equal((await house.act(id, { injectNetworkInfo: null })).status, 403);
});
