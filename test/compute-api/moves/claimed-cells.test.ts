import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { readParts } from '../../../src/model/machine-parts.ts';
import { type ActHouse, openActHouse } from '../acts/house.ts';

/** Cells and CPUs with numbers of their own on each host, so that no place can be mistaken for another. */
const cell = (id: number, cpus: number[]) => ({
  ...{ id, cpuset: cpus, pcpuset: cpus, memory: 8192, cpu_usage: 0, memory_usage: 0, pinned_cpus: [], socket: 0 },
  siblings: cpus.map((cpu) => [cpu]),
  mempages: [{ size_kb: 4, total: 2_097_152, reserved: 0 }],
});
const cellsFrom = (first: number) => {
  const cpus = (at: number) => Array.from({ length: 6 }, (_, cpu) => first + at * 6 + cpu);
  return { numa_topology: { cells: [cell(first, cpus(0)), cell(first + 1, cpus(1))] } };
};
const open = async (enabledFilters: string[]) => {
  const house = await openActHouse({ hosts: 0, scheduler: { enabledFilters } });
  for (const [at, host] of ['host-0', 'host-1'].entries()) await house.core.startAgent(host, {}, { attributes: cellsFrom(at * 20) });
  const asks = JSON.stringify({ 'hw:cpu_policy': 'dedicated', 'hw:emulator_threads_policy': 'isolate' });
  await house.db.transaction((tx) => tx.updateTable('flavors').set({ extra_specs: asks }).where('flavorid', 'in', ['1', '2']).execute());
  return house;
};
let house: ActHouse;
before(async () => {
  house = await open(['ComputeFilter', 'NUMATopologyFilter']);
});
after(() => house.close());

/** Where a server's guest stands, by its host's word; what its claim holds must be the same. */
async function standing({ core, db }: ActHouse, id: string) {
  const { host, vmState, fault } = (await core.server(id)) ?? {};
  const row = await db.read
    .selectFrom('part_claims as p')
    .innerJoin('hypervisors as h', 'h.uuid', 'p.provider_uuid')
    .select(['h.host', 'p.held'])
    .where('p.consumer_uuid', '=', id)
    .executeTakeFirstOrThrow();
  assert.equal(row.host, host, `${vmState} ${fault?.message}`);
  const held = readParts(row.held).cells?.cells.map(({ id: hostCell, pinning }) => ({ hostCell, pins: [...pinning] }));
  const told = (await core.drivers[host ?? '']?.guest(id))?.cells?.cells.map(({ hostCell, pins }) => ({ hostCell, pins }));
  assert.ok(held?.[0]?.pins.length, 'the claim holds CPUs');
  assert.deepEqual(told, held);
  return { host, cells: held };
}

test('a guest stands on the cells and CPUs that its claim holds, on every host it comes to', async () => {
  const first = await house.boot();
  const id = await house.boot();
  const others = [await standing(house, first)];
  const begun = await standing(house, id);
  const seen = await house.ask(`GET /servers/${id}/topology`, { as: 'admin', at: '2.78' });
  assert.deepEqual(
    seen.body.nodes.map((node: Record<string, unknown>) => [node.host_node, node.cpu_pinning]),
    begun.cells.map(({ hostCell, pins }) => [hostCell, Object.fromEntries(pins)]),
  );
  const after = async (body: object, vmState: string, more = {}) => {
    const answer = await house.act(id, body, { as: 'admin', ...more });
    assert.ok(answer.status < 300, answer.text);
    const server = await house.ended(id);
    assert.equal(server.vmState, vmState, server.fault?.message);
    return standing(house, id);
  };
  const resized = await after({ resize: { flavorRef: '2' } }, 'resized');
  assert.notEqual(resized.host, begun.host);
  assert.equal(resized.cells[0]?.pins.length, 4);
  assert.deepEqual(await after({ revertResize: null }, 'active'), begun, 'the old place was kept');
  const live = await after({ 'os-migrateLive': { host: null, block_migration: 'auto' } }, 'active', { at: '2.25' });
  assert.notEqual(live.host, begun.host);
  assert.deepEqual(await after({ rebuild: { imageRef: (await house.server(id)).imageId } }, 'active'), live);
  await house.act(id, { 'os-stop': null });
  assert.equal((await house.ended(id)).vmState, 'stopped');
  assert.deepEqual(await after({ 'os-start': null }, 'active'), live);
  await house.act(id, { shelve: null });
  assert.equal((await house.ended(id)).vmState, 'shelved_offloaded');
  others.push(await after({ unshelve: null }, 'active'));
  const cpus = others.flatMap(({ cells }) => cells.flatMap(({ pins }) => pins.map(([, cpu]) => cpu)));
  assert.equal(new Set(cpus).size, cpus.length);
  assert.deepEqual(await house.core.audit(), []);
});

test('a build that failed is told the place of the next host', async () => {
  const id = await house.boot('active', { 'fake:spawn': 'fail-once' });
  const events = await house.db.read
    .selectFrom('server_action_events')
    .select(['event', 'host', 'result'])
    .where('result', '=', 'Error')
    .execute();
  const { host } = await standing(house, id);
  assert.ok(events.some((event) => event.event === 'compute__do_build_and_run_instance' && event.host !== host));
});

test('a rebuild keeps the cells of its server', async () => {
  const id = await house.boot();
  const before = await standing(house, id);
  const same = house.core.images.add({ properties: { hw_numa_nodes: '1', hw_cpu_policy: 'dedicated' } });
  assert.equal((await house.act(id, { rebuild: { imageRef: same } })).status, 202);
  assert.equal((await house.ended(id)).imageId, same);
  assert.deepEqual(await standing(house, id), before);
  const refused = await house.act(id, { rebuild: { imageRef: house.core.images.add({ properties: { hw_numa_nodes: '2' } }) } });
  assert.match(refused.text, /NUMA topology cannot be changed as part of a rebuild/);
  assert.equal(refused.status, 400);
  assert.deepEqual(await standing(house, id), before);
});

test('where claims of cells may be exceeded, the host chooses', async () => {
  const loose = await open(['ComputeFilter']);
  try {
    const id = await loose.boot();
    const { host } = await loose.server(id);
    assert.equal((await loose.core.drivers[host ?? '']?.guest(id))?.cells, null);
  } finally {
    await loose.close();
  }
});
