import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { serverRoutes } from '../../../src/services/compute-api/server-routes.ts';
import { catalogue } from './catalogue.ts';
import { type House, openHouse, type Person } from './house.ts';

let house: House;
let id: string;
before(async () => {
  house = await openHouse({ quotas: { instances: -1, cores: -1, ram: -1, metadata_items: 3 } });
});
after(() => house.close());
beforeEach(async () => {
  id = await house.boot('web', { metadata: { a: '1' } });
});
const rowOf = (uuid: string) => house.db.read.selectFrom('servers').selectAll().where('uuid', '=', uuid).executeTakeFirstOrThrow();
const jobsOf = (uuid: string) => house.db.read.selectFrom('jobs').selectAll().where('server_uuid', '=', uuid).orderBy('id').execute();
const act = (body: object, as: Person = 'demo') => house.call('POST', `/servers/${id}/action`, { body, as });
const message = (answer: { body: Record<string, { message: string }> }) => Object.values(answer.body)[0]?.message;

test('start, stop and reboot write task state, deadline, action and job', async () => {
  for (const [body, from, taskState, action, name] of [
    [{ 'os-stop': null }, 'active', 'powering-off', 'stop', 'stop'],
    [{ 'os-start': null }, 'stopped', 'powering-on', 'start', 'start'],
    [{ reboot: { type: 'soft' } }, 'active', 'rebooting', 'reboot-soft', 'reboot'],
    [{ reboot: { type: 'HARD' } }, 'error', 'rebooting_hard', 'reboot-hard', 'reboot'],
  ] as const) {
    await house.activate(id, { vm_state: from });
    const before = await rowOf(id);
    house.rung.length = 0;
    const answer = await act(body);
    assert.equal(answer.status, 202, answer.text);
    assert.equal(answer.text, '');
    const row = await rowOf(id);
    assert.equal(row.task_state, taskState);
    assert.ok((row.task_deadline ?? 0) > house.clock.now());
    assert.equal(row.revision, before.revision + 1);
    const job = (await jobsOf(id)).at(-1);
    assert.equal(job?.kind, 'act-on-server');
    assert.deepEqual(JSON.parse(job?.input ?? ''), {
      serverUuid: id,
      action,
      args: action.startsWith('reboot') ? { how: action.slice(7) } : {},
      vmStateBefore: from,
    });
    const actions = await house.db.read.selectFrom('server_actions').select('action').where('server_uuid', '=', id).orderBy('id').execute();
    assert.equal(actions.at(-1)?.action, name);
    assert.deepEqual(house.rung, ['jobs']);
  }
});

test('409s name the state that stands in the way', async () => {
  assert.equal(message(await act({ 'os-stop': null })), `Cannot 'stop' instance ${id} while it is in vm_state building`);
  await house.activate(id);
  assert.equal(message(await act({ 'os-start': null })), `Cannot 'start' instance ${id} while it is in vm_state active`);
  await house.activate(id, { task_state: 'powering-off' });
  const busy = await act({ 'os-stop': null });
  assert.equal(busy.status, 409);
  assert.equal(message(busy), `Cannot 'stop' instance ${id} while it is in task_state powering-off`);
  await house.activate(id, { vm_state: 'error', launched_at: null });
  assert.equal(message(await act({ 'os-stop': null })), `Instance ${id} is in an invalid state for 'stop'`);
  await house.activate(id, { host: null });
  assert.equal(message(await act({ 'os-stop': null })), `Instance ${id} is not ready`);
  await house.activate(id, { vm_state: 'paused' });
  assert.equal((await act({ reboot: { type: 'SOFT' } })).status, 409);
  assert.equal((await act({ reboot: { type: 'HARD' } })).status, 202);
  assert.equal((await act({ reboot: { type: 'warm' } })).status, 400);
  assert.equal((await act({ reboot: {} })).status, 400);
  assert.equal((await act({ 'no-such': null })).status, 400);
  assert.equal((await act({ 'os-stop': null, 'os-start': null })).status, 400);
  assert.equal((await act({})).status, 400);
});

test('of many stops at once one is taken', async () => {
  await house.activate(id);
  const answers = await Promise.all(Array.from({ length: 10 }, () => act({ 'os-stop': null })));
  assert.equal(answers.filter((one) => one.status === 202).length, 1);
  assert.equal(answers.filter((one) => one.status === 409).length, 9);
  assert.equal((await jobsOf(id)).filter((job) => job.kind === 'act-on-server').length, 1);
});

test('a lock stops everybody but admins', async () => {
  await house.activate(id, { locked: 1 });
  for (const body of [{ 'os-stop': null }, { reboot: { type: 'HARD' } }, { forceDelete: null }]) {
    const answer = await act(body);
    assert.equal(answer.status, 409);
    assert.equal(message(answer), `Instance ${id} is locked`);
  }
  assert.equal((await house.call('DELETE', `/servers/${id}`)).status, 409);
  assert.equal((await house.call('POST', `/servers/${id}/metadata`, { body: { metadata: { b: '2' } } })).status, 409);
  assert.equal((await house.call('PUT', `/servers/${id}`, { body: { server: { name: 'still' } } })).status, 200);
  assert.equal((await act({ 'os-stop': null }, 'admin')).status, 202);
});

test('delete works from any state, once', async () => {
  for (const state of [{}, { vm_state: 'error' }, { vm_state: 'stopped', task_state: 'powering-on' }]) {
    const server = await house.boot('gone');
    if (Object.keys(state).length) await house.activate(server, state);
    const answer = await house.call('DELETE', `/servers/${server}`);
    assert.equal(answer.status, 204, answer.text);
    assert.equal((await rowOf(server)).task_state, 'deleting');
    assert.equal((await house.call('DELETE', `/servers/${server}`)).status, 204);
    const jobs = (await jobsOf(server)).filter((job) => job.kind === 'delete-server');
    assert.deepEqual(
      jobs.map((job) => JSON.parse(job.input)),
      [{ serverUuid: server, force: false }],
    );
  }
  assert.equal((await act({ forceDelete: null })).status, 202);
  assert.equal(JSON.parse((await jobsOf(id)).at(-1)?.input ?? '').force, true);
  await house.db.transaction((tx) => tx.updateTable('servers').set({ deleted: 1 }).where('uuid', '=', id).execute());
  assert.equal((await house.call('DELETE', `/servers/${id}`)).status, 404);
});

test("other projects' servers are not there; readers may only read", async () => {
  await house.activate(id);
  const { request_id: noted } = await house.db.read
    .selectFrom('server_actions')
    .select('request_id')
    .where('server_uuid', '=', id)
    .executeTakeFirstOrThrow();
  for (const key of Object.keys(serverRoutes)) {
    const [method = '', rest = ''] = key.split(' ');
    const [path = '', word] = rest.split('#');
    if (!path.includes(':id')) continue;
    const url = path.replace(':id', id).replace(':key', 'a').replace(':label', 'private').replace(':requestId', noted);
    const body = word
      ? { [word]: word === 'reboot' ? { type: 'SOFT' } : word === 'os-getConsoleOutput' ? {} : null }
      : method === 'GET' || method === 'DELETE'
        ? undefined
        : path.endsWith('/metadata')
          ? { metadata: {} }
          : path.endsWith(':key')
            ? { meta: { a: '2' } }
            : { server: {} };
    const foreign = await house.call(method, url, { as: 'other', body });
    assert.equal(foreign.status, 404, `${key}: ${foreign.text}`);
    if (!path.includes('/ips/')) assert.equal(message(foreign), `Instance ${id} could not be found.`);
    assert.equal((await house.call(method, url, { as: 'reader', body })).status, method === 'GET' ? 200 : 403, key);
  }
  for (const name of ['nobody', '00000000-31e7-49b7-b260-868f441e862b', "x'%20or%201=1", '%00', 'x'.repeat(400)])
    assert.equal((await house.call('GET', `/servers/${name}`)).status, 404);
});

test('metadata: read, add, replace, set, delete, within its quota', async () => {
  const path = `/servers/${id}/metadata`;
  assert.equal(
    message(await house.call('POST', path, { body: { metadata: {} } })),
    `Cannot 'update metadata' instance ${id} while it is in vm_state building`,
  );
  await house.activate(id);
  assert.deepEqual((await house.call('GET', path)).body, { metadata: { a: '1' } });
  assert.deepEqual((await house.call('POST', path, { body: { metadata: { b: '2' } } })).body, { metadata: { a: '1', b: '2' } });
  assert.deepEqual((await house.call('PUT', `${path}/c`, { body: { meta: { c: '3' } } })).body, { meta: { c: '3' } });
  const over = await house.call('PUT', `${path}/d`, { body: { meta: { d: '4' } } });
  assert.equal(over.status, 403);
  assert.equal(message(over), 'Maximum number of metadata items exceeds 3: 4 were asked for.');
  assert.equal(message(await house.call('PUT', `${path}/x`, { body: { meta: { c: '3' } } })), 'Request body and URI mismatch');
  assert.equal((await house.call('PUT', `${path}/x`, { body: { meta: {} } })).status, 400);
  assert.equal((await house.call('PUT', `${path}/x`, { body: { meta: { x: '1', y: '2' } } })).status, 400);
  assert.deepEqual((await house.call('GET', `${path}/c`)).body, { meta: { c: '3' } });
  assert.equal((await house.call('GET', `${path}/toString`)).status, 404);
  const gone = await house.call('DELETE', `${path}/c`);
  assert.deepEqual([gone.status, gone.text], [204, '']);
  assert.equal(message(await house.call('DELETE', `${path}/c`)), 'Metadata item was not found');
  assert.deepEqual((await house.call('PUT', path, { body: { metadata: { only: 'this' } } })).body, { metadata: { only: 'this' } });
  assert.deepEqual((await house.call('GET', `/servers/${id}`)).body.server.metadata, { only: 'this' });
});

test('metadata added by many at once is all there', async () => {
  await house.activate(id, { metadata: '{}' });
  const answers = await Promise.all(
    ['x', 'y', 'z'].map((key) => house.call('POST', `/servers/${id}/metadata`, { body: { metadata: { [key]: '1' } } })),
  );
  assert.ok(answers.every((one) => one.status === 200));
  assert.deepEqual((await house.call('GET', `/servers/${id}/metadata`)).body.metadata, { x: '1', y: '1', z: '1' });
});

test('update changes what it names; a pin only where the server is', async () => {
  const put = (server: object, version = '2.104') => house.call('PUT', `/servers/${id}`, { version, body: { server } });
  const changed = await put({
    name: 'db',
    description: null,
    accessIPv4: '1.2.3.4',
    accessIPv6: 'fe80:0:0:0:0:0:0:1',
    hostname: 'db.example.com',
    'OS-DCF:diskConfig': 'AUTO',
  });
  assert.equal(changed.status, 200, changed.text);
  const shown = (await house.call('GET', `/servers/${id}`, { version: '2.104' })).body.server;
  assert.deepEqual(
    [shown.name, shown.description, shown.accessIPv4, shown.accessIPv6, shown['OS-EXT-SRV-ATTR:hostname'], shown['OS-DCF:diskConfig']],
    ['db', null, '1.2.3.4', 'fe80::1', 'db.example.com', 'AUTO'],
  );
  assert.deepEqual(changed.body.server, shown);
  assert.equal((await put({})).status, 200);
  assert.equal((await put({ name: '' })).status, 400);
  assert.equal((await put({ description: 'x' }, '2.18')).status, 400);
  assert.equal((await put({ pinned_availability_zone: null }, '2.103')).status, 400);

  assert.equal((await put({ pinned_availability_zone: 'nova' })).status, 409, 'it is on no host yet');
  await house.activate(id);
  assert.equal((await put({ pinned_availability_zone: 'az2' })).status, 409);
  assert.equal((await put({ pinned_availability_zone: 'nova' })).body.server.pinned_availability_zone, 'nova');
  assert.equal((await put({ pinned_availability_zone: 'nova' })).status, 200);
  assert.equal((await put({ pinned_availability_zone: 'az2' })).status, 409);
  assert.equal((await put({ pinned_availability_zone: null })).body.server.pinned_availability_zone, null);
});

test('addresses by network', async () => {
  assert.deepEqual((await house.call('GET', `/servers/${id}/ips`)).body, { addresses: {} });
  await house.activate(id);
  const all = {
    private: [
      { version: 4, addr: '192.168.1.30' },
      { version: 6, addr: 'fd00::30' },
    ],
  };
  assert.deepEqual((await house.call('GET', `/servers/${id}/ips`)).body, { addresses: all });
  assert.deepEqual((await house.call('GET', `/servers/${id}/ips/private`)).body, all);
  const wrong = await house.call('GET', `/servers/${id}/ips/public`);
  assert.deepEqual([wrong.status, message(wrong)], [404, 'Instance is not a member of specified network']);
});

test('console output', async () => {
  const output = (body: object) => act({ 'os-getConsoleOutput': body });
  const early = await output({});
  assert.deepEqual([early.status, message(early)], [409, `Instance ${id} is not ready`]);
  await house.activate(id);
  assert.deepEqual((await output({})).body, { output: 'one\ntwo\n[1mthree\ttab' });
  assert.equal((await output({ length: '1' })).body.output, '[1mthree\ttab');
  assert.equal((await output({ length: 2 })).body.output, 'two\n[1mthree\ttab');
  assert.equal((await output({ length: null })).body.output.length, 20);
  assert.equal((await output({ length: -1 })).status, 200);
  for (const length of [-2, 'x', 1.5, '-5', '99999999999999999999999', [], {}])
    assert.equal((await output({ length })).status, 400, String(length));
});

test('words in the query of a single server are refused from 2.102 on', async () => {
  for (const path of [`/servers/${id}`, `/servers/${id}/metadata`, `/servers/${id}/ips`]) {
    assert.equal((await house.call('GET', `${path}?x=1`, { version: '2.101' })).status, 200);
    assert.equal((await house.call('GET', `${path}?x=1`, { version: '2.102' })).status, 400);
  }
});

test('every server operation of this room has its route and rule', {
  skip: catalogue.home ? false : 'the catalogue is not here',
}, async () => {
  const operations = await catalogue.operations();
  const routes = Object.entries(serverRoutes);
  const mine = /^servers:|^server-metadata:|^server-ips:|^server-actions:(os-start|os-stop|reboot|forceDelete|os-getConsoleOutput)$/;
  for (const operation of operations.filter((one) => mine.test(one.id))) {
    const path = operation.path.replace('{server_id}', ':id').replace('{key}', ':key').replace('{network_label}', ':label');
    const key = `${operation.method} ${path}${operation.action ? `#${operation.action}` : ''}`;
    const route = routes.find(([name]) => name === key)?.[1];
    assert.ok(route, key);
    assert.ok(
      operation.policies.some(({ rule }) => rule === route.policy),
      `${key} asks ${route.policy}`,
    );
  }
});
