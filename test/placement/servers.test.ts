import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { openHouse } from '../core-house.ts';
import { openPlacementHouse, type PlacementHouse } from './house.ts';

let core: Awaited<ReturnType<typeof openHouse>>;
let house: PlacementHouse;
before(async () => {
  core = await openHouse({ hosts: 1 });
  house = await openPlacementHouse({ db: core.db, clock: systemClock });
});
after(async () => {
  await house.close();
  await core.close();
});
const ask = (...args: Parameters<PlacementHouse['ask']>) => house.ask(...args);
const becomes = (uuid: string, state: string) =>
  core.until(
    async () => (await core.server(uuid))?.vmState,
    (seen) => seen === state,
  );

test('a server’s claim is there for the admin to see while it stands, and given back when it goes', async () => {
  const [uuid = ''] = await core.create({ vcpus: 2, memoryMiB: 512, rootGiB: 3 });
  await becomes(uuid, 'active');
  const [host] = (await ask('GET /resource_providers')).body.resource_providers;
  const { body } = await ask(`GET /allocations/${uuid}`);
  assert.deepEqual(body.allocations[host.uuid].resources, { DISK_GB: 3, MEMORY_MB: 512, VCPU: 2 });
  assert.deepEqual([body.consumer_type, body.consumer_generation], ['INSTANCE', 1]);
  assert.deepEqual((await ask(`GET /resource_providers/${host.uuid}/usages`)).body.usages, { DISK_GB: 3, MEMORY_MB: 512, VCPU: 2 });
  const of = (await ask(`GET /resource_providers/${host.uuid}/allocations`)).body.allocations;
  assert.deepEqual(Object.keys(of), [uuid]);
  assert.equal((await ask(`GET /allocations/${uuid}`, { as: 'demo' })).status, 403);
  const { generation } = host;
  assert.ok(generation > 1, 'a claim is a new generation of its provider');
  await core.delete(uuid);
  await core.until(
    async () => (await ask(`GET /allocations/${uuid}`)).body.allocations,
    (held) => Object.keys(held).length === 0,
  );
  assert.deepEqual((await ask(`GET /resource_providers/${host.uuid}/usages`)).body.usages, { DISK_GB: 0, MEMORY_MB: 0, VCPU: 0 });
});

test('what is claimed through the API is not there for servers any more, and comes back', async () => {
  const [host] = (await ask('GET /resource_providers')).body.resource_providers;
  const { inventories } = (await ask(`GET /resource_providers/${host.uuid}/inventories`)).body;
  const all = Math.floor(inventories.VCPU.total * inventories.VCPU.allocation_ratio);
  const allocations = { [host.uuid]: { resources: { VCPU: all } } };
  const consumer = '6c1b4e62-1f63-4a3a-9d3f-53c1f3a2f002';
  const body = { allocations, project_id: 'p', user_id: 'u', consumer_generation: null, consumer_type: 'RESERVATION' };
  await core.db.transaction((tx) => tx.updateTable('inventories').set({ max_unit: all }).where('resource_class', '=', 'VCPU').execute());
  assert.equal((await ask(`PUT /allocations/${consumer}`, { body })).status, 204);
  const [refused = ''] = await core.create();
  await becomes(refused, 'error');
  assert.equal((await ask(`DELETE /allocations/${consumer}`)).status, 204);
  const [built = ''] = await core.create();
  await becomes(built, 'active');
});

test('a trait given to a provider reaches the scheduler', async () => {
  const wish = { extraSpecs: { 'trait:CUSTOM_GOLD': 'required' } };
  const [refused = ''] = await core.create(wish);
  await becomes(refused, 'error');
  const [host] = (await ask('GET /resource_providers')).body.resource_providers;
  assert.equal((await ask('PUT /traits/CUSTOM_GOLD')).status, 201);
  const body = { traits: ['CUSTOM_GOLD'], resource_provider_generation: host.generation };
  assert.equal((await ask(`PUT /resource_providers/${host.uuid}/traits`, { body })).status, 200);
  await core.until(
    async () => {
      const [uuid = ''] = await core.create(wish);
      return core.until(
        async () => (await core.server(uuid))?.vmState,
        (state) => state === 'active' || state === 'error',
      );
    },
    (state) => state === 'active',
  );
});

test('what an agent tells of its machine is listed under its provider, and follows it; what others put there stays', async () => {
  const trait = (name: string) => `COMPUTE_IMAGE_TYPE_${name}`;
  const [host] = (await ask('GET /resource_providers')).body.resource_providers as { uuid: string }[];
  const path = `/resource_providers/${host?.uuid}/traits`;
  const row = await core.db.read.selectFrom('hypervisors').selectAll().executeTakeFirstOrThrow();
  const restart = async (more: { traits?: string[] } = {}) => {
    await core.agents.get(row.host)?.stop();
    await core.startAgent(row.host, more);
  };
  await restart(); // another test has put others in their place
  const told = (await ask(`GET ${path}`)).body as { traits: string[]; resource_provider_generation: number };
  for (const name of [trait('QCOW2'), trait('RAW'), 'COMPUTE_NODE', 'HW_CPU_X86_SSE2']) assert.ok(told.traits.includes(name), name);
  const body = { traits: [...told.traits, 'HW_CPU_X86_AVX'], resource_provider_generation: told.resource_provider_generation };
  assert.equal((await ask(`PUT ${path}`, { body })).status, 200);
  // The machine is another one after its next start.
  await restart({ traits: [trait('QCOW2'), 'COMPUTE_NODE', 'HW_CPU_X86_SSE2', 'CUSTOM_FAST', 'no_trait'] });
  const now = (await ask(`GET ${path}`)).body as typeof told;
  assert.deepEqual(now.traits, [
    'COMPUTE_IMAGE_TYPE_QCOW2',
    'COMPUTE_NODE',
    'HW_CPU_X86_AVX',
    'HW_CPU_X86_SSE2',
    'CUSTOM_FAST',
    'CUSTOM_GOLD',
  ]);
  assert.ok(now.resource_provider_generation > told.resource_provider_generation);
  assert.equal((await ask('GET /traits/CUSTOM_FAST')).status, 204);
});
