import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type NetworkHouse, openNetworkHouse } from './cloud-for-tests.ts';
import type { ServerEvent } from './parts.ts';

describe('routers and floating addresses', () => {
  let house: NetworkHouse;
  let outside: string;
  const told: ServerEvent[] = [];
  const ask: NetworkHouse['ask'] = (...args) => house.ask(...args);
  const made = async (as: string, noun: string, key: string, body: object) => {
    const answer = await ask(as, 'POST', `/v2.0/${noun}`, { [key]: body });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return answer.body[key];
  };
  const lan = async (as: string, cidr: string) => {
    const network = await made(as, 'networks', 'network', { name: 'lan' });
    return { network, subnet: await made(as, 'subnets', 'subnet', { network_id: network.id, cidr, ip_version: 4 }) };
  };
  const isFault = (answer: Awaited<ReturnType<typeof ask>>, status: number, type: string) => {
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.equal(answer.body.NeutronError.type, type, JSON.stringify(answer.body));
  };
  const plug = (as: string, router: string, body: object) => ask(as, 'PUT', `/v2.0/routers/${router}/add_router_interface`, body);
  const unplug = (as: string, router: string, body: object) => ask(as, 'PUT', `/v2.0/routers/${router}/remove_router_interface`, body);
  before(async () => {
    house = await openNetworkHouse({ tellCompute: (events) => told.push(...events), quotas: { router: 4, floatingip: 5 } });
    outside = (await ask('alice', 'GET', '/v2.0/networks?router:external=True')).body.networks[0].id;
  });
  after(() => house.close());

  test('the seeded router leads from the shared network outside', async () => {
    const [router] = (await ask('admin', 'GET', '/v2.0/routers')).body.routers;
    assert.equal(router.external_gateway_info.network_id, outside);
    assert.equal(router.external_gateway_info.enable_snat, true);
    assert.match(router.external_gateway_info.external_fixed_ips[0].ip_address, /^203\.0\.113\./);
    assert.deepEqual([router.ha, router.distributed, router.status], [false, false, 'ACTIVE']);
    const ports = (await ask('admin', 'GET', `/v2.0/ports?device_id=${router.id}`)).body.ports;
    assert.deepEqual(ports.map((port: { device_owner: string }) => port.device_owner).sort(), [
      'network:router_gateway',
      'network:router_interface',
    ]);
    for (const port of ports) isFault(await ask('admin', 'DELETE', `/v2.0/ports/${port.id}`), 409, 'ServicePortInUse');
    isFault(await ask('alice', 'GET', `/v2.0/routers/${router.id}`), 404, 'RouterNotFound');
  });

  test('interfaces by subnet and by port, and what stands in their way', async () => {
    const one = await lan('alice', '10.1.0.0/24');
    const two = await lan('alice', '10.2.0.0/24');
    const router = await made('alice', 'routers', 'router', { name: 'r' });
    assert.equal('ha' in router, false);
    const byIp = await plug('alice', router.id, { subnet_id: one.subnet.id });
    assert.equal(byIp.status, 200, JSON.stringify(byIp.body));
    assert.deepEqual([byIp.body.subnet_id, byIp.body.subnet_ids, byIp.body.network_id], [one.subnet.id, [one.subnet.id], one.network.id]);
    const port = (await ask('alice', 'GET', `/v2.0/ports/${byIp.body.port_id}`)).body.port;
    assert.deepEqual([port.device_id, port.fixed_ips[0].ip_address, port.status], [router.id, '10.1.0.1', 'ACTIVE']);
    isFault(await plug('alice', router.id, { subnet_id: one.subnet.id }), 400, 'BadRequest');
    isFault(await plug('alice', router.id, {}), 400, 'BadRequest');
    isFault(await plug('alice', router.id, { subnet_id: one.subnet.id, port_id: port.id }), 400, 'BadRequest');
    isFault(await plug('alice', router.id, { port_id: port.id }), 409, 'PortInUse');
    isFault(await plug('bob', router.id, { subnet_id: one.subnet.id }), 404, 'RouterNotFound');
    const twin = await lan('alice', '10.1.0.128/25');
    isFault(await plug('alice', router.id, { subnet_id: twin.subnet.id }), 400, 'BadRequest');
    const own = await made('alice', 'ports', 'port', { network_id: two.network.id });
    const byPort = await plug('alice', router.id, { port_id: own.id });
    assert.equal(byPort.body.port_id, own.id, JSON.stringify(byPort.body));
    isFault(await ask('alice', 'DELETE', `/v2.0/routers/${router.id}`), 409, 'RouterInUse');
    isFault(await ask('alice', 'DELETE', `/v2.0/subnets/${one.subnet.id}`), 409, 'SubnetInUse');
    isFault(await ask('alice', 'PUT', `/v2.0/subnets/${one.subnet.id}`, { subnet: { gateway_ip: null } }), 409, 'GatewayIpInUse');

    const route = { destination: '10.50.0.0/16', nexthop: '10.2.0.77' };
    const change = (routes: object[]) => ask('alice', 'PUT', `/v2.0/routers/${router.id}`, { router: { routes } });
    isFault(await change([{ ...route, nexthop: '10.9.0.1' }]), 400, 'InvalidRoutes');
    isFault(await change([{ ...route, nexthop: '10.1.0.1' }]), 400, 'InvalidRoutes');
    assert.deepEqual((await change([route])).body.router.routes, [route]);
    isFault(await unplug('alice', router.id, { subnet_id: two.subnet.id }), 409, 'RouterInterfaceInUseByRoute');
    const less = await ask('alice', 'PUT', `/v2.0/routers/${router.id}/remove_extraroutes`, { router: { routes: [route] } });
    assert.deepEqual(less.body.router.routes, []);
    isFault(await unplug('alice', router.id, { port_id: own.id, subnet_id: one.subnet.id }), 400, 'SubnetMismatchForPort');
    assert.equal((await unplug('alice', router.id, { port_id: own.id })).status, 200);
    isFault(await unplug('alice', router.id, { port_id: own.id }), 404, 'RouterInterfaceNotFound');
    isFault(await unplug('alice', router.id, { subnet_id: two.subnet.id }), 404, 'RouterInterfaceNotFoundForSubnet');
    assert.equal((await ask('alice', 'GET', `/v2.0/ports/${own.id}`)).status, 404);
    assert.equal((await unplug('alice', router.id, { subnet_id: one.subnet.id })).status, 200);
    assert.equal((await ask('alice', 'DELETE', `/v2.0/routers/${router.id}`)).status, 204);
    isFault(await ask('alice', 'GET', `/v2.0/routers/${router.id}`), 404, 'RouterNotFound');
    assert.equal((await ask('alice', 'GET', '/v2.0/quotas/alice-project/details')).body.quota.port.used, 0);
  });

  test('a gateway is set, changed and cleared; only on external networks', async () => {
    const { network } = await lan('alice', '10.3.0.0/24');
    const gate = (id: string) => ({ external_gateway_info: { network_id: id } });
    isFault(await ask('alice', 'POST', '/v2.0/routers', { router: gate(network.id) }), 400, 'BadRequest');
    const router = await made('alice', 'routers', 'router', { name: 'g', ...gate(outside) });
    assert.equal(router.external_gateway_info.external_fixed_ips.length, 1);
    isFault(
      await ask('alice', 'PUT', `/v2.0/routers/${router.id}`, {
        router: { external_gateway_info: { network_id: outside, enable_snat: false } },
      }),
      403,
      'PolicyNotAuthorized',
    );
    isFault(await ask('alice', 'PUT', `/v2.0/routers/${router.id}`, { router: { ha: true } }), 403, 'PolicyNotAuthorized');
    const ha = await ask('admin', 'PUT', `/v2.0/routers/${router.id}`, { router: { ha: true, admin_state_up: false } });
    assert.deepEqual([ha.body.router.ha, ha.body.router.admin_state_up], [true, false]);
    const cleared = await ask('alice', 'PUT', `/v2.0/routers/${router.id}`, { router: { external_gateway_info: {} } });
    assert.equal(cleared.body.router.external_gateway_info, null);
    assert.equal((await ask('admin', 'GET', `/v2.0/ports?device_id=${router.id}`)).body.ports.length, 0);
    assert.equal((await ask('alice', 'PUT', `/v2.0/routers/${router.id}/tags/red`)).status, 201);
    assert.equal((await ask('alice', 'GET', '/v2.0/routers?tags=red')).body.routers.length, 1);
    assert.equal((await ask('alice', 'DELETE', `/v2.0/routers/${router.id}`)).status, 204);
    for (let n = 0; n < 4; n++) await made('bob', 'routers', 'router', { name: `b${n}` });
    isFault(await ask('bob', 'POST', '/v2.0/routers', { router: {} }), 409, 'OverQuota');
  });

  test('floating addresses: made, led to a port, moved, taken off, counted, and compute is told', async () => {
    const { network, subnet } = await lan('alice', '10.4.0.0/24');
    const server = '11111111-2222-4333-8444-555555555555';
    const port = await made('alice', 'ports', 'port', { network_id: network.id, device_id: server, device_owner: 'compute:nova' });
    const fip = await made('alice', 'floatingips', 'floatingip', { floating_network_id: outside });
    assert.deepEqual([fip.status, fip.port_id, fip.fixed_ip_address, fip.router_id, fip.port_details], ['DOWN', null, null, null, null]);
    assert.match(fip.floating_ip_address, /^203\.0\.113\./);
    const lead = (id: string, body: object) => ask('alice', 'PUT', `/v2.0/floatingips/${id}`, { floatingip: body });
    isFault(await lead(fip.id, { port_id: port.id }), 404, 'ExternalGatewayForFloatingIPNotFound');
    const router = await made('alice', 'routers', 'router', { external_gateway_info: { network_id: outside } });
    assert.equal((await plug('alice', router.id, { subnet_id: subnet.id })).status, 200);
    told.length = 0;
    const led = (await lead(fip.id, { port_id: port.id, description: 'mine' })).body.floatingip;
    assert.deepEqual(
      [led.status, led.port_id, led.fixed_ip_address, led.router_id, led.port_details.device_id, led.description],
      ['ACTIVE', port.id, port.fixed_ips[0].ip_address, router.id, server, 'mine'],
    );
    assert.deepEqual(told, [{ name: 'network-changed', server_uuid: server, tag: port.id }]);
    isFault(
      await ask('alice', 'POST', '/v2.0/floatingips', { floatingip: { floating_network_id: outside, port_id: port.id } }),
      409,
      'FloatingIPPortAlreadyAssociated',
    );
    isFault(await unplug('alice', router.id, { subnet_id: subnet.id }), 409, 'RouterInterfaceInUseByFloatingIP');
    isFault(
      await ask('alice', 'PUT', `/v2.0/routers/${router.id}`, { router: { external_gateway_info: null } }),
      409,
      'RouterExternalGatewayInUseByFloatingIp',
    );
    const find = async (words: string) => (await ask('alice', 'GET', `/v2.0/floatingips?${words}`)).body.floatingips.length;
    assert.equal(await find(`port_id=${port.id}&status=ACTIVE`), 1);
    assert.equal(await find(`floating_ip_address=${fip.floating_ip_address}&status=DOWN`), 0);
    assert.equal((await lead(fip.id, { description: 'still' })).body.floatingip.port_id, port.id);
    const off = (await lead(fip.id, { port_id: null })).body.floatingip;
    assert.deepEqual([off.status, off.port_id, off.router_id], ['DOWN', null, null]);
    assert.equal(told.length, 2);
    isFault(await lead(fip.id, { port_id: port.id, fixed_ip_address: '10.4.0.99' }), 400, 'BadRequest');
    assert.equal((await lead(fip.id, { port_id: port.id })).status, 200);
    assert.equal((await ask('alice', 'DELETE', `/v2.0/ports/${port.id}`)).status, 204);
    assert.equal((await ask('alice', 'GET', `/v2.0/floatingips/${fip.id}`)).body.floatingip.port_id, null);
    assert.deepEqual(told.at(-1), { name: 'network-vif-deleted', server_uuid: server, tag: port.id });

    isFault(await ask('bob', 'GET', `/v2.0/floatingips/${fip.id}`), 404, 'FloatingIPNotFound');
    isFault(await ask('alice', 'POST', '/v2.0/floatingips', { floatingip: { floating_network_id: network.id } }), 400, 'BadRequest');
    const chosen = { floating_network_id: outside, floating_ip_address: '203.0.113.200' };
    isFault(await ask('alice', 'POST', '/v2.0/floatingips', { floatingip: chosen }), 403, 'PolicyNotAuthorized');
    assert.equal((await made('admin', 'floatingips', 'floatingip', chosen)).floating_ip_address, '203.0.113.200');
    isFault(await ask('admin', 'POST', '/v2.0/floatingips', { floatingip: chosen }), 409, 'IpAddressAlreadyAllocated');
    assert.equal((await ask('alice', 'DELETE', `/v2.0/floatingips/${fip.id}`)).status, 204);
    for (let n = 0; n < 5; n++) await made('bob', 'floatingips', 'floatingip', { floating_network_id: outside });
    isFault(await ask('bob', 'POST', '/v2.0/floatingips', { floatingip: { floating_network_id: outside } }), 409, 'OverQuota');
    assert.equal((await ask('bob', 'GET', '/v2.0/quotas/bob-project/details')).body.quota.floatingip.used, 5);
  });

  test('a changed fixed address loses its floating one; what compute does itself it is not told of', async () => {
    const shared = (await ask('alice', 'GET', '/v2.0/networks?name=default')).body.networks[0];
    const server = '11111111-2222-4333-8444-666666666666';
    const port = await made('service', 'ports', 'port', {
      network_id: shared.id,
      project_id: 'alice-project',
      device_id: server,
      device_owner: 'compute:nova',
    });
    const fip = await made('alice', 'floatingips', 'floatingip', { floating_network_id: outside, port_id: port.id });
    assert.equal(fip.fixed_ip_address, port.fixed_ips[0].ip_address);
    told.length = 0;
    const move = { port: { fixed_ips: [{ ip_address: '172.24.9.9' }] } };
    assert.equal((await ask('service', 'PUT', `/v2.0/ports/${port.id}`, move)).status, 200);
    assert.equal(told.length, 0);
    assert.equal((await ask('alice', 'GET', `/v2.0/floatingips/${fip.id}`)).body.floatingip.status, 'DOWN');
    assert.equal((await ask('alice', 'PUT', `/v2.0/ports/${port.id}`, { port: { security_groups: [] } })).status, 200);
    assert.deepEqual(told, [{ name: 'network-changed', server_uuid: server, tag: port.id }]);
  });

  test('operators see how many addresses are in use', async () => {
    isFault(await ask('alice', 'GET', '/v2.0/network-ip-availabilities'), 403, 'PolicyNotAuthorized');
    const all = (await ask('admin', 'GET', '/v2.0/network-ip-availabilities?network_name=public')).body.network_ip_availabilities;
    assert.equal(all.length, 1);
    const used = (await ask('admin', 'GET', `/v2.0/network-ip-availabilities/${outside}`)).body.network_ip_availability;
    assert.deepEqual(used, all[0]);
    assert.equal(used.total_ips, 253);
    const ports = (await ask('admin', 'GET', `/v2.0/ports?network_id=${outside}`)).body.ports.length;
    assert.deepEqual([used.used_ips, used.subnet_ip_availability[0].used_ips], [ports, ports]);
  });
});
