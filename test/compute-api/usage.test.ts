import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { newUuid } from '../../src/lib/ids.ts';
import { ADMIN_PROJECT, type ComputeHouse, callers, DEMO_PROJECT, openComputeHouse } from '../support/compute-api.ts';
import { furnish, SERVER_UUID } from '../support/compute-world.ts';

let house: ComputeHouse;
const ask = (...args: Parameters<ComputeHouse['ask']>) => house.ask(...args);
beforeEach(async () => {
  await house?.close();
  house = await openComputeHouse({ maxLimit: 2 });
  await furnish(house.db, house.clock);
});
after(() => house?.close());

const at = (text: string) => Date.parse(`${text}Z`) * 1000;
/** A server that ran from one time to another, as a copy of the furnished one. */
async function ran(name: string, projectId: string, from: string, to: string | null): Promise<string> {
  const uuid = newUuid();
  await house.db.transaction(async (tx) => {
    const { id: _id, ...row } = await tx.selectFrom('servers').selectAll().where('uuid', '=', SERVER_UUID).executeTakeFirstOrThrow();
    const end =
      to === null ? {} : { terminated_at: at(to), deleted_at: at(to), vm_state: 'deleted', deleted: Math.round(Math.random() * 1e9) + 1 };
    await tx
      .insertInto('servers')
      .values({ ...row, uuid, name, project_id: projectId, launched_at: at(from), ...end })
      .execute();
  });
  return uuid;
}
const PERIOD = 'start=2023-01-10T00:00:00&end=2023-01-11T00:00:00';

test('hours are those within the period, of deleted servers too; sums follow the flavor', async () => {
  await ran('before', DEMO_PROJECT, '2023-01-01T00:00:00', '2023-01-09T00:00:00');
  await ran('into', DEMO_PROJECT, '2023-01-01T00:00:00', '2023-01-10T01:30:00');
  await ran('over', DEMO_PROJECT, '2023-01-10T22:00:00', null);
  await ran('later', DEMO_PROJECT, '2023-01-12T00:00:00', null);
  const { tenant_usage: usage } = (await ask(`GET /os-simple-tenant-usage/${DEMO_PROJECT}?${PERIOD}`, { as: 'demo' })).body;
  assert.deepEqual(
    [usage.total_hours, usage.total_vcpus_usage, usage.total_memory_mb_usage, usage.total_local_gb_usage],
    [3.5, 3.5, 3.5 * 512, 3.5],
  );
  assert.deepEqual([usage.start, usage.stop], ['2023-01-10T00:00:00.000000', '2023-01-11T00:00:00.000000']);
  const byName = Object.fromEntries(usage.server_usages.map((one: { name: string }) => [one.name, one]));
  assert.deepEqual(Object.keys(byName).sort(), ['into', 'over']);
  const { instance_id: _id, ...into } = byName.into;
  assert.deepEqual(into, {
    ...{ name: 'into', tenant_id: DEMO_PROJECT, flavor: 'm1.tiny', vcpus: 1, memory_mb: 512, local_gb: 1, hours: 1.5, state: 'terminated' },
    ...{ started_at: '2023-01-01T00:00:00.000000', ended_at: '2023-01-10T01:30:00.000000', uptime: 9 * 86_400 + 5400 },
  });
  assert.deepEqual([byName.over.state, byName.over.ended_at, byName.over.hours], ['active', null, 2]);
  assert.equal(byName.over.uptime, Math.floor((house.clock.now() - at('2023-01-10T22:00:00')) / 1e6));
  assert.deepEqual((await ask(`GET /os-simple-tenant-usage/${ADMIN_PROJECT}?${PERIOD}`)).body.tenant_usage, {});
  assert.equal((await ask(`GET /os-simple-tenant-usage/${ADMIN_PROJECT}`, { as: 'demo' })).status, 403);
  const exact = (await ask(`GET /os-simple-tenant-usage/${DEMO_PROJECT}?start=2023-01-10T00:00:00.000001&end=2023-01-10+00:00:00.36`)).body;
  assert.equal(exact.tenant_usage.total_hours, 359_999 / 3_600_000_000);
});

test('all projects: in short or in detail, in pages from 2.40 on', async () => {
  const ids: string[] = [];
  for (const [name, project] of [
    ['a', DEMO_PROJECT],
    ['b', DEMO_PROJECT],
    ['c', ADMIN_PROJECT],
  ] as const)
    ids.push(await ran(name, project, '2023-01-10T12:00:00', null));
  const all = (await ask(`GET /os-simple-tenant-usage?${PERIOD}`)).body;
  assert.deepEqual(
    all.tenant_usages.map((one: { tenant_id: string; total_hours: number; server_usages?: object[] }) => [
      one.tenant_id,
      one.total_hours,
      one.server_usages,
    ]),
    [
      [ADMIN_PROJECT, 12, undefined],
      [DEMO_PROJECT, 24, undefined],
    ],
  );
  assert.equal((await ask('GET /os-simple-tenant-usage', { as: 'demo' })).status, 403);
  const names: string[] = [];
  for (let url: string | undefined = `/v2.1/os-simple-tenant-usage?${PERIOD}&detailed=1&limit=1`, pages = 0; url && pages < 9; pages++) {
    const { body } = await ask(`GET ${url}`, { at: '2.40' });
    for (const project of body.tenant_usages) for (const one of project.server_usages) names.push(one.instance_id);
    url = body.tenant_usages_links?.[0].href.slice(house.origin.length);
  }
  assert.deepEqual([names.length, [...names].sort()], [3, [...ids].sort()]);
  const capped = (await ask(`GET /os-simple-tenant-usage?${PERIOD}&detailed=1`, { at: '2.40' })).body;
  assert.equal(capped.tenant_usages_links.length, 1, 'max_limit holds without a limit too');
  const own = (await ask(`GET /os-simple-tenant-usage/${DEMO_PROJECT}?${PERIOD}&limit=1`, { at: '2.40' })).body;
  assert.match(own.tenant_usage_links[0].href, new RegExp(`/os-simple-tenant-usage/${DEMO_PROJECT}\\?.*marker=`));
});

test('times that are none, turned periods, unknown markers and words', async () => {
  const status = async (query: string, version?: string) => (await ask(`GET /os-simple-tenant-usage?${query}`, { at: version })).status;
  assert.equal(await status(''), 200);
  assert.equal(await status('start=2023-01-10T00:00:00'), 200);
  for (const wrong of [
    'start=yesterday',
    'start=2023-02-30T00:00:00',
    'end=2023-01-01',
    'start=2023-01-10+00:00:00',
    'start=2023-01-10T24:00:00',
  ])
    assert.equal(await status(wrong), 400, wrong);
  assert.equal(await status('start=2023-01-11T00:00:00&end=2023-01-10T00:00:00'), 400);
  assert.equal(await status('start=2199-01-11T00:00:00'), 400);
  assert.equal(await status(`marker=${newUuid()}`, '2.40'), 400);
  assert.equal(await status(`marker=${newUuid()}`, '2.39'), 200);
  assert.equal(await status('limit=x', '2.40'), 400);
  assert.deepEqual([await status('wings=2', '2.74'), await status('wings=2', '2.75')], [200, 400]);
});

test('audit logs: nobody has counted, for the last whole month', async () => {
  const log = (await ask('GET /os-instance_usage_audit_log')).body.instance_usage_audit_logs;
  assert.deepEqual([log.period_beginning, log.period_ending], ['2023-10-01 00:00:00', '2023-11-01 00:00:00']);
  assert.deepEqual([log.num_hosts, log.hosts_not_run, log.overall_status], [2, ['host1', 'host2'], '0 of 2 hosts done. 0 errors.']);
  const before = async (time: string) =>
    (await ask(`GET /os-instance_usage_audit_log/${encodeURIComponent(time)}`)).body?.instance_usage_audit_log;
  const periods = async (time: string) => {
    const one = await before(time);
    return [one.period_beginning, one.period_ending];
  };
  assert.deepEqual(await periods('2012-07-05 10:00:00'), ['2012-06-01 00:00:00', '2012-07-01 00:00:00']);
  assert.deepEqual(await periods('2012-07-01 00:00:00'), ['2012-05-01 00:00:00', '2012-06-01 00:00:00']);
  assert.deepEqual(await periods('2012-01-01 00:00:00.000001'), ['2011-12-01 00:00:00', '2012-01-01 00:00:00']);
  for (const wrong of ['x', '2012-07-01', '2012-13-01 00:00:00'])
    assert.equal((await ask(`GET /os-instance_usage_audit_log/${encodeURIComponent(wrong)}`)).status, 400, wrong);
  assert.equal((await ask('GET /os-instance_usage_audit_log', { as: 'demo' })).status, 403);
});

test('audit logs: what conductors have counted, host by host', async () => {
  const [begin, end] = ['2023-10-01', '2023-11-01'].map((day) => Date.parse(`${day}T00:00:00Z`) * 1000) as [number, number];
  const row = (host: string, state: string, task_items: number, errors: number) => ({
    ...{ task_name: 'instance_usage_audit', host, period_beginning: begin, period_ending: end, state, task_items, errors },
    ...{ message: `${host} says`, owner: 'one', touched_at: 1 },
  });
  await house.db.transaction((tx) =>
    tx
      .insertInto('task_log')
      .values([row('host1', 'DONE', 4, 1), row('host2', 'RUNNING', 2, 0)])
      .execute(),
  );
  const log = (await ask('GET /os-instance_usage_audit_log')).body.instance_usage_audit_logs;
  assert.deepEqual([log.num_hosts_done, log.num_hosts_running, log.num_hosts_not_run, log.hosts_not_run], [1, 1, 0, []]);
  assert.deepEqual([log.total_instances, log.total_errors, log.overall_status], [6, 1, '1 of 2 hosts done. 1 errors.']);
  assert.deepEqual(log.log.host1, { state: 'DONE', instances: 4, errors: 1, message: 'host1 says' });
  await house.db.transaction((tx) => tx.updateTable('task_log').set({ state: 'DONE' }).execute());
  const done = (await ask('GET /os-instance_usage_audit_log')).body.instance_usage_audit_logs;
  assert.equal(done.overall_status, 'ALL hosts done. 1 errors.');
  const other = (await ask(`GET /os-instance_usage_audit_log/${encodeURIComponent('2023-10-10 00:00:00')}`)).body.instance_usage_audit_log;
  assert.deepEqual([other.num_hosts_done, other.log], [0, {}]);
});

test('quota classes: class default holds for every project without limits of its own', async () => {
  const set = (body: object, name = 'default', version = '2.50') =>
    ask(`PUT /os-quota-class-sets/${name}`, { at: version, body: { quota_class_set: body } });
  const show = async (name: string, version = '2.50') =>
    (await ask(`GET /os-quota-class-sets/${name}`, { at: version })).body.quota_class_set;
  assert.equal((await show('default')).cores, 20);
  const changed = (await set({ cores: 5, server_groups: '3' })).body.quota_class_set;
  assert.deepEqual([changed.cores, changed.server_groups, 'id' in changed, 'fixed_ips' in changed], [5, 3, false, false]);
  const old = await show('default', '2.49');
  assert.deepEqual([old.id, old.cores, 'server_groups' in old, old.fixed_ips], ['default', 5, false, -1]);
  assert.equal('injected_files' in (await show('default', '2.57')), false);
  await set({ cores: 99 }, 'gold');
  assert.deepEqual([(await show('gold')).cores, (await show('silver')).cores], [99, 20]);
  const project = (await ask(`GET /os-quota-sets/${DEMO_PROJECT}`)).body.quota_set;
  assert.deepEqual([project.cores, project.server_groups], [5, 3]);
  assert.equal((await ask(`GET /os-quota-sets/${DEMO_PROJECT}/defaults`)).body.quota_set.cores, 5);
  assert.equal((await ask('GET /limits', { as: 'demo' })).body.limits.absolute.maxTotalCores, 5);
  await ask(`PUT /os-quota-sets/${DEMO_PROJECT}`, { body: { quota_set: { cores: 8 } } });
  assert.equal((await ask(`GET /os-quota-sets/${DEMO_PROJECT}`)).body.quota_set.cores, 8);
  for (const wrong of [{ cores: -2 }, { cores: 'x' }, { wings: 2 }, { cores: 2 ** 31 }]) assert.equal((await set(wrong)).status, 400);
  assert.deepEqual([(await set({ fixed_ips: 1 }, 'default', '2.49')).status, (await set({ fixed_ips: 1 })).status], [200, 400]);
  assert.equal((await ask('GET /os-quota-class-sets/default', { as: 'demo' })).status, 403);
});

test('what a quota set or class was given comes back, with the limits of networks to the version that cut them', async () => {
  const raised = (set: Record<string, number>) => Object.fromEntries(Object.entries(set).map(([name, value]) => [name, value + 100]));
  for (const [at, names] of [
    ['2.1', 12],
    ['2.50', 10],
    ['2.57', 7],
  ] as const) {
    const path = '/os-quota-class-sets/default';
    const { id, ...before } = (await ask(`GET ${path}`, { at })).body.quota_class_set;
    assert.deepEqual([id, Object.keys(before).length], ['default', names], at);
    const wish = raised(before);
    assert.deepEqual((await ask(`PUT ${path}`, { at, body: { quota_class_set: wish } })).body.quota_class_set, wish);
    assert.deepEqual((await ask(`GET ${path}`, { at })).body.quota_class_set, { id, ...wish });
    await house.db.transaction((tx) => tx.deleteFrom('quota_limits').execute());
  }
  const path = `/os-quota-sets/${DEMO_PROJECT}`;
  const { id: _project, ...before } = (await ask(`GET ${path}`, { at: '2.35' })).body.quota_set;
  assert.equal(before.floating_ips, -1);
  const wish = raised(before);
  assert.deepEqual((await ask(`PUT ${path}`, { at: '2.35', body: { quota_set: wish } })).body.quota_set, wish);
  assert.equal((await ask(`GET ${path}/detail`, { at: '2.35' })).body.quota_set.fixed_ips.limit, 99);
  assert.equal((await ask('GET /limits', { as: 'demo', at: '2.35' })).body.limits.absolute.maxSecurityGroups, 99);
  assert.equal('fixed_ips' in (await ask(`GET ${path}`, { at: '2.36' })).body.quota_set, false);
  await house.db.transaction((tx) => tx.deleteFrom('quota_limits').execute());
});

test('limits of networks are kept and shown where old versions have them', async () => {
  const networks = { fixed_ips: 99, floating_ips: 98, security_groups: 97, security_group_rules: 96 };
  const put = async (place: string, word: string, at: string) => (await ask(`PUT ${place}`, { at, body: { [word]: networks } })).body[word];
  const get = async (place: string, word: string, at: string) => (await ask(`GET ${place}`, { at })).body[word];
  const parts = (set: object) => Object.fromEntries(Object.entries(set).filter(([name]) => name in networks));
  for (const [place, word, last, next] of [
    ['/os-quota-class-sets/elsewhere', 'quota_class_set', '2.49', '2.50'],
    [`/os-quota-sets/${'7'.repeat(32)}`, 'quota_set', '2.35', '2.36'],
  ] as const) {
    assert.deepEqual(parts(await put(place, word, last)), networks);
    assert.deepEqual(parts(await get(place, word, '2.1')), networks);
    assert.deepEqual(parts(await get(place, word, next)), {});
  }
});

test('quotas of users: counted by what they made, within what the project has left', async () => {
  const user = callers.demo?.userId;
  const path = `/os-quota-sets/${DEMO_PROJECT}`;
  const put = (quota_set: object, query = '') => ask(`PUT ${path}${query}`, { body: { quota_set } });
  assert.deepEqual((await ask(`GET ${path}/detail?user_id=${user}`)).body.quota_set.instances, { in_use: 1, limit: 10, reserved: 0 });
  assert.deepEqual((await ask(`GET ${path}/detail?user_id=nobody`)).body.quota_set.instances, { in_use: 0, limit: 10, reserved: 0 });
  assert.match((await put({ instances: 0 }, `?user_id=${user}`)).body.badRequest.message, /already used 1/);
  assert.equal((await put({ instances: 0, force: 'True' }, `?user_id=${user}`)).status, 200);
  assert.equal((await put({ instances: 4 }, `?user_id=${user}`)).status, 200);
  assert.match((await put({ instances: 3 })).body.badRequest.message, /already used 4/, 'what users have of their own counts as used');
  assert.equal((await put({ instances: 7 }, '?user_id=other')).status, 400);
  assert.equal((await put({ instances: 6 }, '?user_id=other')).status, 200);
});
