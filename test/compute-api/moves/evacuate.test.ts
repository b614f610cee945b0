import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { died } from '../../../src/services/conductor/run-job.ts';
import { type ActHouse, message, openActHouse } from '../acts/house.ts';

let house: ActHouse;
/** Points at which every conductor dies that comes to them, until they are taken out. */
const deadly = new Set<string>();
const passed = new Set<string>();
before(async () => {
  house = await openActHouse({
    hosts: 3,
    conductor: { pollMs: 50, resendMs: 100, leaseMs: 300 },
    onStep(kind, step, phase) {
      const point = `${kind}.${step}.${phase}`;
      passed.add(point);
      if (deadly.has(point)) throw died;
    },
  });
});
afterEach(async () => {
  await down(null);
  for (const agent of house.core.agents.values()) await agent.sync();
  await house.wipe();
  assert.deepEqual(await house.core.audit(), []);
});
after(() => house.close());

const admin = { as: 'admin', at: '2.94' } as const;
/** That host, and no other, is down. */
const down = (host: string | null) =>
  house.db.transaction(async (tx) => {
    await tx.updateTable('services').set({ forced_down: 0 }).execute();
    if (host !== null) await tx.updateTable('services').set({ forced_down: 1 }).where('host', '=', host).execute();
  });
const moves = (id: string) => house.db.read.selectFrom('server_migrations').selectAll().where('server_uuid', '=', id).execute();

for (const [state, at, result] of [
  ['active', '2.94', 'active'],
  ['stopped', '2.94', 'stopped'],
  ['error', '2.94', 'active'],
  ['active', '2.95', 'stopped'],
] as const)
  test(`a server that is ${state} is evacuated at ${at}: ${result} on another host`, async () => {
    const id = await house.boot(state === 'error' ? 'active' : state);
    if (state === 'error')
      await house.put(id, { vm_state: 'error', fault: JSON.stringify({ code: 500, message: 'x', details: null, created: 1 }) });
    const from = (await house.server(id)).host ?? '';
    await down(from);
    const since = systemClock.now();
    const answer = await house.act(id, { evacuate: {} }, { as: 'admin', at });
    assert.deepEqual([answer.status, answer.text], [200, '']);
    const server = await house.ended(id);
    assert.deepEqual([server.vmState, server.taskState, server.fault], [result, null, null]);
    assert.notEqual(server.host, from);
    assert.deepEqual(await house.tasks(id, since), ['rebuilding', 'rebuild_block_device_mapping', 'rebuild_spawning', null]);
    assert.equal((await house.core.drivers[server.host ?? '']?.guest(id))?.power, result === 'active' ? 'running' : undefined);
    assert.equal(house.core.network.hosts.get(id), server.host);
    const [move] = await moves(id);
    assert.deepEqual([move?.type, move?.status, move?.source_host, move?.dest_host], ['evacuation', 'done', from, server.host]);
    const record = await house.record(id);
    assert.deepEqual(
      [record?.action, record?.events.map((event) => event.event)],
      ['evacuate', ['rebuild_server', 'compute_rebuild_instance']],
    );
    // The old host returns, finds that the guest is no longer its own, and puts it away.
    await down(null);
    await house.core.agents.get(from)?.sync();
    assert.equal(await house.core.drivers[from]?.guest(id), undefined);
    assert.deepEqual(await house.core.audit(), []);
  });

test('a named host, forced or not, passwords, and what is refused', async () => {
  const id = await house.boot();
  const { host } = await house.server(id);
  const target = ['host-0', 'host-1', 'host-2'].find((one) => one !== host) ?? '';
  const up = await house.act(id, { evacuate: {} }, admin);
  assert.deepEqual([up.status, message(up)], [400, `Compute service of ${host} is still in use.`]);
  await down(host);
  for (const [body, at, status, as] of [
    [{ host }, '2.94', 400, 'admin'],
    [{ host: 'nowhere' }, '2.94', 404, 'admin'],
    [{ force: true }, '2.29', 400, 'admin'],
    [{ force: true, host: target }, '2.68', 400, 'admin'],
    [{}, '2.13', 400, 'admin'],
    [{ onSharedStorage: true, adminPass: 'x' }, '2.13', 400, 'admin'],
    [{ onSharedStorage: true }, '2.14', 400, 'admin'],
    [{}, '2.94', 403, 'demo'],
  ] as const)
    assert.equal((await house.act(id, { evacuate: body }, { as, at })).status, status, JSON.stringify(body));
  const answer = await house.act(id, { evacuate: { onSharedStorage: false, host: target } }, { as: 'admin', at: '2.1' });
  assert.equal(answer.status, 200);
  assert.ok(answer.body.adminPass.length > 8);
  assert.equal((await house.ended(id)).host, target);
});

test('an evacuation that fails leaves an error with its reason, and can be asked again', async () => {
  const id = await house.boot();
  await house.put(id, { metadata: JSON.stringify({ 'fake:spawn': 'fail' }) });
  const { host } = await house.server(id);
  await down(host);
  await house.act(id, { evacuate: {} }, admin);
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.taskState, server.host], ['error', null, host]);
  assert.match(server.fault?.message ?? '', /told to fail spawn/);
  assert.equal((await moves(id))[0]?.status, 'error');
  assert.deepEqual(await house.core.audit(), []);
  await house.put(id, { metadata: '{}' });
  await house.act(id, { evacuate: {} }, admin);
  assert.equal((await house.ended(id)).vmState, 'active');
});

test('asked for while a resize is leaving the host that is down now, it finds the server elsewhere and leaves it there', async () => {
  const id = await house.boot();
  const from = (await house.server(id)).host ?? '';
  deadly.add('move-server.arrive.before');
  try {
    assert.equal((await house.act(id, { resize: { flavorRef: '2' } })).status, 202);
    await house.core.until(
      async () => passed.has('move-server.arrive.before'),
      (there) => there,
    );
    await down(from);
    assert.equal((await house.act(id, { evacuate: {} }, admin)).status, 200);
  } finally {
    deadly.clear();
  }
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.taskState, server.flavor.flavorId], ['resized', null, '2']);
  assert.notEqual(server.host, from);
  assert.match(server.fault?.message ?? '', /no longer where or what it was/);
  assert.deepEqual(
    (await moves(id)).map((move) => [move.type, move.status]),
    [
      ['resize', 'finished'],
      ['evacuation', 'error'],
    ],
  );
  await down(null);
  assert.equal((await house.act(id, { confirmResize: null })).status, 204);
  assert.equal((await house.ended(id)).vmState, 'active');
  assert.deepEqual(await house.core.audit(), []);
});

test('what is being deleted is not evacuated', async () => {
  const id = await house.boot();
  await down((await house.server(id)).host);
  for (const task of ['deleting', 'soft-deleting']) {
    await house.put(id, { task_state: task });
    const refused = await house.act(id, { evacuate: {} }, admin);
    assert.deepEqual([refused.status, message(refused)], [409, `Cannot 'evacuate' instance ${id} while it is in task_state ${task}`]);
  }
  await house.put(id, { task_state: null });
});
