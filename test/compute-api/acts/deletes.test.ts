import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { volumeClient } from '../../../src/clients/volume.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { vmStates } from '../../../src/model/server-states.ts';
import { actRoutes } from '../../../src/services/compute-api/act-routes.ts';
import { conductorDefaults } from '../../../src/services/conductor/parts.ts';
import { reap } from '../../../src/services/conductor/reaper.ts';
import { acts } from './acts-table.ts';
import { type ActHouse, message, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse();
});
afterEach(() => house.wipe());
after(() => house.close());

const TASKS = [
  ...new Set(acts.flatMap((act) => act.tasks)),
  'spawning',
  'networking',
  'rebooting',
  'powering-off',
  'powering-on',
  'resize_prep',
  'migrating',
  'shelving',
  'unshelving',
  'soft-deleting',
  'restoring',
].filter((task): task is string => task !== null);

test('a delete is taken in every state and during every task, and ends the server', async () => {
  for (const state of vmStates.filter((one) => one !== 'deleted')) {
    const id = await house.boot(state);
    assert.equal((await house.ask(`DELETE /servers/${id}`)).status, 204, state);
    assert.equal((await house.ended(id)).deleted, true, state);
  }
  for (const task of TASKS) {
    const id = await house.boot();
    await house.put(id, { task_state: task });
    assert.equal((await house.ask(`DELETE /servers/${id}`)).status, 204, task);
    assert.equal((await house.ended(id)).deleted, true, task);
    const record = await house.record(id);
    assert.deepEqual([record?.action, record?.events[0]?.event, record?.message], ['delete', 'compute_terminate_instance', null]);
  }
  assert.deepEqual(await house.core.audit(), []);
});

test('a delete overtakes each action that is under way, and nothing is left', async () => {
  const images = house.core.images.images.size;
  for (const act of acts) {
    const id = await house.boot(act.from, act.deed === 'spawn' ? {} : { [`fake:${act.deed}`]: 'slow:250' });
    if (act.deed === 'spawn') await house.put(id, { metadata: '{"fake:spawn":"slow:250"}' });
    await house.act(id, act.body, act.at ? { at: act.at } : {});
    await house.core.until(
      async () => (await house.record(id))?.events.length,
      (events) => events === act.events.length,
    );
    const record = await house.record(id);
    assert.equal((await house.ask(`DELETE /servers/${id}`)).status, 204, act.name);
    assert.equal((await house.ended(id)).deleted, true, act.name);
    const { message: said } = await house.db.read
      .selectFrom('server_actions')
      .select('message')
      .where('id', '=', record?.id ?? 0)
      .executeTakeFirstOrThrow();
    assert.equal(said, 'Error', `${act.name} was not ended in the history`);
  }
  assert.equal(house.core.images.images.size, images);
  await house.core.until(house.core.audit, (wrong) => wrong.length === 0, 3000);
});

test('no task outlives its deadline: one that nobody works on ends with the reason', async () => {
  const parts = {
    db: house.db,
    bus: house.core.bus,
    clock: systemClock,
    log: silentLog,
    network: house.core.network,
    images: house.core.images.conductor,
    volumes: volumeClient(null),
    changed: () => {},
    options: { ...conductorDefaults, name: 'r', host: 'r' },
  };
  for (const task of TASKS.filter((one) => one !== 'restoring')) {
    const id = await house.boot();
    await house.put(id, { task_state: task, task_deadline: systemClock.now() + 60_000_000 });
    await reap(parts);
    assert.equal((await house.server(id)).taskState, task, 'it has time');
    await house.put(id, { task_deadline: systemClock.now() - 1 });
    await reap(parts);
    const server = await house.ended(id);
    assert.deepEqual([server.taskState, server.vmState], [null, task.startsWith('rebuild') ? 'error' : 'active'], task);
    assert.match(server.fault?.message ?? '', /ended without an outcome/);
  }
});

test('a task whose job is past its deadline ends as its action’s failure, with the reason', async () => {
  const silent = await openActHouse();
  try {
    const id = await silent.boot();
    await silent.core.agents.get('host-0')?.stop(); // its host still counts as up for a while
    silent.core.agents.delete('host-0');
    await silent.act(id, { pause: null });
    await silent.core.until(
      async () => (await silent.record(id))?.events.length,
      (events) => events === 1,
    );
    assert.equal((await silent.server(id)).taskState, 'pausing');
    await silent.db.transaction((tx) => tx.updateTable('jobs').set({ deadline: 1 }).where('server_uuid', '=', id).execute());
    const server = await silent.ended(id);
    assert.deepEqual([server.vmState, server.taskState], ['active', null]);
    assert.match(server.fault?.message ?? '', /^The job act-on-server did not end within .* it stood at the step act\.$/);
    assert.equal((await silent.record(id))?.message, 'Error');
  } finally {
    await silent.close();
  }
});

test('every route of these acts: others’ servers are not there, readers only read', async () => {
  const id = await house.boot();
  const bodies: Readonly<Record<string, object>> = {
    trigger_crash_dump: { trigger_crash_dump: null },
    'os-resetState': { 'os-resetState': { state: 'active' } },
    ...Object.fromEntries(acts.map((act) => [Object.keys(act.body)[0] ?? '', act.body])),
  };
  for (const key of Object.keys(actRoutes)) {
    const [method = '', rest = ''] = key.split(' ');
    const [path = '', word] = rest.split('#');
    const url = path.replace(':id', id).replace(':shareId', 'e8debdc0-447a-4376-a10a-4cd9122d7986');
    const share = { share: { share_id: 'e8debdc0-447a-4376-a10a-4cd9122d7986' } };
    const body = word ? (bodies[word] ?? { [word]: null }) : method === 'POST' ? share : undefined;
    const asked = { at: '2.104', ...(body === undefined ? {} : { body }) };
    const foreign = await house.ask(`${method} ${url}`, { ...asked, as: 'other' });
    assert.deepEqual([foreign.status, message(foreign)], [404, `Instance ${id} could not be found.`], key);
    const powerless = await house.ask(`${method} ${url}`, { ...asked, as: 'reader' });
    const read = method === 'GET' && !path.endsWith('diagnostics');
    assert.equal(powerless.status, read ? (path.endsWith(':shareId') ? 404 : 200) : 403, `${key}: ${powerless.text}`);
    const unknown = await house.ask(`${method} ${url.replace(id, 'nobody')}`, { ...asked });
    assert.equal(unknown.status, 404, key);
  }
});
