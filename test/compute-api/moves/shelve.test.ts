import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { type ActHouse, message, openActHouse } from '../acts/house.ts';

let house: ActHouse;
let lazy: ActHouse;
before(async () => {
  house = await openActHouse({ hosts: 2 });
  lazy = await openActHouse({ hosts: 2, parts: { shelvedOffloadSeconds: -1 } });
});
afterEach(async () => {
  for (const one of [house, lazy]) {
    if (!one) continue; // another file's test, when all stand in one process
    await one.wipe();
    assert.deepEqual(await one.core.audit(), []);
    assert.equal(one.core.images.images.size, 1, 'an image was left');
    assert.deepEqual(await one.db.read.selectFrom('server_shelves').selectAll().execute(), []);
  }
});
after(async () => {
  await house.close();
  await lazy.close();
});
const shelve = { shelve: null };
const unshelve = { unshelve: null };
const guestOn = async (of: ActHouse, host: string | null, id: string) => (await of.core.drivers[host ?? '']?.guest(id))?.power;

for (const state of ['active', 'stopped', 'paused', 'suspended'] as const)
  test(`a server that is ${state} is shelved, leaves its host, and runs again from its image`, async () => {
    const id = await house.boot(state);
    const { host } = await house.server(id);
    const since = systemClock.now();
    assert.equal((await house.act(id, shelve)).status, 202);
    const shelved = await house.ended(id);
    assert.deepEqual([shelved.vmState, shelved.taskState, shelved.host], ['shelved_offloaded', null, null], shelved.fault?.message);
    assert.deepEqual(await house.tasks(id, since), [
      'shelving',
      'shelving_image_pending_upload',
      'shelving_image_uploading',
      'shelving_offloading',
      null,
    ]);
    assert.equal(await guestOn(house, host, id), undefined);
    assert.equal(house.core.network.hosts.get(id), null);
    const image = [...house.core.images.images.values()].find((one) => one.name === 'web-shelved');
    assert.equal(image?.status, 'active');
    const record = await house.record(id);
    assert.deepEqual(
      [record?.action, record?.message, record?.events.map((event) => event.event)],
      ['shelve', null, ['compute_shelve_instance', 'compute_shelve_offload_instance'].slice(state === 'stopped' ? 0 : 0)],
    );
    assert.deepEqual(await house.core.audit(), []);

    const then = systemClock.now();
    assert.equal((await house.act(id, unshelve)).status, 202);
    const back = await house.ended(id);
    assert.deepEqual([back.vmState, back.taskState], ['active', null], back.fault?.message);
    assert.deepEqual(await house.tasks(id, then), ['unshelving', 'spawning', null]);
    assert.equal(await guestOn(house, back.host, id), 'running');
    assert.equal(house.core.network.hosts.get(id), back.host);
    assert.deepEqual(
      (await house.record(id))?.events.map((event) => event.event),
      ['get_image_info', 'schedule_instances', 'compute_unshelve_instance'],
    );
    assert.ok(!house.core.images.images.has(image?.id ?? ''));
  });

test('shelved and still on its host: started again, or offloaded when asked', async () => {
  const id = await lazy.boot();
  const { host } = await lazy.server(id);
  await lazy.act(id, shelve);
  const shelved = await lazy.ended(id);
  assert.deepEqual([shelved.vmState, shelved.host], ['shelved', host]);
  const early = await lazy.act(id, { unshelve: { availability_zone: 'nova' } }, { at: '2.77' });
  assert.equal(early.status, 409, early.text);
  const since = systemClock.now();
  await lazy.act(id, unshelve);
  assert.deepEqual([(await lazy.ended(id)).vmState, await guestOn(lazy, host, id)], ['active', 'running']);
  assert.deepEqual(await lazy.tasks(id, since), ['unshelving', 'powering-on', null]);
  await lazy.act(id, shelve);
  await lazy.ended(id);
  assert.equal((await lazy.act(id, { shelveOffload: null })).status, 403);
  assert.equal((await lazy.act(id, { shelveOffload: null }, { as: 'admin' })).status, 202);
  const gone = await lazy.ended(id);
  assert.deepEqual([gone.vmState, gone.host], ['shelved_offloaded', null]);
  assert.deepEqual(
    (await lazy.record(id))?.events.map((event) => event.event),
    ['compute_shelve_offload_instance'],
  );
  assert.equal((await lazy.act(id, { shelveOffload: null }, { as: 'admin' })).status, 409);
});

test('unshelved in a zone, on a host, without its pin; and what is refused', async () => {
  const id = await house.boot();
  await house.act(id, shelve);
  await house.ended(id);
  for (const [body, at, status, as] of [
    [{ unshelve: { availability_zone: 'mars' } }, '2.77', 400, 'demo'],
    [{ unshelve: {} }, '2.77', 400, 'demo'],
    [{ unshelve: { availability_zone: null } }, '2.90', 400, 'demo'],
    [{ unshelve: { host: 'host-1' } }, '2.90', 400, 'admin'],
    [{ unshelve: { host: 'host-1' } }, '2.91', 403, 'demo'],
    [{ unshelve: { host: 'nowhere' } }, '2.91', 400, 'admin'],
  ] as const)
    assert.equal((await house.act(id, body, { as, at })).status, status, JSON.stringify(body));
  assert.equal((await house.act(id, { unshelve: { availability_zone: 'nova', host: 'host-1' } }, { as: 'admin', at: '2.91' })).status, 202);
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.host, server.availabilityZone], ['active', 'host-1', 'nova'], server.fault?.message);
  await house.act(id, shelve);
  await house.ended(id);
  await house.act(id, { unshelve: { availability_zone: null } }, { at: '2.91' });
  assert.equal((await house.ended(id)).availabilityZone, null);
});

test('a shelving that fails leaves the server running and no image', async () => {
  for (const deed of ['powerOff', 'snapshot'] as const) {
    const id = await house.boot('active', { [`fake:${deed}`]: 'fail' });
    await house.act(id, shelve);
    const server = await house.ended(id);
    assert.deepEqual([server.vmState, server.taskState], ['active', null]);
    assert.match(server.fault?.message ?? '', new RegExp(`told to fail ${deed}`));
    assert.equal(await guestOn(house, server.host, id), 'running');
    assert.equal(house.core.images.images.size, 1);
    assert.deepEqual(await house.core.audit(), []);
  }
});

test('an unshelving that fails leaves the server shelved with its image', async () => {
  const id = await house.boot();
  await house.act(id, shelve);
  await house.ended(id);
  await house.put(id, { metadata: JSON.stringify({ 'fake:spawn': 'fail' }) });
  await house.act(id, unshelve);
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.taskState, server.host], ['shelved_offloaded', null, null]);
  assert.equal(house.core.images.images.size, 2);
  assert.deepEqual(await house.core.audit(), []);
  await house.put(id, { metadata: '{}' });
  await house.act(id, unshelve);
  assert.equal((await house.ended(id)).vmState, 'active');
});

test('a delete takes the image of a shelved server with it, and of one that is being shelved', async () => {
  const id = await house.boot('active', { 'fake:snapshot': 'slow:200' });
  await house.act(id, shelve);
  await house.core.until(
    () => house.server(id),
    (server) => server.taskState === 'shelving_image_uploading',
  );
  assert.equal((await house.ask(`DELETE /servers/${id}`)).status, 204);
  assert.equal((await house.core.settled(id))?.deleted, true);
  const other = await house.boot();
  await house.act(other, shelve);
  await house.ended(other);
  assert.equal((await house.ask(`DELETE /servers/${other}`)).status, 204);
  assert.equal((await house.core.settled(other))?.deleted, true);
});

test('after shelved_offload_time a shelved server leaves its host by itself', async () => {
  const quick = await openActHouse({
    hosts: 1,
    parts: { shelvedOffloadSeconds: 1 },
    conductor: { pollMs: 50, resendMs: 100, shelvedOffloadSeconds: 1, movesMs: 50 },
  });
  try {
    const id = await quick.boot();
    await quick.act(id, shelve);
    assert.equal((await quick.ended(id)).vmState, 'shelved');
    await quick.core.until(
      () => quick.server(id),
      (server) => server.vmState === 'shelved_offloaded',
    );
    await quick.core.quiet();
    assert.deepEqual(await quick.core.audit(), []);
  } finally {
    await quick.close();
  }
});

test('which states allow it', async () => {
  const id = await house.boot();
  for (const [state, body] of [
    ['rescued', shelve],
    ['resized', shelve],
    ['error', shelve],
    ['active', unshelve],
    ['stopped', unshelve],
  ] as const) {
    await house.put(id, { vm_state: state });
    const refused = await house.act(id, body);
    assert.deepEqual(
      [refused.status, message(refused)],
      [409, `Cannot '${Object.keys(body)[0]}' instance ${id} while it is in vm_state ${state}`],
    );
  }
});
