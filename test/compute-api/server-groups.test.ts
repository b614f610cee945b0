import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { ADMIN_PROJECT, type Ask, type ComputeHouse, callers, DEMO_PROJECT, noImages, openComputeHouse } from '../support/compute-api.ts';
import { furnish, SERVER_UUID } from '../support/compute-world.ts';

let house: ComputeHouse;
const IMAGE = '70a599e0-31e7-49b7-b260-868f441e862b';
beforeEach(async () => {
  await house?.close();
  house = await openComputeHouse({
    quotas: { server_groups: 3, server_group_members: 2 },
    images: {
      ...noImages,
      show: async () => ({
        ...{ id: IMAGE, name: 'tiny', status: 'active', diskFormat: 'qcow2', containerFormat: 'bare', sizeBytes: 1000, hashAlgo: 'sha512' },
        ...{ hashValue: 'f'.repeat(128), minDiskGiB: 0, minMemoryMiB: 0, properties: {} },
      }),
    },
  });
  await furnish(house.db, house.clock);
});
after(() => house?.close());

const make = (group: object, more: Ask = {}) =>
  house.ask('POST /os-server-groups', { as: 'demo', at: '2.64', ...more, body: { server_group: group } });
const boot = (hints: object, more: Ask = {}, wish: object = {}) =>
  house.ask('POST /servers', {
    ...{ as: 'demo', at: '2.71', ...more },
    body: { server: { name: 's', imageRef: IMAGE, flavorRef: '1', networks: 'none', ...wish }, 'os:scheduler_hints': hints },
  });
const notices = async () => {
  const rows = await house.db.read.selectFrom('changes').select('body').where('noun', '=', 'server-group').orderBy('id').execute();
  return rows.map((row) => JSON.parse(row.body).notice);
};

test('all four policies, each form in its versions', async () => {
  const first = (await make({ name: 'a', policy: 'anti-affinity', rules: { max_server_per_host: '3' } })).body.server_group;
  const { id, ...rest } = first;
  assert.match(id, /^[0-9a-f-]{36}$/);
  assert.deepEqual(rest, {
    ...{ name: 'a', policy: 'anti-affinity', rules: { max_server_per_host: 3 }, members: [] },
    ...{ project_id: DEMO_PROJECT, user_id: callers.demo?.userId },
  });
  const old = (await make({ name: 'b', policies: ['soft-affinity'] }, { at: '2.15' })).body.server_group;
  assert.deepEqual([old.policies, old.metadata, old.policy, old.rules], [['soft-affinity'], {}, undefined, undefined]);
  assert.equal((await make({ name: 'c', policies: ['soft-affinity'] }, { at: '2.14' })).status, 400);
  const oldest = (await make({ name: 'c', policies: ['affinity'] }, { at: '2.1' })).body.server_group;
  assert.equal('project_id' in oldest, false);
  const [shown] = (await house.ask(`GET /os-server-groups/${id}`, { as: 'demo', at: '2.1' })).body.server_group.policies;
  assert.equal(shown, 'anti-affinity');
  for (const [wrong, at] of [
    [{ name: 'x', policy: 'soft-anti-affinity', rules: { max_server_per_host: 2 } }, '2.64'],
    [{ name: 'x', policy: 'affinity', rules: { max_server_per_host: 0 } }, '2.64'],
    [{ name: 'x', policy: 'anti-affinity', rules: { other: 1 } }, '2.64'],
    [{ name: 'x', policy: 'legacy' }, '2.64'],
    [{ name: 'x' }, '2.64'],
    [{ name: '', policy: 'affinity' }, '2.64'],
    [{ name: 'x', policies: ['affinity'] }, '2.64'],
    [{ name: 'x', policies: ['affinity', 'anti-affinity'] }, '2.15'],
    [{ name: 'x', policies: [] }, '2.1'],
  ] as const)
    assert.equal((await make(wrong, { at })).status, 400, JSON.stringify(wrong));
});

test('lists: own project, all projects for admins only, paging; others are not seen', async () => {
  const ids: string[] = [];
  for (const name of ['a', 'b', 'c']) ids.push((await make({ name, policy: 'affinity' })).body.server_group.id);
  const foreign = (await make({ name: 'z', policy: 'affinity' }, { as: 'admin' })).body.server_group;
  assert.equal(foreign.project_id, ADMIN_PROJECT);
  const list = async (path: string, as = 'demo', at = '2.64') => {
    const { status, body } = await house.ask(`GET /os-server-groups${path}`, { as, at });
    return status === 200 ? body.server_groups.map((group: { name: string }) => group.name) : status;
  };
  assert.deepEqual(await list(''), ['a', 'b', 'c']);
  assert.deepEqual(await list('?limit=1&offset=1'), ['b']);
  assert.deepEqual(await list('?offset=9'), []);
  assert.equal(await list('?limit=-1'), 400);
  assert.deepEqual(await list('?all_projects=True'), ['a', 'b', 'c']);
  assert.deepEqual(await list('?all_projects=True', 'admin'), ['a', 'b', 'c', 'z']);
  assert.deepEqual(await list('?nonsense=1', 'demo', '2.74'), ['a', 'b', 'c']);
  assert.equal(await list('?nonsense=1', 'demo', '2.75'), 400);
  assert.equal((await house.ask(`GET /os-server-groups/${ids[0]}`, { as: 'other' })).status, 403);
  assert.equal((await house.ask(`DELETE /os-server-groups/${ids[0]}`, { as: 'other' })).status, 403);
  assert.equal((await house.ask('GET /os-server-groups/nothing', { as: 'demo' })).status, 404);
});

test('quota: groups of a project, and of one user in it; deleting gives the place back', async () => {
  const ids: string[] = [];
  for (const name of ['a', 'b', 'c']) ids.push((await make({ name, policy: 'affinity' })).body.server_group.id);
  const over = await make({ name: 'd', policy: 'affinity' });
  assert.equal(over.status, 403);
  assert.match(over.body.forbidden.message, /Requested 1, but already used 3 of 3/);
  assert.equal((await house.ask(`DELETE /os-server-groups/${ids[0]}`, { as: 'demo' })).status, 204);
  assert.equal((await house.ask(`DELETE /os-server-groups/${ids[0]}`, { as: 'demo' })).status, 404);
  assert.equal((await make({ name: 'd', policy: 'affinity' })).status, 200);
  const quota = `PUT /os-quota-sets/${DEMO_PROJECT}`;
  await house.ask(quota, { body: { quota_set: { server_groups: -1 } } });
  await house.ask(`${quota}?user_id=${callers.demo?.userId}`, { body: { quota_set: { server_groups: 4 } } });
  assert.equal((await make({ name: 'e', policy: 'affinity' })).status, 200);
  assert.match((await make({ name: 'f', policy: 'affinity' })).body.forbidden.message, /already used 4 of 4/);
});

test('ten creates at once take no more places than there are', async () => {
  const answers = await Promise.all(Array.from({ length: 10 }, (_none, at) => make({ name: `g${at}`, policy: 'affinity' })));
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [200, 200, 200, 403, 403, 403, 403, 403, 403, 403]);
});

test('members: servers made with the hint, within their quota, without deleted ones; servers show their group', async () => {
  const group = (await make({ name: 'a', policy: 'anti-affinity' })).body.server_group.id;
  assert.equal((await boot({ group: '5fbda5f2-5d51-4a5a-8fd8-5d4d12a1d5cb' })).status, 400);
  assert.equal((await boot({ group }, { as: 'other' })).status, 400, "another project's group");
  const server = (await boot({ group })).body.server.id;
  assert.equal((await boot({ group }, {}, { min_count: 2, max_count: 2 })).status, 403);
  const other = (await boot({ group })).body.server.id;
  const over = await boot({ group });
  assert.equal(over.status, 403);
  assert.match(over.body.forbidden.message, /too many servers in group. Requested 1, but already used 2 of 2/);
  const show = async () => (await house.ask(`GET /os-server-groups/${group}`, { as: 'demo', at: '2.64' })).body.server_group.members;
  assert.deepEqual((await show()).sort(), [server, other].sort());
  const seen = async (at: string) => (await house.ask(`GET /servers/${server}`, { as: 'demo', at })).body.server.server_groups;
  assert.deepEqual([await seen('2.70'), await seen('2.71')], [undefined, [group]]);
  assert.deepEqual((await house.ask(`GET /servers/${SERVER_UUID}`, { as: 'demo', at: '2.71' })).body.server.server_groups, []);
  assert.equal((await house.ask(`DELETE /os-server-groups/${group}`, { as: 'demo' })).status, 204);
  assert.deepEqual(await seen('2.71'), []);
  const [created, first, , deleted] = await notices();
  assert.deepEqual([created.event, first.event, deleted.event], ['server_group.create', 'server_group.add_member', 'server_group.delete']);
  assert.deepEqual(first.payload['nova_object.data'].members, [server]);
  assert.equal(deleted.publisher, 'nova-api:localhost');
});

test('limits of a user hold for its servers beside those of the project', async () => {
  const user = callers.demo?.userId;
  await house.ask(`PUT /os-quota-sets/${DEMO_PROJECT}?user_id=${user}`, { body: { quota_set: { instances: 2 } } });
  assert.equal((await boot({})).status, 202);
  const over = await boot({});
  assert.equal(over.status, 403);
  assert.match(over.body.forbidden.message, /Quota exceeded for instances: Requested 1, but already used 2 of 2/);
});
