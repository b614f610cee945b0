import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { ADMIN_PROJECT, type ComputeHouse, DEMO_PROJECT, openComputeHouse } from '../support/compute-api.ts';
import { furnish, HOST_UUIDS, SERVER_UUID, SERVICE_UUIDS } from '../support/compute-world.ts';

let house: ComputeHouse | undefined;
const ask = (...args: Parameters<ComputeHouse['ask']>) => {
  assert.ok(house);
  return house.ask(...args);
};
beforeEach(async () => {
  await house?.close();
  house = await openComputeHouse();
  await furnish(house.db, house.clock);
});
after(() => house?.close());

test('hypervisors show what they have and what is taken, reserved amounts included', async () => {
  const { hypervisor } = (await ask('GET /os-hypervisors/1', { at: '2.28' })).body;
  assert.deepEqual([hypervisor.vcpus, hypervisor.vcpus_used], [4, 1]);
  assert.deepEqual([hypervisor.memory_mb, hypervisor.memory_mb_used, hypervisor.free_ram_mb], [8192, 1024, 7168]);
  assert.deepEqual(
    [hypervisor.local_gb, hypervisor.local_gb_used, hypervisor.free_disk_gb, hypervisor.disk_available_least],
    [100, 1, 99, 90],
  );
  assert.deepEqual([hypervisor.running_vms, hypervisor.current_workload], [1, 0]);
  assert.equal(hypervisor.cpu_info.topology.sockets, 4);
  assert.equal(typeof (await ask('GET /os-hypervisors/1', { at: '2.27' })).body.hypervisor.cpu_info, 'string');
  const sums = (await ask('GET /os-hypervisors/statistics')).body.hypervisor_statistics;
  assert.deepEqual([sums.count, sums.vcpus, sums.memory_mb_used, sums.running_vms], [2, 8, 1536, 1]);
  await ask('PUT /os-services/disable', { body: { host: 'host2', binary: 'nova-compute' } });
  assert.equal((await ask('GET /os-hypervisors/statistics')).body.hypervisor_statistics.count, 1);
  const newest = (await ask(`GET /os-hypervisors/${HOST_UUIDS[0]}`, { at: '2.88' })).body.hypervisor;
  assert.equal('vcpus' in newest, false);
  assert.match(newest.uptime, /up 93 days/);
  assert.equal((await ask(`GET /os-hypervisors/${HOST_UUIDS[0]}/uptime`, { at: '2.88' })).status, 404);
});

test('hypervisors are named by number, and from 2.53 on by uuid', async () => {
  assert.equal((await ask('GET /os-hypervisors/99')).status, 404);
  assert.equal((await ask('GET /os-hypervisors/one')).status, 404);
  assert.equal((await ask('GET /os-hypervisors/1', { at: '2.53' })).status, 400);
  assert.equal((await ask(`GET /os-hypervisors/${SERVER_UUID}`, { at: '2.53' })).status, 404);
  const pages = async (at: string) => {
    const first = (await ask('GET /os-hypervisors?limit=1', { at })).body;
    const next = first.hypervisors_links[0].href.slice(house?.origin.length);
    const second = (await ask(`GET ${next}`, { at })).body;
    return [first.hypervisors[0].id, second.hypervisors[0].id];
  };
  assert.deepEqual(await pages('2.33'), [1, 2]);
  assert.deepEqual(await pages('2.53'), [...HOST_UUIDS]);
  assert.equal((await ask('GET /os-hypervisors?limit=1', { at: '2.32' })).body.hypervisors.length, 2);
  assert.equal((await ask('GET /os-hypervisors?marker=99', { at: '2.33' })).status, 400);
});

test('hypervisors by a part of their name, with their servers', async () => {
  const server = { uuid: SERVER_UUID, name: 'instance-00000001' };
  assert.equal((await ask('GET /os-hypervisors/example/search')).body.hypervisors.length, 2);
  assert.equal((await ask('GET /os-hypervisors/%25/search')).status, 404);
  assert.equal((await ask('GET /os-hypervisors/nowhere/search')).status, 404);
  const [first, second] = (await ask('GET /os-hypervisors/example/servers')).body.hypervisors;
  assert.deepEqual(first.servers, [server]);
  assert.equal('servers' in second, false);
  const query = 'hypervisor_hostname_pattern=example&with_servers=true';
  const old = (await ask(`GET /os-hypervisors?${query}`, { at: '2.74' })).body.hypervisors;
  assert.deepEqual([old[0].servers, 'servers' in old[1]], [[server], false]);
  const late = (await ask(`GET /os-hypervisors/detail?${query}`, { at: '2.75' })).body.hypervisors;
  assert.deepEqual([late[0].servers, late[1].servers], [[server], []]);
  assert.equal((await ask('GET /os-hypervisors/example/servers', { at: '2.53' })).status, 404);
  assert.equal((await ask(`GET /os-hypervisors?${query}&limit=1`, { at: '2.53' })).status, 400);
  assert.equal((await ask('GET /os-hypervisors?hypervisor_hostname_pattern=nowhere', { at: '2.53' })).status, 404);
});

test('a silent host is down after service_down_time, and says no uptime', async () => {
  assert.equal((await ask('GET /os-hypervisors/1')).body.hypervisor.state, 'up');
  assert.equal((await ask('GET /os-hypervisors/1/uptime')).status, 200);
  await house?.clock.advance(61_000);
  assert.equal((await ask('GET /os-hypervisors/1')).body.hypervisor.state, 'down');
  assert.equal((await ask('GET /os-hypervisors/1/uptime')).status, 400);
  assert.equal((await ask(`GET /os-hypervisors/${HOST_UUIDS[0]}`, { at: '2.88' })).body.hypervisor.uptime, null);
  assert.ok((await ask('GET /os-services')).body.services.every(({ state }: { state: string }) => state === 'down'));
});

test('services to 2.52: the path is the deed', async () => {
  const who = { host: 'host1', binary: 'nova-compute' };
  const put = (deed: string, more: object = {}, at?: string) => ask(`PUT /os-services/${deed}`, { at, body: { ...who, ...more } });
  assert.deepEqual((await put('disable-log-reason', { disabled_reason: 'broken' })).body.service, {
    ...who,
    status: 'disabled',
    disabled_reason: 'broken',
  });
  const listed = (await ask('GET /os-services?host=host1&binary=nova-compute')).body.services;
  assert.deepEqual([listed.length, listed[0].status, listed[0].disabled_reason, listed[0].id], [1, 'disabled', 'broken', 1]);
  assert.deepEqual((await put('enable')).body.service, { ...who, status: 'enabled' });
  assert.equal((await ask('GET /os-services?host=host1')).body.services[0].disabled_reason, null);
  assert.equal((await put('disable-log-reason')).status, 400);
  assert.equal((await put('force-down', {}, '2.10')).status, 404);
  assert.equal((await put('force-down', {}, '2.11')).status, 400);
  assert.equal((await put('force-down', { forced_down: 'yes' }, '2.11')).body.service.forced_down, true);
  const down = (await ask('GET /os-services?host=host1', { at: '2.11' })).body.services[0];
  assert.deepEqual([down.state, down.forced_down], ['down', true]);
  assert.equal((await put('explode')).status, 404);
  assert.equal((await put('enable', { host: 'nowhere' })).status, 404);
  assert.equal((await put('enable', { host: 'a host' })).status, 400);
});

test('services from 2.53: the path is the service', async () => {
  const put = (body: object, id: string = SERVICE_UUIDS[0]) => ask(`PUT /os-services/${id}`, { at: '2.53', body });
  const { service } = (await put({ status: 'disabled', disabled_reason: 'tidying', forced_down: true })).body;
  assert.deepEqual([service.id, service.status, service.disabled_reason, service.state], [SERVICE_UUIDS[0], 'disabled', 'tidying', 'down']);
  assert.equal((await put({ status: 'enabled', disabled_reason: 'x' })).status, 400);
  assert.equal((await put({ disabled_reason: 'x' })).status, 400);
  assert.equal((await put({})).status, 400);
  assert.equal((await put({ status: 'disabled' }, SERVICE_UUIDS[2])).status, 400);
  assert.equal((await put({ status: 'disabled' }, 'enable')).status, 400);
  assert.equal((await put({ status: 'disabled' }, SERVER_UUID)).status, 404);
  const told = await house?.db.read.selectFrom('changes').selectAll().execute();
  assert.deepEqual(
    told?.map(({ noun, key, what }) => [noun, key, what]),
    [['service', 'host1', 'updated']],
  );
});

test('a service with servers stays, others can be forgotten', async () => {
  assert.equal((await ask('DELETE /os-services/1')).status, 409);
  assert.equal((await ask('DELETE /os-services/x')).status, 400);
  assert.equal((await ask('DELETE /os-services/1', { at: '2.53' })).status, 400);
  assert.equal((await ask('DELETE /os-services/99')).status, 404);
  const gone = await ask(`DELETE /os-services/${SERVICE_UUIDS[1]}`, { at: '2.53' });
  assert.deepEqual([gone.status, gone.text], [204, '']);
  assert.equal((await ask('GET /os-hypervisors')).body.hypervisors.length, 1);
});

test('zones: for everybody by name, for admins with hosts', async () => {
  const nova = { zoneName: 'nova', zoneState: { available: true }, hosts: null };
  assert.deepEqual((await ask('GET /os-availability-zone', { as: 'demo' })).body, { availabilityZoneInfo: [nova] });
  const [internal, zone] = (await ask('GET /os-availability-zone/detail')).body.availabilityZoneInfo;
  assert.equal(internal.hosts.controller['nova-scheduler'].available, true);
  assert.deepEqual(Object.keys(zone.hosts), ['host1', 'host2']);
  for (const host of ['host1', 'host2']) await ask('PUT /os-services/disable', { body: { host, binary: 'nova-compute' } });
  assert.equal((await ask('GET /os-availability-zone')).body.availabilityZoneInfo[0].zoneState.available, false);
});

test('limits and quotas: defaults, own ones, use, and what may not be', async () => {
  const limits = (query = '', as = 'demo') => ask(`GET /limits${query}`, { as });
  const used = { instances: 2, cores: 4, ram: 1024 };
  await house?.db.transaction(async (tx) => {
    for (const [resource, count] of Object.entries(used))
      await tx.insertInto('quota_usages').values({ project_id: DEMO_PROJECT, user_id: '', resource, used: count }).execute();
  });
  const { absolute } = (await limits()).body.limits;
  assert.deepEqual([absolute.maxTotalCores, absolute.totalCoresUsed, absolute.totalInstancesUsed, absolute.totalRAMUsed], [20, 4, 2, 1024]);
  assert.equal((await limits(`?tenant_id=${DEMO_PROJECT}`, 'other')).status, 403);
  assert.equal((await limits(`?tenant_id=${DEMO_PROJECT}`, 'admin')).body.limits.absolute.totalCoresUsed, 4);

  const path = `/os-quota-sets/${DEMO_PROJECT}`;
  const put = (quota_set: object, query = '', at?: string) => ask(`PUT ${path}${query}`, { at, body: { quota_set } });
  assert.equal((await put({ cores: 40, ram: '-1' })).body.quota_set.cores, 40);
  const shown = (await ask(`GET ${path}`, { as: 'demo' })).body.quota_set;
  assert.deepEqual([shown.id, shown.cores, shown.ram, shown.instances, shown.fixed_ips], [DEMO_PROJECT, 40, -1, 10, -1]);
  assert.equal((await limits()).body.limits.absolute.maxTotalCores, 40);
  assert.equal((await ask(`GET ${path}`, { as: 'other' })).status, 403);
  assert.match((await put({ cores: 3 })).body.badRequest.message, /already used 4/);
  assert.equal((await put({ cores: 3, force: true })).body.quota_set.cores, 3);
  for (const wrong of [{ cores: -2 }, { cores: '-2' }, { cores: '99999999999' }, { cores: 'x' }, { wings: 2 }])
    assert.equal((await put(wrong)).status, 400);
  assert.equal((await put({ floating_ips: 5 }, '', '2.35')).status, 200);
  assert.equal((await put({ floating_ips: 5 }, '', '2.36')).status, 400);
  assert.equal((await put({ injected_files: 5 }, '', '2.57')).status, 400);
  assert.match((await put({ cores: 7 }, '?user_id=u1')).body.badRequest.message, /less than or equal to 3/);
  assert.equal((await put({ cores: 2 }, '?user_id=u1')).body.quota_set.cores, 2);
  assert.equal((await ask(`GET ${path}?user_id=u1`)).body.quota_set.cores, 2);
  assert.match((await put({ cores: 2 }, '?user_id=u2')).body.badRequest.message, /less than or equal to 1/);
  assert.match((await put({ cores: -1 }, '?user_id=u2')).body.badRequest.message, /less than or equal to 1/);
  assert.equal((await ask(`GET ${path}?user_id=u2`)).body.quota_set.cores, 3);
  const detail = (await ask(`GET ${path}/detail`)).body.quota_set;
  assert.deepEqual(detail.cores, { in_use: 4, limit: 3, reserved: 0 });
  assert.equal((await ask(`GET ${path}/defaults`)).body.quota_set.cores, 20);
  assert.equal((await ask(`DELETE ${path}?user_id=u1`)).status, 202);
  assert.equal((await ask(`GET ${path}?user_id=u1`)).body.quota_set.cores, 3);
  assert.equal((await ask(`DELETE ${path}`)).status, 202);
  assert.equal((await ask(`GET ${path}`)).body.quota_set.cores, 20);
  assert.equal((await ask(`GET /os-quota-sets/${ADMIN_PROJECT}`)).body.quota_set.cores, 20);
});

test('extensions are the frozen list; the legacy mount has one more', async () => {
  assert.equal((await ask('GET /extensions')).body.extensions.length, 99);
  assert.equal((await ask('GET /v2/extensions')).body.extensions.length, 100);
  assert.equal((await ask('GET /extensions/os-agents')).body.extension.name, 'Agents');
  assert.equal((await ask('GET /extensions/constructor')).status, 404);
});
