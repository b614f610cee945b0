import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ActHouse, openActHouse } from '../acts/house.ts';

const pciAliases = [{ name: 'gpu', specs: [{ vendor_id: '10de' }], numaPolicy: null }];
const attributes = { pci_device_pools: [{ vendor_id: '10de', product_id: '1', numa_node: null, count: 1, dev_type: 'type-PCI' }] };
let house: ActHouse;
before(async () => {
  house = await openActHouse({
    hosts: 0,
    schedulers: 2,
    scheduler: { enabledFilters: ['ComputeFilter', 'PciPassthroughFilter'], pciAliases },
  });
  for (const host of ['host-0', 'host-1']) await house.core.startAgent(host, {}, { attributes });
  const asks = JSON.stringify({ 'pci_passthrough:alias': 'gpu:1' });
  await house.db.transaction((tx) => tx.updateTable('flavors').set({ extra_specs: asks }).where('flavorid', 'in', ['1', '2']).execute());
});
after(() => house.close());

/** Who holds the device of each host. */
async function holders(): Promise<Record<string, number>> {
  assert.deepEqual(await house.core.audit(), []);
  const rows = await house.db.read
    .selectFrom('part_claims as p')
    .innerJoin('hypervisors as h', 'h.uuid', 'p.provider_uuid')
    .select(['h.host'])
    .execute();
  const counts: Record<string, number> = { 'host-0': 0, 'host-1': 0 };
  for (const { host } of rows) counts[host] = (counts[host] ?? 0) + 1;
  return counts;
}
const both = { 'host-0': 1, 'host-1': 1 };
const only = (host: string | null) => ({ 'host-0': 0, 'host-1': 0, [host ?? '']: 1 });

test('a device is held on both hosts of a move, by whoever may still need it, and given back where it is not', async () => {
  const id = await house.boot('active');
  const from = (await house.server(id)).host;
  const other = from === 'host-0' ? 'host-1' : 'host-0';
  assert.deepEqual(await holders(), only(from));

  assert.equal((await house.act(id, { resize: { flavorRef: '2' } })).status, 202);
  const moved = await house.ended(id);
  assert.deepEqual([moved.vmState, moved.host], ['resized', other], moved.fault?.message);
  assert.deepEqual(await holders(), both);
  const [refused = ''] = await house.core.create({ extraSpecs: { 'pci_passthrough:alias': 'gpu:1' } });
  assert.match((await house.core.settled(refused))?.fault?.message ?? '', /PciPassthroughFilter left 0 of 2/);

  assert.equal((await house.act(id, { revertResize: null })).status, 202);
  assert.equal((await house.ended(id)).host, from);
  assert.deepEqual(await holders(), only(from));
  const second = await house.boot('active');
  assert.equal((await house.server(second)).host, other);
  assert.deepEqual(await holders(), both);

  // Nowhere to go: it stays what and where it is.
  assert.equal((await house.act(id, { migrate: null }, { as: 'admin' })).status, 202);
  const stayed = await house.ended(id);
  assert.deepEqual([stayed.vmState, stayed.host], ['active', from]);
  assert.deepEqual(await holders(), both);

  await house.core.delete(second);
  await house.core.settled(second);
  assert.equal((await house.act(id, { migrate: null }, { as: 'admin' })).status, 202);
  assert.equal((await house.ended(id)).vmState, 'resized');
  assert.deepEqual(await holders(), both);
  assert.equal((await house.act(id, { confirmResize: null })).status, 204);
  assert.equal((await house.ended(id)).host, other);
  assert.deepEqual(await holders(), only(other));
  // Live, and back.
  const live = { 'os-migrateLive': { host: null, block_migration: 'auto' } };
  assert.equal((await house.act(id, live, { as: 'admin', at: '2.25' })).status, 202);
  assert.equal((await house.ended(id)).host, from);
  assert.deepEqual(await holders(), only(from));
});
