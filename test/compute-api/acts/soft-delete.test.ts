import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { volumeClient } from '../../../src/clients/volume.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { conductorDefaults } from '../../../src/services/conductor/parts.ts';
import { reap } from '../../../src/services/conductor/reaper.ts';
import { callers } from '../../support/compute-api.ts';
import { type ActHouse, DEMO_PROJECT, message, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse({ parts: { reclaimSeconds: 3600, quotas: { instances: 2, cores: -1, ram: -1 } } });
});
afterEach(() => house.wipe());
after(() => house.close());
const used = async () => {
  const row = await house.db.read
    .selectFrom('quota_usages')
    .select('used')
    .where('project_id', '=', DEMO_PROJECT)
    .where('resource', '=', 'instances')
    .executeTakeFirst();
  return row?.used;
};
const remove = (id: string) => house.ask(`DELETE /servers/${id}`);

test('a delete keeps the server for a while, turned off and without quota; restore brings it back', async () => {
  const id = await house.boot();
  const since = systemClock.now();
  assert.equal((await remove(id)).status, 204);
  const resting = await house.ended(id);
  assert.deepEqual([resting.vmState, resting.powerState, await used()], ['soft-delete', 4, 0]);
  assert.deepEqual(await house.tasks(id, since), ['soft-deleting', null]);
  const record = await house.record(id);
  assert.deepEqual([record?.action, record?.events.map((one) => one.event)], ['delete', ['compute_soft_delete_instance']]);
  assert.equal((await house.ask(`GET /servers/${id}`)).body.server.status, 'SOFT_DELETED');
  assert.equal((await remove(id)).status, 204, 'again');
  assert.equal((await house.record(id))?.id, record?.id);
  assert.deepEqual(await house.core.audit(), []);

  const back = systemClock.now();
  assert.equal((await house.act(id, { restore: null })).status, 202);
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.powerState, await used(), server.softDeletedAt], ['active', 1, 1, null]);
  assert.deepEqual(await house.tasks(id, back), ['restoring', null]);
  const noted = await house.record(id);
  assert.deepEqual([noted?.action, noted?.events.map((one) => one.event)], ['restore', ['compute_restore_instance']]);
  assert.deepEqual(await house.core.audit(), []);
});

test('restore asks a user’s own limit too; what rests is not counted', async () => {
  const set = (instances: number) =>
    house.ask(`PUT /os-quota-sets/${DEMO_PROJECT}?user_id=${callers.demo?.userId}`, { as: 'admin', body: { quota_set: { instances } } });
  const id = await house.boot();
  await remove(id);
  await house.ended(id);
  const detail = (await house.ask(`GET /os-quota-sets/${DEMO_PROJECT}/detail?user_id=${callers.demo?.userId}`, { as: 'admin' })).body;
  assert.equal(detail.quota_set.instances.in_use, 0);
  assert.equal((await set(1)).status, 200);
  try {
    const one = await house.boot();
    const refused = await house.act(id, { restore: null });
    assert.deepEqual(
      [refused.status, message(refused)],
      [403, 'Quota exceeded for instances: Requested 1, but already used 1 of 1 instances'],
    );
    await house.act(one, { forceDelete: null });
    await house.core.until(
      () => house.server(one),
      (server) => server.deleted,
    );
    assert.equal((await house.act(id, { restore: null })).status, 202);
    assert.equal((await house.ended(id)).vmState, 'active');
  } finally {
    await house.db.transaction((tx) => tx.deleteFrom('quota_limits').execute());
  }
});

test('restore asks quota again; a failed one gives it back', async () => {
  const id = await house.boot();
  await remove(id);
  await house.ended(id);
  const one = await house.boot();
  await house.boot();
  const refused = await house.act(id, { restore: null });
  assert.deepEqual(
    [refused.status, message(refused)],
    [403, 'Quota exceeded for instances: Requested 1, but already used 2 of 2 instances'],
  );
  assert.deepEqual([(await house.server(id)).vmState, (await house.server(id)).taskState], ['soft-delete', null]);
  await house.act(one, { forceDelete: null });
  await house.core.quiet();
  const broken = await house.boot('active', { 'fake:powerOn': 'fail' });
  await remove(broken);
  await house.ended(broken);
  await house.act(broken, { restore: null });
  const server = await house.ended(broken);
  assert.deepEqual([server.vmState, await used()], ['soft-delete', 1]);
  assert.match(server.fault?.message ?? '', /told to fail powerOn/);
  assert.deepEqual(await house.core.audit(), []);
});

test('only what was deleted softly can be restored', async () => {
  const id = await house.boot();
  for (const state of ['active', 'stopped', 'error', 'shelved', 'building']) {
    await house.put(id, { vm_state: state });
    const refused = await house.act(id, { restore: null });
    assert.deepEqual([refused.status, message(refused)], [409, `Cannot 'restore' instance ${id} while it is in vm_state ${state}`]);
  }
  await house.put(id, { vm_state: 'soft-delete', locked: 1 });
  assert.equal((await house.act(id, { restore: null })).status, 409);
  assert.equal((await house.act(id, { restore: null }, { as: 'other' })).status, 404);
});

test('a soft delete that fails gives nothing back', async () => {
  const id = await house.boot('active', { 'fake:powerOff': 'fail' });
  await remove(id);
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.taskState, server.softDeletedAt, await used()], ['active', null, null, 1]);
  assert.deepEqual(await house.core.audit(), []);
});

test('an operator’s reset of a softly deleted server counts it again', async () => {
  const id = await house.boot();
  await remove(id);
  await house.ended(id);
  await house.act(id, { 'os-resetState': { state: 'active' } }, { as: 'admin' });
  assert.equal(await used(), 1);
});

test('after its time it is reclaimed, not before; a restore whose job vanished is deleted softly again', async () => {
  const [old, fresh] = [await house.boot(), await house.boot()];
  for (const id of [old, fresh]) await remove(id);
  await house.core.quiet();
  const now = systemClock.now();
  await house.put(old, { soft_deleted_at: now - 3601_000_000 });
  await house.put(fresh, { soft_deleted_at: now - 3500_000_000 });
  const parts = {
    db: house.db,
    bus: house.core.bus,
    clock: systemClock,
    log: silentLog,
    network: house.core.network,
    images: house.core.images.conductor,
    volumes: volumeClient(null),
    changed: () => {},
  };
  const reaper = (reclaimSeconds: number) => reap({ ...parts, options: { ...conductorDefaults, name: 'r', host: 'r', reclaimSeconds } });
  await reaper(0);
  assert.equal((await house.ended(old)).deleted, false, 'without the option nothing goes by itself');
  await reaper(3600);
  assert.equal((await house.ended(old)).deleted, true);
  assert.equal((await house.ended(fresh)).deleted, false);
  await house.act(fresh, { restore: null });
  await house.ended(fresh);
  await house.put(fresh, { vm_state: 'soft-delete', task_state: 'restoring', task_deadline: 1 });
  await reaper(3600);
  const again = await house.server(fresh);
  assert.deepEqual([again.taskState, again.softDeletedAt !== null, await used()], [null, true, 0]);
});

// Last: rows that name no true host leave guests behind.
test('force delete, and what is not soft: never launched, on no host, on a host that is down', async () => {
  const id = await house.boot();
  await remove(id);
  await house.ended(id);
  assert.equal((await house.act(id, { forceDelete: null })).status, 202);
  assert.equal((await house.ended(id)).deleted, true);
  assert.equal(await used(), 0);
  for (const set of [{ launched_at: null }, { vm_state: 'shelved_offloaded', host: null }, { host: 'gone' }]) {
    const one = await house.boot();
    await house.put(one, set);
    assert.equal((await remove(one)).status, 204);
    assert.equal((await house.ended(one)).deleted, true, JSON.stringify(set));
  }
});
