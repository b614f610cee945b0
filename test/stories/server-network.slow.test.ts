import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Neighbour } from '../../src/clients/neighbour.ts';
import { CloudError } from '../../src/model/errors.ts';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many forms
type Any = any;
describe('the network side of servers, over HTTP on the whole cloud', () => {
  let house: House;
  let demo: Client;
  let admin: Client;
  let shared: Any;
  let outside: Any;
  let second: Any;
  let secondSubnet: Any;
  let server: string;

  const at = (version: string) => ({ 'openstack-api-version': `compute ${version}` });
  const ask = async (
    who: Neighbour,
    method: 'GET' | 'POST' | 'PUT' | 'DELETE',
    path: string,
    body?: unknown,
    version = '2.1',
  ): Promise<Any> => (await who.ask<Any>(method, path, { headers: at(version), ...(body === undefined ? {} : { body }) })).body;
  const compute = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown, version?: string) =>
    ask(demo.compute, method, path, body, version);
  const network = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: unknown) =>
    ask(demo.network, method, `/v2.0/${path}`, body);
  const act = (action: string, args: unknown, version = '2.43') =>
    compute('POST', `/servers/${server}/action`, { [action]: args }, version);
  const refused = async (work: Promise<unknown>, status: number, words: RegExp) =>
    assert.rejects(work, (cause) => {
      assert.ok(cause instanceof CloudError, String(cause));
      assert.equal(cause.params.status, status, cause.message);
      assert.match(cause.message, words);
      return true;
    });
  const addresses = async (): Promise<Record<string, { addr: string; 'OS-EXT-IPS:type': string }[]>> =>
    (await compute('GET', `/servers/${server}`)).server.addresses;
  const flat = async (type: string) =>
    Object.values(await addresses())
      .flat()
      .filter((one) => one['OS-EXT-IPS:type'] === type)
      .map((one) => one.addr);
  const shows = (type: string, address: string, there: boolean) =>
    waitFor(
      async () => (await flat(type)).includes(address) === there,
      10_000,
      () => `${address} is ${there ? 'missing' : 'still there'}`,
    );
  const interfaces = async (version?: string) =>
    (await compute('GET', `/servers/${server}/os-interface`, undefined, version)).interfaceAttachments as Any[];
  const boot = async (networks: unknown) => {
    const image = (await demo.image.ask<Any>('GET', '/v2/images')).body.images[0].id;
    const made = await compute('POST', '/servers', { server: { name: 's', flavorRef: '1', imageRef: image, networks } }, '2.37');
    await waitFor(
      async () => (await compute('GET', `/servers/${made.server.id}`)).server.status === 'ACTIVE',
      20_000,
      () => 'the server did not become ACTIVE',
    );
    return made.server.id as string;
  };

  before(async () => {
    house = await startHouse();
    [demo, admin] = [await house.as('demo'), await house.as('admin')];
    const all = (await network('GET', 'networks')).networks;
    shared = all.find((one: Any) => one.name === 'default');
    outside = all.find((one: Any) => one.name === 'public');
    server = await boot([{ uuid: shared.id }]);
    second = (await network('POST', 'networks', { network: { name: 'second' } })).network;
    secondSubnet = (await network('POST', 'subnets', { subnet: { network_id: second.id, cidr: '10.7.0.0/28', ip_version: 4 } })).subnet;
  });
  after(async () => {
    await house?.stop();
    await house?.remove();
  });

  test('an admin plugs a server into another project’s network, as with Nova and Neutron; nobody else does, and its ports stay its own', async () => {
    const create = async (who: Client, networks: unknown) => {
      const image = (await demo.image.ask<Any>('GET', '/v2/images')).body.images[0].id;
      return ask(who.compute, 'POST', '/servers', { server: { name: 'guest', flavorRef: '1', imageRef: image, networks } }, '2.37');
    };
    const ends = (path: string, status: string) =>
      waitFor(
        async () => (await ask(admin.compute, 'GET', path)).server.status === status,
        20_000,
        () => `it is not ${status}`,
      );
    const own = (await ask(admin.network, 'POST', '/v2.0/networks', { network: { name: 'admins' } })).network;
    await ask(admin.network, 'POST', '/v2.0/subnets', { subnet: { network_id: own.id, cidr: '10.8.0.0/28', ip_version: 4 } });
    await refused(create(demo, [{ uuid: own.id }]), 400, /Network .* could not be found/);
    const port = (await network('POST', 'ports', { port: { network_id: second.id, name: 'demos' } })).port;
    await refused(create(admin, [{ port: port.id }]), 400, /Port/);
    await network('DELETE', `ports/${port.id}`);
    const { id } = (await create(admin, [{ uuid: second.id }])).server;
    await ends(`/servers/${id}`, 'ACTIVE');
    const [there] = (await ask(admin.network, 'GET', `/v2.0/ports?device_id=${id}`)).ports;
    assert.deepEqual([there.network_id, there.project_id], [second.id, own.project_id]);
    // Into the server of another project, too.
    const plug = { interfaceAttachment: { net_id: own.id } };
    await refused(compute('POST', `/servers/${server}/os-interface`, plug), 404, /Network/);
    const plugged = (await ask(admin.compute, 'POST', `/servers/${server}/os-interface`, plug)).interfaceAttachment;
    assert.equal(plugged.net_id, own.id);
    await compute('DELETE', `/servers/${server}/os-interface/${plugged.port_id}`);
    await waitFor(
      async () => (await interfaces()).length === 1,
      10_000,
      () => 'the interface is still there',
    );
    await admin.compute.ask('DELETE', `/servers/${id}`);
  });

  test('interfaces come by network, by address and by port, with tags, and go', async () => {
    const before = await interfaces();
    assert.equal(before.length, 1);
    assert.deepEqual(Object.keys(before[0]).sort(), ['fixed_ips', 'mac_addr', 'net_id', 'port_id', 'port_state']);
    const attach = (interfaceAttachment: object, version = '2.70') =>
      compute('POST', `/servers/${server}/os-interface`, { interfaceAttachment }, version);
    const byNet = (await attach({ net_id: second.id, fixed_ips: [{ ip_address: '10.7.0.9' }], tag: 'db' })).interfaceAttachment;
    assert.deepEqual([byNet.net_id, byNet.fixed_ips[0].ip_address, byNet.tag, byNet.port_state], [second.id, '10.7.0.9', 'db', 'ACTIVE']);
    assert.ok((await flat('fixed')).includes('10.7.0.9'));
    await refused(attach({ net_id: second.id, fixed_ips: [{ ip_address: '10.7.0.9' }] }), 409, /already in use/);
    await refused(attach({ net_id: second.id, port_id: byNet.port_id }), 400, /both/);
    await refused(attach({ fixed_ips: [{ ip_address: '10.7.0.9' }] }), 400, /network_id/);
    await refused(attach({ port_id: byNet.port_id }), 409, /in use/);
    await refused(attach({ port_id: '11111111-2222-4333-8444-555555555555' }), 404, /Port id/);
    await refused(attach({ net_id: '11111111-2222-4333-8444-555555555555' }), 404, /Network/);
    await refused(attach({ net_id: second.id, tag: 'x' }, '2.48'), 400, /tag/);
    const own = (await network('POST', 'ports', { port: { network_id: second.id, name: 'mine' } })).port;
    const byPort = (await attach({ port_id: own.id }, '2.1')).interfaceAttachment;
    assert.equal(byPort.port_id, own.id);
    assert.equal('tag' in byPort, false);
    assert.equal((await network('GET', `ports/${own.id}`)).port.device_id, server);
    const three = await interfaces();
    assert.equal(three.length, 3);
    assert.equal(new Set(three.map((one) => one.mac_addr)).size, 3);
    // A second one on the same network is another port.
    const again = (await attach({ net_id: second.id })).interfaceAttachment;
    assert.ok(!three.some((one) => one.port_id === again.port_id || one.mac_addr === again.mac_addr));
    await compute('DELETE', `/servers/${server}/os-interface/${again.port_id}`);
    const actions = (await compute('GET', `/servers/${server}/os-instance-actions`)).instanceActions.map((one: Any) => one.action);
    assert.ok(actions.includes('attach_interface'));
    // A server made anew keeps what it has by now, not what it was built with.
    await waitFor(
      async () => (await interfaces()).length === 3,
      20_000,
      () => 'the second port on one network does not go',
    );
    const image = (await demo.image.ask<Any>('GET', '/v2/images')).body.images[0].id;
    const kept = await addresses();
    await act('rebuild', { imageRef: image });
    await waitFor(
      async () => (await compute('GET', `/servers/${server}`)).server.status === 'ACTIVE',
      20_000,
      () => 'the server is not made anew',
    );
    assert.deepEqual(await addresses(), kept);

    for (const port of [byNet.port_id, own.id]) await compute('DELETE', `/servers/${server}/os-interface/${port}`);
    await waitFor(
      async () => (await interfaces()).length === 1,
      10_000,
      () => 'interfaces are still there',
    );
    await shows('fixed', '10.7.0.9', false);
    assert.equal((await network('GET', `ports/${own.id}`)).port.device_id, '');
    await refused(network('GET', `ports/${byNet.port_id}`), 404, /Port/);
    await refused(compute('DELETE', `/servers/${server}/os-interface/${own.id}`), 404, /Port/);
    await refused(compute('GET', `/servers/${server}/os-interface/${own.id}`), 404, /port/);
    await network('DELETE', `ports/${own.id}`);
  });

  test('a network without an address left is a 400, and leaves nothing behind', async () => {
    const full = (await network('POST', 'networks', { network: { name: 'full' } })).network;
    await network('POST', 'subnets', { subnet: { network_id: full.id, cidr: '10.9.0.0/30', ip_version: 4 } });
    const port = (await network('POST', 'ports', { port: { network_id: full.id } })).port;
    await refused(compute('POST', `/servers/${server}/os-interface`, { interfaceAttachment: { net_id: full.id } }), 400, /No fixed IP/);
    assert.deepEqual(
      (await network('GET', `ports?network_id=${full.id}`)).ports.map((one: Any) => one.id),
      [port.id],
    );
    const history = (await compute('GET', `/servers/${server}/os-instance-actions`)).instanceActions;
    assert.equal(history.find((one: Any) => one.action === 'attach_interface')?.message, 'Error');
  });

  test('an external network is for those whom the policy lets: at a create and at an attach', async () => {
    await refused(boot([{ uuid: outside.id }]), 403, /not allowed to create an interface on external network/);
    const attach = (who: Client, wish: object) =>
      ask(who.compute, 'POST', `/servers/${server}/os-interface`, { interfaceAttachment: wish });
    await refused(attach(demo, { net_id: outside.id }), 403, /external network/);
    const { interfaceAttachment: nic } = await attach(admin, { net_id: outside.id });
    assert.equal(nic.net_id, outside.id);
    await compute('DELETE', `/servers/${server}/os-interface/${nic.port_id}`);
    // A port there that an operator made for the project is no way around it.
    const project_id = (await compute('GET', `/servers/${server}`)).server.tenant_id;
    const made = { port: { network_id: outside.id, project_id } };
    const { port } = (await admin.network.ask<Any>('POST', '/v2.0/ports', { body: made })).body;
    await refused(attach(demo, { port_id: port.id }), 403, /external network/);
    await admin.network.ask('DELETE', `/v2.0/ports/${port.id}`);

    const image = (await admin.image.ask<Any>('GET', '/v2/images')).body.images[0].id;
    const wish = { server: { name: 'out', flavorRef: '1', imageRef: image, networks: [{ uuid: outside.id }] } };
    const { id } = (await ask(admin.compute, 'POST', '/servers', wish, '2.37')).server;
    let seen: Any;
    await waitFor(
      async () => {
        seen = (await ask(admin.compute, 'GET', `/servers/${id}`)).server;
        return seen.status === 'ACTIVE';
      },
      20_000,
      () => `it is ${seen?.status}: ${JSON.stringify(seen?.fault)}`,
    );
    assert.deepEqual(Object.keys(seen.addresses), ['public']);
    await ask(admin.compute, 'DELETE', `/servers/${id}`);
    await waitFor(
      async () => (await interfaces()).length === 1,
      10_000,
      () => 'the external interface is still there',
    );
  });

  test('a floating address that the network service associates shows up at the server', async () => {
    const [{ port_id }] = await interfaces();
    const made = (await network('POST', 'floatingips', { floatingip: { floating_network_id: outside.id, port_id } })).floatingip;
    await shows('floating', made.floating_ip_address, true);
    const list = (await compute('GET', '/servers/detail')).servers.find((one: Any) => one.id === server);
    assert.ok(JSON.stringify(list.addresses).includes(made.floating_ip_address));
    await network('PUT', `floatingips/${made.id}`, { floatingip: { port_id: null } });
    await shows('floating', made.floating_ip_address, false);

    await act('addFloatingIp', { address: made.floating_ip_address });
    assert.deepEqual(await flat('floating'), [made.floating_ip_address]);
    const old = (await compute('GET', `/os-floating-ips/${made.id}`)).floating_ip;
    assert.deepEqual([old.ip, old.instance_id, old.pool], [made.floating_ip_address, server, 'public']);
    await refused(act('addFloatingIp', { address: '203.0.113.250' }), 404, /not found/);
    await refused(act('addFloatingIp', { address: made.floating_ip_address, fixed_address: '10.1.1.1' }), 400, /not assigned/);
    await refused(act('addFloatingIp', { address: made.floating_ip_address }, '2.44'), 404, /./);
    await act('removeFloatingIp', { address: made.floating_ip_address });
    assert.deepEqual(await flat('floating'), []);
    await refused(act('removeFloatingIp', { address: made.floating_ip_address }), 409, /not associated/);
  });

  test('fixed addresses are added and taken off', async () => {
    const had = await flat('fixed');
    await act('addFixedIp', { networkId: shared.id });
    const now = await flat('fixed');
    assert.equal(now.length, had.length + 1);
    const fresh = now.find((one) => !had.includes(one)) ?? '';
    await act('removeFixedIp', { address: fresh });
    assert.deepEqual(await flat('fixed'), had);
    await refused(act('removeFixedIp', { address: fresh }), 400, /fixed IP/);
    await refused(act('addFixedIp', { networkId: second.id }), 404, /Network/);
  });

  test('security groups of all of its ports, by name; the view says what the ports have', async () => {
    const group = (await compute('POST', '/os-security-groups', { security_group: { name: 'web', description: 'd' } })).security_group;
    assert.deepEqual([group.name, group.rules], ['web', []]);
    await act('addSecurityGroup', { name: 'web' }, '2.104');
    const names = async () => (await compute('GET', `/servers/${server}`)).server.security_groups.map((one: Any) => one.name).sort();
    assert.deepEqual(await names(), ['default', 'web']);
    const listed = (await compute('GET', `/servers/${server}/os-security-groups`)).security_groups;
    assert.deepEqual(listed.map((one: Any) => one.name).sort(), ['default', 'web']);
    await refused(act('addSecurityGroup', { name: 'nobody' }), 404, /nobody/);
    const rule = { parent_group_id: group.id, ip_protocol: 'tcp', from_port: 22, to_port: 22, cidr: '10.0.0.0/24' };
    const made = (await compute('POST', '/os-security-group-rules', { security_group_rule: rule })).security_group_rule;
    const { id, ...rest } = made;
    assert.deepEqual(rest, {
      parent_group_id: group.id,
      ip_protocol: 'tcp',
      from_port: 22,
      to_port: 22,
      group: {},
      ip_range: { cidr: '10.0.0.0/24' },
    });
    await refused(compute('POST', '/os-security-group-rules', { security_group_rule: rule }), 400, /exists/);
    assert.equal((await compute('GET', `/os-security-groups/${group.id}`)).security_group.rules.length, 1);
    await compute('DELETE', `/os-security-group-rules/${id}`);
    await refused(compute('DELETE', `/os-security-groups/${group.id}`), 400, /use/);
    await act('removeSecurityGroup', { name: 'web' });
    assert.deepEqual(await names(), ['default']);
    await refused(act('removeSecurityGroup', { name: 'web' }), 404, /not associated/);
    await compute('DELETE', `/os-security-groups/${group.id}`);
    await refused(compute('GET', `/os-security-groups/${group.id}`), 404, /not found/);
    await refused(compute('GET', '/os-security-groups', undefined, '2.36'), 404, /./);
  });

  test('old roads to networks and floating addresses, to 2.35', async () => {
    const networks = (await compute('GET', '/os-networks')).networks;
    assert.ok(networks.some((one: Any) => one.label === 'default' && one.cidr === null));
    assert.equal((await compute('GET', `/os-tenant-networks/${shared.id}`)).network.cidr, 'None');
    assert.deepEqual((await compute('GET', '/os-floating-ip-pools')).floating_ip_pools, [{ name: 'public' }]);
    const made = (await compute('POST', '/os-floating-ips', { pool: 'public' })).floating_ip;
    assert.equal(made.instance_id, null);
    assert.ok((await compute('GET', '/os-floating-ips')).floating_ips.some((one: Any) => one.id === made.id));
    await refused(compute('POST', '/os-floating-ips', { pool: 'nowhere' }), 404, /pool/);
    await compute('DELETE', `/os-floating-ips/${made.id}`);
    await refused(compute('GET', `/os-floating-ips/${made.id}`), 404, /not found/);
    await refused(compute('GET', '/os-networks', undefined, '2.36'), 404, /./);
  });

  test('a port that is deleted at the network service leaves the server', async () => {
    const plugged = await compute('POST', `/servers/${server}/os-interface`, { interfaceAttachment: { net_id: second.id } });
    const { port_id, fixed_ips } = plugged.interfaceAttachment;
    assert.equal(fixed_ips[0].subnet_id, secondSubnet.id);
    await network('DELETE', `ports/${port_id}`);
    await shows('fixed', fixed_ips[0].ip_address, false);
  });

  test('events: each says how it fared; only services and admins may tell', async () => {
    const events = [
      { name: 'network-changed', server_uuid: server },
      { name: 'network-changed', server_uuid: '11111111-2222-4333-8444-555555555555' },
    ];
    await refused(compute('POST', '/os-server-external-events', { events }), 403, /./);
    const told = await admin.compute.ask<Any>('POST', '/os-server-external-events', { body: { events } });
    assert.equal(told.status, 207);
    assert.deepEqual(
      told.body.events.map((one: Any) => [one.code, one.status]),
      [
        [200, 'completed'],
        [404, 'failed'],
      ],
    );
    await refused(
      ask(admin.compute, 'POST', '/os-server-external-events', { events: [{ ...events[0], name: 'volume-extended' }] }),
      400,
      /./,
    );
  });
});
