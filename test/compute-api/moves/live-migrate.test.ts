import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { type ActHouse, message, openActHouse } from '../acts/house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse({ hosts: 3 });
});
afterEach(async () => {
  await house.wipe();
  assert.deepEqual(await house.core.audit(), []);
});
after(() => house.close());

const live = (host: string | null = null, more: object = {}) => ({ 'os-migrateLive': { host, block_migration: 'auto', ...more } });
const admin = { as: 'admin', at: '2.34' } as const;
const migrationsOf = (id: string) =>
  house.db.read.selectFrom('server_migrations').selectAll().where('server_uuid', '=', id).orderBy('id').execute();
const guestOn = async (host: string | null, id: string) => (await house.core.drivers[host ?? '']?.guest(id))?.power;
const running = (id: string) =>
  house.core.until(
    () => migrationsOf(id),
    ([move]) => move?.status === 'running' && move.progress !== '{}',
  );

for (const state of ['active', 'paused'] as const)
  test(`a server that is ${state} goes to another host as it is`, async () => {
    const id = await house.boot(state);
    const from = (await house.server(id)).host;
    const since = systemClock.now();
    assert.equal((await house.act(id, live(), admin)).status, 202);
    const server = await house.ended(id);
    assert.deepEqual([server.vmState, server.taskState], [state, null], server.fault?.message);
    assert.notEqual(server.host, from);
    assert.deepEqual(await house.tasks(id, since), ['migrating', null]);
    assert.deepEqual([await guestOn(from, id), await guestOn(server.host, id)], [undefined, state === 'active' ? 'running' : 'paused']);
    assert.equal(house.core.network.hosts.get(id), server.host);
    const [move] = await migrationsOf(id);
    assert.deepEqual([move?.type, move?.status, move?.source_host, move?.dest_host], ['live-migration', 'completed', from, server.host]);
    const record = await house.record(id);
    assert.deepEqual([record?.action, record?.message], ['live-migration', null]);
    assert.deepEqual(
      record?.events.map((event) => event.event),
      [
        'conductor_live_migrate_instance',
        'compute_check_can_live_migrate_destination',
        'compute_check_can_live_migrate_source',
        'compute_pre_live_migration',
        'compute_live_migration',
        'compute_post_live_migration_at_destination',
      ],
    );
    assert.deepEqual(await house.core.audit(), []);
  });

test('to a named host, forced or asked of the scheduler; and what is refused', async () => {
  const id = await house.boot();
  const { host } = await house.server(id);
  const target = ['host-0', 'host-1', 'host-2'].find((one) => one !== host) ?? '';
  const old = { 'os-migrateLive': { host: target, block_migration: false, disk_over_commit: false } };
  for (const [body, at, status, as] of [
    [live(host), '2.34', 400, 'admin'],
    [live('nowhere'), '2.34', 400, 'admin'],
    [live(null, { force: true }), '2.30', 400, 'admin'],
    [live(target, { force: true }), '2.68', 400, 'admin'],
    [live(target), '2.24', 400, 'admin'],
    [old, '2.25', 400, 'admin'],
    [live(), '2.34', 403, 'demo'],
  ] as const)
    assert.equal((await house.act(id, body, { as, at })).status, status, JSON.stringify(body));
  await house.db.transaction((tx) => tx.updateTable('services').set({ disabled: 1 }).where('host', '=', target).execute());
  assert.equal((await house.act(id, live(target), admin)).status, 202);
  const kept = await house.ended(id);
  assert.deepEqual([kept.host, kept.vmState, (await migrationsOf(id))[0]?.status], [host, 'active', 'error']);
  // Before 2.30 a named host is taken as it is.
  assert.equal((await house.act(id, old, { as: 'admin', at: '2.1' })).status, 202);
  assert.equal((await house.ended(id)).host, target);
  await house.db.transaction((tx) => tx.updateTable('services').set({ disabled: 0 }).execute());
});

test('of two that leave one host the second waits its turn; it can be given up while it waits, and goes when the first has ended', async () => {
  const ids: string[] = [];
  for (let made = 0; made < 4; made++) ids.push(await house.boot('active', { 'fake:migrateLive': 'slow:60000' }));
  const hosts = await Promise.all(ids.map(async (id) => (await house.server(id)).host));
  const full = hosts.find((host, at) => hosts.indexOf(host) !== at);
  const [first = '', second = ''] = ids.filter((_id, at) => hosts[at] === full);
  const abort = async (id: string) =>
    house.ask(`DELETE /servers/${id}/migrations/${(await migrationsOf(id)).at(-1)?.id}`, { as: 'admin', at: '2.24' });
  const stays = (id: string) =>
    house.core.until(
      () => house.server(id),
      (server) => server.taskState === null,
    );
  await house.act(first, live(), admin);
  await running(first);
  for (const how of ['given up', 'goes']) {
    await house.act(second, live(), admin);
    await house.core.until(
      () => migrationsOf(second),
      (rows) => rows.at(-1)?.status === 'running',
    );
    assert.equal((await migrationsOf(second)).at(-1)?.progress, '{}', 'nothing moves yet');
    if (how === 'goes') {
      await abort(first);
      await stays(first);
      await house.core.until(
        () => migrationsOf(second),
        (rows) => rows.at(-1)?.progress !== '{}',
      );
    }
    assert.equal((await abort(second)).status, 202);
    await stays(second);
    assert.equal((await migrationsOf(second)).at(-1)?.status, 'cancelled');
  }
});

test('on its way it can be listed, shown, aborted and forced to its end', async () => {
  const id = await house.boot('active', { 'fake:migrateLive': 'slow:60000' });
  const from = (await house.server(id)).host;
  await house.act(id, live(), admin);
  const [row] = await running(id);
  assert.equal((await house.server(id)).progress, 50, 'how much of its memory is there');
  const list = await house.ask(`GET /servers/${id}/migrations`, { as: 'admin', at: '2.80' });
  assert.equal(list.status, 200, list.text);
  const [shown] = list.body.migrations;
  assert.deepEqual(
    [shown.id, shown.status, shown.memory_total_bytes, shown.memory_remaining_bytes],
    [row?.id, 'running', 512 * 1024 ** 2, 256 * 1024 ** 2],
  );
  const one = await house.ask(`GET /servers/${id}/migrations/${row?.id}`, { as: 'admin', at: '2.80' });
  assert.deepEqual(one.body.migration, shown);
  const all = await house.ask('GET /os-migrations?status=running', { as: 'admin', at: '2.80' });
  assert.equal(all.body.migrations[0].links.length, 2);
  assert.equal((await house.ask(`DELETE /servers/${id}/migrations/${row?.id}`, { as: 'admin', at: '2.23' })).status, 404);
  assert.equal((await house.ask(`DELETE /servers/${id}/migrations/999`, { as: 'admin', at: '2.24' })).status, 404);

  assert.equal((await house.ask(`DELETE /servers/${id}/migrations/${row?.id}`, { as: 'admin', at: '2.24' })).status, 202);
  const server = await house.ended(id);
  assert.deepEqual([server.host, server.vmState, server.taskState, server.fault, server.progress], [from, 'active', null, null, 0]);
  assert.equal((await migrationsOf(id))[0]?.status, 'cancelled');
  assert.equal(await guestOn(from, id), 'running');
  const cancel = await house.record(id);
  assert.deepEqual(
    [cancel?.action, cancel?.message, cancel?.events.map((event) => event.event)],
    ['live_migration_cancel', null, ['compute_live_migration_abort']],
  );
  assert.ok(cancel?.finished_at);
  assert.equal((await house.ask(`GET /servers/${id}/migrations/${row?.id}`, { as: 'admin', at: '2.80' })).status, 404);
  assert.equal((await house.ask(`DELETE /servers/${id}/migrations/${row?.id}`, { as: 'admin', at: '2.24' })).status, 409);
  assert.deepEqual(await house.core.audit(), []);

  await house.act(id, live(), admin);
  const forced = (
    await house.core.until(
      () => migrationsOf(id),
      (rows) => rows[1]?.status === 'running' && rows[1].progress !== '{}',
    )
  )[1];
  const path = `POST /servers/${id}/migrations/${forced?.id}/action`;
  assert.equal((await house.ask(path, { as: 'admin', at: '2.22', body: { force_complete: 1 } })).status, 400);
  assert.equal((await house.ask(path, { as: 'admin', at: '2.22', body: { force_complete: null } })).status, 202);
  const there = await house.ended(id);
  assert.notEqual(there.host, from);
  assert.equal((await migrationsOf(id))[1]?.status, 'completed');
  assert.deepEqual(
    (await house.record(id))?.events.map((event) => event.event),
    ['compute_live_migration_force_complete'],
  );
});

test('a queued migration is aborted from 2.65 on', async () => {
  const id = await house.boot('active');
  await house.put(id, { metadata: JSON.stringify({ 'fake:prepareIncoming': 'slow:300' }) });
  await house.act(id, live(), admin);
  const [row] = await house.core.until(
    () => migrationsOf(id),
    ([move]) => move?.status === 'preparing',
  );
  const early = await house.ask(`DELETE /servers/${id}/migrations/${row?.id}`, { as: 'admin', at: '2.64' });
  assert.deepEqual([early.status, /Cannot abort while the migration is in this state/.test(message(early))], [400, true]);
  assert.equal((await house.ask(`DELETE /servers/${id}/migrations/${row?.id}`, { as: 'admin', at: '2.65' })).status, 202);
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.taskState, (await migrationsOf(id))[0]?.status], ['active', null, 'cancelled']);
  assert.deepEqual(await house.core.audit(), []);
});

for (const deed of ['prepareIncoming', 'migrateLive'] as const)
  test(`when ${deed} fails it runs on where it was`, async () => {
    const told = { [`fake:${deed}`]: 'fail' };
    const id = await house.boot('active', deed === 'migrateLive' ? told : {});
    await house.put(id, { metadata: JSON.stringify(told) });
    const { host } = await house.server(id);
    await house.act(id, live(), admin);
    const server = await house.ended(id);
    assert.deepEqual([server.vmState, server.taskState, server.host], ['active', null, host]);
    assert.match(server.fault?.message ?? '', new RegExp(`told to fail ${deed}`));
    assert.equal(await guestOn(host, id), 'running');
    assert.equal((await migrationsOf(id))[0]?.status, 'error');
    assert.equal((await house.record(id))?.events.at(-1)?.event, 'compute_rollback_live_migration_at_destination');
    assert.deepEqual(await house.core.audit(), []);
  });

test('a delete in the middle of it leaves nothing on either host', async () => {
  const id = await house.boot('active', { 'fake:migrateLive': 'slow:60000' });
  await house.act(id, live(), admin);
  await running(id);
  assert.equal((await house.ask(`DELETE /servers/${id}`)).status, 204);
  assert.equal((await house.core.settled(id))?.deleted, true);
  await house.core.quiet();
  for (const driver of Object.values(house.core.drivers)) assert.equal(await driver.guest(id), undefined);
  assert.equal((await migrationsOf(id))[0]?.status, 'cancelled');
});

const down = (host: string | null, yes: boolean) =>
  house.db.transaction((tx) =>
    tx
      .updateTable('services')
      .set({ forced_down: yes ? 1 : 0 })
      .where('host', '=', host ?? '')
      .execute(),
  );
/** The job is looked at again at once. */
const look = (id: string, set: { deadline?: number } = {}) =>
  house.db.transaction((tx) =>
    tx
      .updateTable('jobs')
      .set({ not_before: 0, ...set })
      .where('server_uuid', '=', id)
      .execute(),
  );

for (const how of ['goes down', 'does not answer'] as const)
  test(`a target that ${how} in the middle of it: it is given up, and the server runs on and is free at once`, async () => {
    const id = await house.boot('active', { 'fake:migrateLive': 'slow:60000' });
    const { host } = await house.server(id);
    await house.act(id, live(), admin);
    const dest = (await running(id))[0]?.dest_host ?? '';
    if (how === 'goes down') await down(dest, true);
    else await house.core.agents.get(dest)?.stop(); // the cloud does not know yet
    await look(id, how === 'goes down' ? {} : { deadline: 1 });
    const server = await house.core.until(
      () => house.server(id),
      (seen) => seen.taskState === null,
      10_000,
    );
    assert.deepEqual([server.vmState, server.host], ['active', host]);
    assert.match(server.fault?.message ?? '', how === 'goes down' ? /does not answer any more/ : /did not end within/);
    assert.equal(await guestOn(host, id), 'running');
    assert.equal((await migrationsOf(id))[0]?.status, 'error');
    await down(dest, false);
    if (how !== 'goes down') await house.core.startAgent(dest);
    // The host that was down puts away what it had when it compares the next time.
    await house.core.agents.get(dest)?.sync();
  });

for (const [told, where, cause] of [
  ['lost-there', 'dest', /lost on its way .* on the host it went to/],
  ['lost-here', 'source', /lost on its way .* where it was/],
] as const)
  test(`memory that is ${told} after the guest was handed over: ERROR at the ${where}, a hard reboot starts it`, async () => {
    const id = await house.boot('active', { 'fake:migrateLive': told });
    const { host } = await house.server(id);
    await house.act(id, live(), admin);
    const server = await house.ended(id);
    const [move] = await migrationsOf(id);
    const home = where === 'dest' ? move?.dest_host : host;
    assert.deepEqual([server.vmState, server.host, server.powerState, move?.status], ['error', home, 6, 'error']);
    assert.match(server.fault?.message ?? '', cause);
    assert.equal(house.core.network.hosts.get(id), home);
    await house.core.quiet();
    assert.deepEqual(await house.core.audit(), []);
    for (const [name, driver] of Object.entries(house.core.drivers))
      if (name !== home) assert.equal(await driver.guest(id), undefined, name);
    assert.equal((await house.act(id, { reboot: { type: 'HARD' } })).status, 202);
    assert.equal((await house.ended(id)).vmState, 'active');
  });

for (const found of ['whole', 'lost', 'none'] as const)
  test(`the host it is on goes down in the middle of it, and the other one has it ${found}`, async () => {
    const id = await house.boot('active', { 'fake:migrateLive': 'slow:60000', 'fake:claimIncoming': found });
    const { host } = await house.server(id);
    await house.act(id, live(), admin);
    const dest = (await running(id))[0]?.dest_host ?? '';
    await house.core.agents.get(host ?? '')?.stop();
    await down(host, true);
    await look(id);
    const server = await house.core.until(
      () => house.server(id),
      (seen) => seen.taskState === null,
      10_000,
    );
    const status = found === 'whole' ? 'completed' : 'error';
    const state = found === 'lost' ? 'error' : 'active';
    assert.deepEqual(
      [server.vmState, server.host, (await migrationsOf(id))[0]?.status],
      [state, found === 'none' ? host : dest, status],
      server.fault?.message,
    );
    if (found === 'whole') assert.equal(server.fault, null);
    else assert.match(server.fault?.message ?? '', found === 'lost' ? /host it was on went down/ : /that runs this server is down/);
    assert.equal(house.core.network.hosts.get(id), server.host);
    await down(host, false);
    await (await house.core.startAgent(host ?? '')).sync();
  });

test('lists of migrations: filters, pages, times, whose they are, and what they show at each version', async () => {
  const ids: string[] = [];
  for (let at = 0; at < 3; at++) {
    const id = await house.boot();
    ids.push(id);
    await house.act(id, at === 0 ? { migrate: null } : live(), admin);
    await house.ended(id);
  }
  const list = async (query: string, more: object = {}) => {
    const answer = await house.ask(`GET /os-migrations?${query}`, { as: 'admin', at: '2.80', ...more });
    assert.equal(answer.status, 200, answer.text);
    return answer.body as { migrations: Record<string, unknown>[]; migrations_links?: { href: string }[] };
  };
  assert.deepEqual(
    (await list(`instance_uuid=${ids[0]}`)).migrations.map((one) => one.migration_type),
    ['migration'],
  );
  assert.ok((await list('migration_type=live-migration')).migrations.every((one) => one.migration_type === 'live-migration'));
  assert.equal((await list('hidden=1')).migrations.length, 0);
  assert.equal((await list('user_id=nobody')).migrations.length, 0);
  const first = await list('limit=2');
  assert.equal(first.migrations.length, 2);
  const second = await list(`limit=2&marker=${first.migrations[1]?.uuid}`);
  assert.ok(Number(second.migrations[0]?.id) < Number(first.migrations[1]?.id));
  assert.match(first.migrations_links?.[0]?.href ?? '', /marker=/);
  assert.equal((await list('changes-before=2001-01-01T00:00:00Z')).migrations.length, 0);
  const keys = (at: string) => list('', { at }).then((body) => Object.keys(body.migrations[0] ?? {}).sort());
  const old = [
    'created_at',
    'dest_compute',
    'dest_host',
    'dest_node',
    'id',
    'instance_uuid',
    'new_instance_type_id',
    'old_instance_type_id',
    'source_compute',
    'source_node',
    'status',
    'updated_at',
  ];
  assert.deepEqual(await keys('2.1'), old);
  assert.deepEqual(await keys('2.23'), [...old, 'migration_type'].sort());
  assert.deepEqual(await keys('2.59'), [...old, 'migration_type', 'uuid'].sort());
  assert.deepEqual(await keys('2.80'), [...old, 'migration_type', 'uuid', 'user_id', 'project_id'].sort());
  for (const [query, at] of [
    ['marker=nothing', '2.59'],
    ['limit=x', '2.59'],
    ['changes-before=2001-01-01', '2.65'],
    ['user_id=x', '2.79'],
    ['foo=1', '2.59'],
    ['changes-since=2020-01-01T00:00:00Z&changes-before=2019-01-01T00:00:00Z', '2.66'],
  ] as const)
    assert.equal((await house.ask(`GET /os-migrations?${query}`, { as: 'admin', at })).status, 400, query);
  assert.equal((await house.ask('GET /os-migrations', { as: 'demo', at: '2.80' })).status, 403);
});
