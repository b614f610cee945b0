import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { type ComputeHouse, DEMO_PROJECT, openComputeHouse } from '../support/compute-api.ts';
import { furnish, HOST_UUIDS, SERVER_UUID, SERVICE_UUIDS } from '../support/compute-world.ts';

let house: ComputeHouse;
const ask = (...args: Parameters<ComputeHouse['ask']>) => house.ask(...args);
beforeEach(async () => {
  await house?.close();
  house = await openComputeHouse();
  await furnish(house.db, house.clock);
});
after(() => house?.close());

const told = async () => {
  const rows = await house.db.read.selectFrom('changes').select('body').where('noun', '=', 'service').orderBy('id').execute();
  return rows.map((row) => JSON.parse(row.body).notice);
};

test('hosts: a list by zone, what one has and what is taken of it', async () => {
  const names = async (path: string) =>
    (await ask(`GET ${path}`)).body.hosts.map((host: { host_name: string; service: string }) => `${host.host_name} ${host.service}`);
  assert.deepEqual(await names('/os-hosts'), ['host1 compute', 'host2 compute', 'controller scheduler']);
  assert.deepEqual(await names('/os-hosts?zone=internal'), ['controller scheduler']);
  assert.deepEqual(await names('/os-hosts?zone=moon&other=1'), []);
  const { host } = (await ask('GET /os-hosts/host1')).body;
  const line = (project: string, cpu: number, memory_mb: number, disk_gb: number) => ({
    resource: { host: 'host1', project, cpu, memory_mb, disk_gb },
  });
  assert.deepEqual(host, [
    line('(total)', 4, 8192, 100),
    line('(used_now)', 1, 1024, 1),
    line('(used_max)', 1, 512, 1),
    line(DEMO_PROJECT, 1, 512, 1),
  ]);
  assert.equal((await ask('GET /os-hosts/controller')).status, 404);
  assert.equal((await ask('GET /os-hosts/host1', { at: '2.43' })).status, 404);
  assert.equal((await ask('GET /os-hosts', { as: 'demo' })).status, 403);
});

test('a host is disabled by its status; no maintenance, no power where the hypervisor has none', async () => {
  const put = (body: object) => ask('PUT /os-hosts/host2', { body });
  assert.deepEqual((await put({ status: 'Disable', maintenance_mode: 'disable' })).body, {
    ...{ host: 'host2', status: 'disabled', maintenance_mode: 'off_maintenance' },
  });
  const [service] = (await ask('GET /os-services?host=host2')).body.services;
  assert.equal(service.status, 'disabled');
  assert.deepEqual((await ask('GET /os-hosts')).body.hosts.length, 2);
  const [update] = await told();
  assert.deepEqual([update.event, update.publisher], ['service.update', 'nova-compute:host2']);
  assert.equal(update.payload['nova_object.data'].disabled, true);
  assert.equal((await put({ maintenance_mode: 'enable' })).status, 501);
  assert.equal((await put({})).status, 400);
  assert.equal((await put({ status: 'maybe' })).status, 400);
  assert.equal((await ask('PUT /os-hosts/controller', { body: { status: 'enable' } })).status, 404);
  assert.equal((await ask('GET /os-hosts/host1/reboot')).status, 501);
  assert.equal((await ask('GET /os-hosts/nowhere/reboot')).status, 404);
  await house.db.transaction((tx) => tx.updateTable('hypervisors').set({ hypervisor_type: 'fake' }).execute());
  assert.deepEqual((await ask('GET /os-hosts/host1/shutdown')).body, { host: 'host1', power_action: 'shutdown' });
});

test('a service that goes takes its hypervisor, its inventory and its places in aggregates along; one with a claim stays', async () => {
  const id = (await ask('POST /os-aggregates', { body: { aggregate: { name: 'a' } } })).body.aggregate.id;
  await ask(`POST /os-aggregates/${id}/action`, { body: { add_host: { host: 'host2' } } });
  const remove = () => ask(`DELETE /os-services/${SERVICE_UUIDS[1]}`, { at: '2.53' });
  const inventory = () => house.db.read.selectFrom('inventories').selectAll().where('provider_uuid', '=', HOST_UUIDS[1]).execute();
  const claim = (used: number) =>
    house.db.transaction((tx) => tx.updateTable('inventories').set({ used }).where('provider_uuid', '=', HOST_UUIDS[1]).execute());
  await claim(1); // a placing that has claimed, and not yet moved its server
  assert.equal((await remove()).status, 409);
  assert.equal((await inventory()).length, 3);
  await claim(0);
  assert.equal((await remove()).status, 204);
  assert.deepEqual(await inventory(), []);
  assert.deepEqual((await ask(`GET /os-aggregates/${id}`)).body.aggregate.hosts, []);
  assert.equal((await ask(`GET /os-hypervisors/${HOST_UUIDS[1]}`, { at: '2.53' })).status, 404);
  assert.equal((await told()).at(-1).event, 'service.delete');
  assert.equal((await ask(`DELETE /os-services/${SERVICE_UUIDS[0]}`, { at: '2.53' })).status, 409, `${SERVER_UUID} stands there`);
});
