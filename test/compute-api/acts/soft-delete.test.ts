import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { volumeClient } from '../../../src/clients/volume.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { conductorDefaults } from '../../../src/services/conductor/parts.ts';
import { reap } from '../../../src/services/conductor/reaper.ts';
import { died } from '../../../src/services/conductor/run-job.ts';
import { callers } from '../../support/compute-api.ts';
import { type ActHouse, DEMO_PROJECT, IMAGE, message, openActHouse } from './house.ts';

let house: ActHouse;
/** Points at which every conductor dies that comes to them, until they are taken out. */
const deadly = new Set<string>();
const passed: string[] = [];
before(async () => {
  house = await openActHouse({
    conductor: { pollMs: 50, resendMs: 100, leaseMs: 300 },
    onStep(kind, step, phase) {
      const point = `${kind}.${step}.${phase}`;
      passed.push(point);
      if (deadly.has(point)) throw died;
    },
    parts: { reclaimSeconds: 3600, resizeToSameHost: true, quotas: { instances: 2, cores: -1, ram: -1 } },
  });
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

const reaches = (point: string) =>
  house.core.until(
    async () => passed.includes(point),
    (there) => there,
  );

test('asked for while a resize is on its way it comes next, and the end of the resize opens no door to another task', async () => {
  for (const [flavor, other] of [
    ['1', '3'],
    ['3', '1'],
  ] as const) {
    const made = await house.ask('POST /servers', { body: { server: { name: 'web', imageRef: IMAGE, flavorRef: flavor } } });
    const id: string = made.body.server.id;
    await house.ended(id);
    passed.length = 0;
    deadly.add('move-server.arrive.before').add('act-on-server.act.before');
    assert.equal((await house.act(id, { resize: { flavorRef: other } })).status, 202);
    await reaches('move-server.arrive.before');
    assert.equal((await remove(id)).status, 204);
    deadly.delete('move-server.arrive.before');
    await reaches('act-on-server.act.before');
    const between = await house.server(id);
    assert.deepEqual([between.vmState, between.taskState], ['resized', 'soft-deleting']);
    for (const word of ['revertResize', 'confirmResize']) {
      const refused = await house.act(id, { [word]: null });
      assert.deepEqual(
        [refused.status, message(refused)],
        [409, `Cannot '${word}' instance ${id} while it is in task_state soft-deleting`],
      );
    }
    deadly.clear();
    const resting = await house.ended(id);
    assert.deepEqual([resting.vmState, resting.flavor.flavorId], ['soft-delete', other]);
    assert.deepEqual(await house.core.audit(), []);
    assert.equal((await house.act(id, { restore: null })).status, 202);
    assert.equal((await house.ended(id)).vmState, 'active');
    assert.deepEqual(await house.core.audit(), []);
    await house.wipe();
    assert.deepEqual(await house.core.audit(), []);
  }
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
