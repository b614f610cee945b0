import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { claim } from '../../src/db/tables/placement/claims.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { openPlacementHouse, type PlacementHouse } from './house.ts';

let house: PlacementHouse;
before(async () => {
  house = await openPlacementHouse();
});
after(() => house.close());
const ask = (...args: Parameters<PlacementHouse['ask']>) => house.ask(...args);
const usages = async (uuid: string) => (await ask(`GET /resource_providers/${uuid}/usages`)).body.usages;
const holding = (provider: string, resources: Record<string, number>, generation: number | null) => ({
  allocations: { [provider]: { resources } },
  project_id: 'p',
  user_id: 'u',
  consumer_generation: generation,
  consumer_type: 'INSTANCE',
});

test('of many who want the last unit exactly one gets it, the conductor’s claims among them', async () => {
  const byApi = (uuid: string) => house.claim({ [uuid]: { VCPU: 1 } });
  const byConductor = (provider: string) =>
    house.db.transaction(async (tx) => {
      const amounts = { VCPU: 1, MEMORY_MB: 0, DISK_GB: 0 };
      return (await claim(tx, { consumer: newUuid(), provider, projectId: 'p', userId: 'u', amounts, at: 1 })) === null ? 204 : 409;
    });
  const last = await house.provider({ name: 'scarce', has: { VCPU: 1 } });
  const two = await Promise.all([byApi(last), byApi(last)]);
  assert.deepEqual([...two].sort(), [204, 409]);
  const few = await house.provider({ name: 'scarcer', has: { VCPU: 7 } });
  const many = await Promise.all(Array.from({ length: 20 }, (_, at) => (at % 2 ? byApi : byConductor)(few)));
  assert.equal(many.filter((status) => status === 204).length, 7);
  assert.deepEqual([await usages(last), await usages(few)], [{ VCPU: 1 }, { VCPU: 7 }]);
});

test('consumers have generations: who does not know the newest is refused with the code', async () => {
  const uuid = await house.provider({ name: 'known', has: { VCPU: 8 } });
  const consumer = newUuid();
  const put = (generation: number | null, amount: number) =>
    ask(`PUT /allocations/${consumer}`, { body: holding(uuid, { VCPU: amount }, generation) });
  assert.equal((await put(3, 1)).body.errors[0].code, 'placement.concurrent_update');
  assert.equal((await put(null, 1)).status, 204);
  assert.match((await put(null, 2)).body.errors[0].detail, /expected 1 but got None/);
  assert.equal((await put(1, 2)).status, 204);
  const { body } = await ask(`GET /allocations/${consumer}`);
  assert.deepEqual([body.consumer_generation, body.consumer_type, body.allocations[uuid].resources], [2, 'INSTANCE', { VCPU: 2 }]);
  assert.equal((await ask(`PUT /allocations/${consumer}`, { body: { ...holding(uuid, {}, 2), allocations: {} } })).status, 204);
  assert.deepEqual((await ask(`GET /allocations/${consumer}`)).body, { allocations: {} });
  assert.deepEqual(await usages(uuid), { VCPU: 0 });
});

test('a consumer may shrink where more is used than there is, but not grow; units and steps hold', async () => {
  const uuid = await house.provider({ name: 'shrunk', has: { MEMORY_MB: { total: 1000, step_size: 10, min_unit: 20, max_unit: 900 } } });
  const consumer = newUuid();
  const put = (amount: number, generation: number | null) =>
    ask(`PUT /allocations/${consumer}`, { body: holding(uuid, { MEMORY_MB: amount }, generation) });
  for (const wrong of [15, 10, 910]) assert.equal((await put(wrong, null)).status, 409, String(wrong));
  assert.equal((await put(800, null)).status, 204);
  const generation = (await ask(`GET /resource_providers/${uuid}`)).body.generation;
  const less = { total: 100, step_size: 10, resource_provider_generation: generation };
  assert.equal((await ask(`PUT /resource_providers/${uuid}/inventories/MEMORY_MB`, { body: less })).status, 200);
  assert.equal((await put(810, 1)).status, 409);
  assert.equal((await put(700, 1)).status, 204);
  assert.deepEqual(await usages(uuid), { MEMORY_MB: 700 });
});

test('several consumers at once: all or none', async () => {
  const [from, to] = [await house.provider({ name: 'from', has: { VCPU: 2 } }), await house.provider({ name: 'to', has: { VCPU: 2 } })];
  const [server, migration] = [newUuid(), newUuid()];
  assert.equal(await house.claim({ [from]: { VCPU: 2 } }, server), 204);
  const move = (amount: number) => ({
    [server]: { ...holding(to, { VCPU: amount }, 1) },
    [migration]: { ...holding(from, { VCPU: 2 }, null), consumer_type: 'MIGRATION' },
  });
  assert.equal((await ask('POST /allocations', { body: move(3) })).status, 409);
  assert.deepEqual([await usages(from), await usages(to)], [{ VCPU: 2 }, { VCPU: 0 }]);
  assert.equal((await ask('POST /allocations', { body: move(2) })).status, 204);
  assert.deepEqual([await usages(from), await usages(to)], [{ VCPU: 2 }, { VCPU: 2 }]);
  const used = (await ask('GET /usages?project_id=p&consumer_type=MIGRATION')).body.usages;
  assert.deepEqual(used, { MIGRATION: { VCPU: 2, consumer_count: 1 } });
  assert.equal((await ask(`DELETE /allocations/${migration}`)).status, 204);
  assert.equal((await ask(`DELETE /allocations/${migration}`)).status, 404);
  assert.deepEqual(await usages(from), { VCPU: 0 });
});

test('the reshaper moves an inventory with its claims to a child, or leaves everything as it was', async () => {
  const root = await house.provider({ name: 'flat', has: { VCPU: 8, VGPU: 2 } });
  const child = await house.provider({ name: 'gpu', parent: root });
  const server = newUuid();
  assert.equal(await house.claim({ [root]: { VCPU: 1, VGPU: 1 } }, server), 204);
  const body = (held: object) => ({
    inventories: {
      [root]: { resource_provider_generation: 2, inventories: { VCPU: { total: 8 } } },
      [child]: { resource_provider_generation: 0, inventories: { VGPU: { total: 2 } } },
    },
    allocations: { [server]: { ...holding(root, {}, 1), allocations: held } },
  });
  const wrong = await ask('POST /reshaper', { body: body({ [root]: { resources: { VCPU: 1, VGPU: 1 } } }) });
  assert.deepEqual([wrong.status, wrong.body.errors[0].code], [409, 'placement.inventory.inuse']);
  assert.deepEqual(await usages(root), { VCPU: 1, VGPU: 1 });
  const right = body({ [root]: { resources: { VCPU: 1 } }, [child]: { resources: { VGPU: 1 } } });
  assert.equal((await ask('POST /reshaper', { body: right })).status, 204);
  assert.deepEqual([await usages(root), await usages(child)], [{ VCPU: 1 }, { VGPU: 1 }]);
});

test('what is in use cannot be taken away', async () => {
  const uuid = await house.provider({ name: 'busy', has: { VCPU: 8, MEMORY_MB: 100 } });
  assert.equal(await house.claim({ [uuid]: { VCPU: 1 } }), 204);
  assert.equal((await ask(`DELETE /resource_providers/${uuid}`)).body.errors[0].code, 'placement.resource_provider.inuse');
  assert.equal((await ask(`DELETE /resource_providers/${uuid}/inventories`)).body.errors[0].code, 'placement.inventory.inuse');
  assert.equal((await ask(`DELETE /resource_providers/${uuid}/inventories/VCPU`)).status, 409);
  assert.equal((await ask(`DELETE /resource_providers/${uuid}/inventories/MEMORY_MB`)).status, 204);
  assert.deepEqual(await usages(uuid), { VCPU: 1 });
});
