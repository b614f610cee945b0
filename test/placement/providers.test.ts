import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { newUuid } from '../../src/lib/ids.ts';
import { openPlacementHouse, type PlacementHouse } from './house.ts';

let house: PlacementHouse;
before(async () => {
  house = await openPlacementHouse();
});
after(() => house.close());
const ask = (...args: Parameters<PlacementHouse['ask']>) => house.ask(...args);
const codeOf = async (...args: Parameters<PlacementHouse['ask']>) => {
  const { status, body } = await ask(...args);
  return [status, body.errors[0].code];
};

test('a subtree that moves takes its root along, and never under itself', async () => {
  const top = await house.provider({ name: 'top' });
  const middle = await house.provider({ name: 'middle', parent: top });
  const leaf = await house.provider({ name: 'leaf', parent: middle });
  const move = (uuid: string, parent: string | null, at = '1.37') =>
    ask(`PUT /resource_providers/${uuid}`, { at, body: { name: uuid === middle ? 'middle' : 'top', parent_provider_uuid: parent } });
  assert.equal((await move(middle, null, '1.36')).status, 400);
  assert.equal((await move(top, leaf)).status, 400);
  assert.equal((await move(middle, null)).body.root_provider_uuid, middle);
  assert.equal((await ask(`GET /resource_providers/${leaf}`)).body.root_provider_uuid, middle);
  assert.equal((await move(middle, top)).status, 200);
  const tree = (await ask(`GET /resource_providers?in_tree=${leaf}`)).body.resource_providers;
  assert.deepEqual(tree.map((one: { name: string }) => one.name).sort(), ['leaf', 'middle', 'top']);
  assert.deepEqual(await codeOf(`DELETE /resource_providers/${middle}`), [409, 'placement.resource_provider.cannot_delete_parent']);
});

test('two providers do not share a name, and the error says which', async () => {
  await house.provider({ name: 'twin' });
  const again = await ask('POST /resource_providers', { body: { name: 'twin' } });
  assert.equal(again.status, 409);
  assert.equal(again.body.errors[0].code, 'placement.duplicate_name');
  assert.match(again.body.errors[0].detail, /name: twin already exists/);
});

test('what an old generation asks is refused with its code, and nothing of it is done', async () => {
  const uuid = await house.provider({ name: 'guarded', has: { VCPU: 4 } });
  const stale = { resource_provider_generation: 0 };
  for (const [what, rest] of [
    ['inventories', { inventories: { VCPU: { total: 8 } } }],
    ['inventories/VCPU', { total: 8 }],
    ['traits', { traits: ['HW_CPU_X86_AVX'] }],
    ['aggregates', { aggregates: [newUuid()] }],
  ] as const)
    assert.deepEqual(
      await codeOf(`PUT /resource_providers/${uuid}/${what}`, { body: { ...stale, ...rest } }),
      [409, 'placement.concurrent_update'],
      what,
    );
  const { body } = await ask(`GET /resource_providers/${uuid}/inventories`);
  assert.deepEqual([body.resource_provider_generation, body.inventories.VCPU.total], [1, 4]);
});

test('before 1.23 errors have no code, before 1.15 answers no date, before 1.10 there are no candidates', async () => {
  const old = await ask('GET /resource_providers/nobody', { at: '1.22' });
  assert.deepEqual(Object.keys(old.body.errors[0]).sort(), ['detail', 'request_id', 'status', 'title']);
  assert.equal((await ask('GET /resource_providers', { at: '1.14' })).headers.get('last-modified'), null);
  const dated = await ask('GET /resource_providers', { at: '1.15' });
  assert.match(dated.headers.get('last-modified') ?? '', / GMT$/);
  assert.equal(dated.headers.get('cache-control'), 'no-cache');
  assert.equal((await ask('GET /allocation_candidates?resources=VCPU:1', { at: '1.9' })).status, 404);
});

test('a wrong method is told which ones there are; every route of the table is known to that answer', async () => {
  const answer = await ask('DELETE /resource_providers/x/usages');
  assert.deepEqual([answer.status, answer.headers.get('allow')], [405, 'GET']);
  const { placementRoutes } = await import('../../src/services/placement/routes.ts');
  const { methodsByPath } = await import('../../src/services/placement/methods.ts');
  for (const key of Object.keys(placementRoutes)) {
    const [method = '', path = ''] = key.split(/ +/);
    assert.ok(methodsByPath(path.replaceAll(/:\w+/g, 'x'))?.includes(method), key);
  }
});

test('whoever has no token, no role or the whole system for a scope is kept out', async () => {
  assert.equal((await ask('GET /resource_providers', { as: null })).status, 401);
  assert.equal((await ask('GET /resource_providers', { as: 'somebody' })).status, 403);
  assert.equal((await ask('GET /resource_providers', { as: 'somebody', headers: { 'x-roles': 'service' } })).status, 200);
  assert.equal((await ask('GET /resource_providers', { headers: { 'openstack-system-scope': 'all' } })).status, 403);
  assert.equal((await ask('GET /', { as: null })).status, 200);
  const reader = { as: 'u:mine', headers: { 'x-roles': 'reader' } };
  assert.equal((await ask('GET /usages?project_id=mine', reader)).status, 200);
  assert.equal((await ask('GET /usages?project_id=other', reader)).status, 403);
});

test('rules can be replaced by a policy file, and new defaults alone can be asked for', async () => {
  const strict = await openPlacementHouse({
    newDefaultsOnly: true,
    policyOverrides: { 'placement:traits:list': '@', 'unknown:rule': '!' },
  });
  try {
    assert.equal((await strict.ask('GET /traits', { as: 'somebody' })).status, 200);
    const reshape = { inventories: { [newUuid()]: { resource_provider_generation: 0, inventories: {} } }, allocations: {} };
    assert.equal((await strict.ask('POST /reshaper', { body: reshape })).status, 403);
    assert.equal((await strict.ask('POST /reshaper', { body: reshape, headers: { 'x-roles': 'service' } })).status, 400);
  } finally {
    await strict.close();
  }
});

test('a refusal comes when the whole body has been read, and the connection lives on', async () => {
  const body = JSON.stringify({ name: 'x'.repeat(300_000) });
  for (let turn = 0; turn < 3; turn++)
    assert.equal(
      (await ask('POST /resource_providers', { as: null, raw: body, headers: { 'content-type': 'application/json' } })).status,
      401,
    );
  for (const raw of ['{"name": "\\u0000"}', '{"name": "\\ud800"}', '[', '', '{"name": 1}', '{"__proto__": {}}', '['.repeat(5000)])
    assert.equal(
      (await ask('POST /resource_providers', { raw, headers: { 'content-type': 'application/json' } })).status,
      400,
      raw.slice(0, 20),
    );
});

test('classes and traits in use stay; standard ones are nobody’s to remove', async () => {
  await house.provider({ name: 'special', has: { CUSTOM_GOLD: 1 }, traits: ['CUSTOM_SHINY', 'HW_CPU_X86_AVX'] });
  assert.equal((await ask('DELETE /resource_classes/CUSTOM_GOLD')).status, 409);
  assert.equal((await ask('DELETE /traits/CUSTOM_SHINY')).status, 409);
  assert.equal((await ask('DELETE /resource_classes/VCPU')).status, 400);
  assert.equal((await ask('DELETE /traits/HW_CPU_X86_AVX')).status, 400);
  const used = (await ask('GET /traits?associated=true')).body.traits;
  assert.deepEqual(used, ['HW_CPU_X86_AVX', 'CUSTOM_SHINY']);
  assert.equal((await ask('PUT /resource_classes/CUSTOM_GOLD', { at: '1.6', body: { name: 'CUSTOM_SILVER' } })).status, 200);
  const found = (await ask('GET /resource_providers?resources=CUSTOM_SILVER:1')).body.resource_providers;
  assert.deepEqual(
    found.map((one: { name: string }) => one.name),
    ['special'],
  );
});
