import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type NetworkHouse, openNetworkHouse } from './cloud-for-tests.ts';

describe('the networking API', () => {
  let house: NetworkHouse;
  const ask: NetworkHouse['ask'] = (...args) => house.ask(...args);
  const network = async (as: string, more: object = {}) =>
    (await ask(as, 'POST', '/v2.0/networks', { network: { name: 'n', ...more } })).body.network;
  const subnet = async (as: string, network_id: string, cidr: string, more: object = {}) =>
    ask(as, 'POST', '/v2.0/subnets', { subnet: { network_id, cidr, ip_version: cidr.includes(':') ? 6 : 4, ...more } });
  const port = async (as: string, network_id: string, more: object = {}) =>
    ask(as, 'POST', '/v2.0/ports', { port: { network_id, ...more } });
  const isFault = (answer: Awaited<ReturnType<typeof ask>>, status: number, type: string) => {
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.equal(answer.body.NeutronError.type, type, JSON.stringify(answer.body));
    assert.equal(answer.body.NeutronError.detail, '');
  };
  before(async () => {
    house = await openNetworkHouse();
  });
  after(() => house.close());

  test('versions need no token, everything else does', async () => {
    const versions = await ask(null, 'GET', '/');
    assert.equal(versions.body.versions[0].links[0].href, `${house.url}/v2.0/`);
    assert.equal((await ask(null, 'GET', '/v2.0/')).body.resources[0].collection, 'networks');
    assert.equal((await ask(null, 'GET', '/v2.0/networks')).status, 401);
    assert.equal((await ask('roleless', 'GET', '/v2.0/networks')).status, 403);

    const extensions = (await ask('alice', 'GET', '/v2.0/extensions')).body.extensions.map((one: { alias: string }) => one.alias);
    assert.ok(extensions.includes('security-group') && extensions.includes('router'));
    assert.equal((await ask('alice', 'GET', '/v2.0/extensions/port-security')).body.extension.alias, 'port-security');
    isFault(await ask('alice', 'GET', '/v2.0/extensions/subnet_allocation'), 404, 'ExtensionNotFound');
  });

  test('the seeded networks: everybody sees the shared and the external one, and user mode keeps its addresses', async () => {
    const seen = (await ask('alice', 'GET', '/v2.0/networks')).body.networks;
    assert.deepEqual(seen.map((one: { name: string }) => one.name).sort(), ['default', 'public']);
    assert.equal('provider:network_type' in seen[0], false);
    const shared = seen.find((one: { name: string }) => one.name === 'default');
    const seeded = (await ask('alice', 'GET', `/v2.0/subnets/${shared.subnets[0]}`)).body.subnet;
    assert.equal(seeded.gateway_ip, '172.24.0.1');
    assert.deepEqual(seeded.allocation_pools, [{ start: '172.24.0.3', end: '172.24.255.254' }]);
    const made = await port('alice', shared.id);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    assert.equal(made.body.port.fixed_ips[0].ip_address, '172.24.0.3');
    assert.match(made.body.port.mac_address, /^fa:16:3e:/);
    assert.equal(made.body.port.security_groups.length, 1);
    assert.equal('binding:host_id' in made.body.port, false);
    isFault(await port('service', shared.id, { fixed_ips: [{ ip_address: '172.24.0.2' }] }), 409, 'IpAddressInUse');
    isFault(await port('alice', shared.id, { fixed_ips: [{ ip_address: '172.24.0.9' }] }), 403, 'PolicyNotAuthorized');
    isFault(await port('alice', shared.id, { 'binding:host_id': 'h' }), 403, 'PolicyNotAuthorized');
    const outside = seen.find((one: { name: string }) => one.name === 'public');
    isFault(await port('alice', outside.id), 404, 'NetworkNotFound');
    isFault(await ask('alice', 'PUT', `/v2.0/networks/${shared.id}`, { network: { name: 'mine' } }), 403, 'PolicyNotAuthorized');
    isFault(await subnet('alice', shared.id, '10.9.0.0/24'), 403, 'PolicyNotAuthorized');
  });

  test("another project's objects are not there", async () => {
    const mine = await network('alice');
    const net = (await subnet('alice', mine.id, '10.1.0.0/24')).body.subnet;
    const plug = (await port('alice', mine.id)).body.port;
    const group = plug.security_groups[0];
    for (const path of [`networks/${mine.id}`, `subnets/${net.id}`, `ports/${plug.id}`, `security-groups/${group}`]) {
      for (const method of ['GET', 'DELETE']) assert.equal((await ask('bob', method, `/v2.0/${path}`)).status, 404, path);
      assert.equal((await ask('bob', 'GET', `/v2.0/${path}/tags`)).status, 404);
      assert.equal((await ask('admin', 'GET', `/v2.0/${path}`)).status, 200, path);
    }
    isFault(await port('bob', mine.id), 404, 'NetworkNotFound');
    assert.equal((await ask('bob', 'GET', `/v2.0/ports?id=${plug.id}`)).body.ports.length, 0);
    isFault(await ask('alice', 'POST', '/v2.0/networks', { network: { project_id: 'bob-project' } }), 403, 'PolicyNotAuthorized');
    isFault(await ask('reader', 'POST', '/v2.0/networks', { network: {} }), 403, 'PolicyNotAuthorized');
    assert.equal((await ask('reader', 'GET', `/v2.0/networks/${mine.id}`)).status, 200);
    isFault(await ask('reader', 'DELETE', `/v2.0/networks/${mine.id}`), 403, 'PolicyNotAuthorized');
  });

  test('subnets: gateways, pools, overlaps, versions', async () => {
    const { id } = await network('alice');
    const plain = (
      await subnet('alice', id, '10.2.0.77/24', {
        dns_nameservers: ['9.9.9.9'],
        host_routes: [{ destination: '1.0.0.0/8', nexthop: '10.2.0.9' }],
      })
    ).body.subnet;
    assert.equal(plain.cidr, '10.2.0.0/24');
    assert.deepEqual(plain.allocation_pools, [{ start: '10.2.0.2', end: '10.2.0.254' }]);
    isFault(await subnet('alice', id, '10.2.0.128/25'), 400, 'InvalidInput');
    const headless = (await subnet('alice', id, '10.3.0.0/24', { gateway_ip: null })).body.subnet;
    assert.deepEqual([headless.gateway_ip, headless.allocation_pools[0].start], [null, '10.3.0.1']);
    isFault(await subnet('alice', id, '10.4.0.0/24', { gateway_ip: '10.5.0.1' }), 400, 'InvalidInput');
    const pool = (start: string, end: string) => ({ allocation_pools: [{ start, end }] });
    isFault(await subnet('alice', id, '10.4.0.0/24', pool('10.4.0.10', '10.4.1.20')), 400, 'OutOfBoundsAllocationPool');
    isFault(await subnet('alice', id, '10.4.0.0/24', pool('10.4.0.20', '10.4.0.10')), 400, 'InvalidAllocationPool');
    isFault(
      await subnet('alice', id, '10.4.0.0/24', { gateway_ip: '10.4.0.15', ...pool('10.4.0.10', '10.4.0.20') }),
      409,
      'GatewayConflictWithAllocationPools',
    );
    isFault(await subnet('alice', id, '10.4.0.0/33'), 400, 'HTTPBadRequest');
    isFault(await ask('alice', 'POST', '/v2.0/subnets', { subnet: { network_id: id, ip_version: 4 } }), 400, 'BadRequest');
    const six = (await subnet('alice', id, 'FD00:0:0:1::/64', { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' })).body.subnet;
    assert.equal(six.cidr, 'fd00:0:0:1::/64');
    const both = (await port('alice', id, { mac_address: 'fa:16:3e:00:00:01' })).body.port;
    assert.deepEqual(
      both.fixed_ips.map((one: { ip_address: string }) => one.ip_address),
      ['10.2.0.2', 'fd00::1:f816:3eff:fe00:1'],
    );
    const changed = await ask('alice', 'PUT', `/v2.0/subnets/${plain.id}`, {
      subnet: { gateway_ip: '10.2.0.254', ...pool('10.2.0.100', '10.2.0.110'), name: 'x' },
    });
    assert.equal(changed.status, 200, JSON.stringify(changed.body));
    assert.equal((await port('alice', id)).body.port.fixed_ips[0].ip_address, '10.2.0.100');
    isFault(await ask('alice', 'DELETE', `/v2.0/subnets/${plain.id}`), 409, 'SubnetInUse');
    isFault(await ask('alice', 'DELETE', `/v2.0/networks/${id}`), 409, 'NetworkInUse');
  });

  test('ports: addresses chosen, kept, moved, given back; MACs and bindings', async () => {
    const { id } = await network('alice');
    const net = (await subnet('alice', id, '10.6.0.0/29')).body.subnet;
    const first = (await port('alice', id, { fixed_ips: [{ ip_address: '10.6.0.3' }], mac_address: 'FA-16-3E-AA-BB-CC' })).body.port;
    assert.equal(first.mac_address, 'fa:16:3e:aa:bb:cc');
    isFault(await port('alice', id, { mac_address: 'fa:16:3e:aa:bb:cc' }), 409, 'MacAddressInUse');
    isFault(await port('alice', id, { fixed_ips: [{ ip_address: '10.6.0.3' }] }), 409, 'IpAddressAlreadyAllocated');
    isFault(await port('alice', id, { fixed_ips: [{ ip_address: '10.6.0.1' }] }), 409, 'IpAddressInUse');
    isFault(await port('alice', id, { fixed_ips: [{ ip_address: '10.6.0.7', subnet_id: net.id }] }), 400, 'InvalidIpForSubnet');
    isFault(await port('alice', id, { fixed_ips: [{ ip_address: '10.7.0.7' }] }), 400, 'InvalidIpForNetwork');
    const got = [];
    for (let n = 0; n < 4; n++) got.push((await port('alice', id)).body.port);
    assert.deepEqual(
      got.map((one) => one.fixed_ips[0].ip_address),
      ['10.6.0.2', '10.6.0.4', '10.6.0.5', '10.6.0.6'],
    );
    isFault(await port('alice', id), 409, 'IpAddressGenerationFailure');
    assert.equal((await ask('alice', 'DELETE', `/v2.0/ports/${got[1].id}`)).status, 204);
    isFault(await ask('alice', 'DELETE', `/v2.0/ports/${got[1].id}`), 404, 'PortNotFound');
    const moved = await ask('alice', 'PUT', `/v2.0/ports/${first.id}`, {
      port: { fixed_ips: [{ ip_address: '10.6.0.4' }, { ip_address: '10.6.0.3' }] },
    });
    assert.deepEqual(moved.body.port.fixed_ips.map((one: { ip_address: string }) => one.ip_address).sort(), ['10.6.0.3', '10.6.0.4']);
    const back = await ask('alice', 'PUT', `/v2.0/ports/${first.id}`, { port: { fixed_ips: [{ subnet_id: net.id }] } });
    assert.equal(back.body.port.fixed_ips.length, 1);
    assert.equal((await port('alice', id)).status, 201);
    const bound = (
      await ask('service', 'PUT', `/v2.0/ports/${first.id}`, {
        port: { 'binding:host_id': 'h1', device_id: 'd', device_owner: 'compute:nova' },
      })
    ).body.port;
    assert.deepEqual([bound.status, bound['binding:vif_type']], ['ACTIVE', 'other']);
    const loose = (
      await ask('service', 'PUT', `/v2.0/ports/${first.id}`, { port: { 'binding:host_id': '', device_id: '', device_owner: '' } })
    ).body.port;
    assert.deepEqual([loose.status, loose['binding:vif_type']], ['DOWN', 'unbound']);
    isFault(await ask('alice', 'PUT', `/v2.0/ports/${first.id}`, { port: { network_id: id } }), 400, 'HTTPBadRequest');
    isFault(await port('alice', id, { colour: 'red' }), 400, 'HTTPBadRequest');
    const found = async (filter: string) =>
      (await ask('alice', 'GET', `/v2.0/ports?${filter}`)).body.ports.map((one: { id: string }) => one.id);
    assert.deepEqual(await found('fixed_ips=ip_address%3D10.6.0.2'), [got[0].id]);
    assert.equal((await found(`fixed_ips=subnet_id%3D${net.id}`)).length, 5);
    assert.deepEqual(await found('mac_address=fa:16:3e:aa:bb:cc&fields=id'), [first.id]);
    isFault(await ask('alice', 'GET', '/v2.0/ports?colour=red'), 400, 'HTTPBadRequest');
  });

  test('many ports in one request: all or none', async () => {
    const { id } = await network('alice');
    await subnet('alice', id, '10.8.0.0/29');
    const many = (count: number) =>
      ask('alice', 'POST', '/v2.0/ports', { ports: Array.from({ length: count }, (_, n) => ({ network_id: id, name: `p${n}` })) });
    isFault(await many(6), 409, 'IpAddressGenerationFailure');
    assert.equal((await ask('alice', 'GET', `/v2.0/ports?network_id=${id}`)).body.ports.length, 0);
    const made = await many(5);
    assert.equal(made.status, 201);
    assert.equal(new Set(made.body.ports.map((one: { fixed_ips: { ip_address: string }[] }) => one.fixed_ips[0]?.ip_address)).size, 5);
  });

  test('lists: pages there and back, sorting, fields, filters with several values', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) await network('bob', { name: `page-${name}`, description: 'paged' });
    const names = (answer: { body: { networks: { name: string }[] } }) => answer.body.networks.map((one) => one.name);
    const first = await ask('bob', 'GET', '/v2.0/networks?description=paged&limit=2&sort_key=name&sort_dir=desc&fields=name&fields=id');
    assert.deepEqual(names(first), ['page-e', 'page-d']);
    assert.deepEqual(Object.keys(first.body.networks[0]).sort(), ['id', 'name']);
    assert.deepEqual(
      first.body.networks_links.map((one: { rel: string }) => one.rel),
      ['next'],
    );
    const follow = async (answer: { body: { networks_links: { rel: string; href: string }[] } }, rel: string) =>
      ask('bob', 'GET', (answer.body.networks_links.find((one) => one.rel === rel)?.href ?? '').slice(house.url.length));
    const second = await follow(first, 'next');
    assert.deepEqual(names(second), ['page-c', 'page-b']);
    const third = await follow(second, 'next');
    assert.deepEqual(names(third), ['page-a']);
    assert.deepEqual(names(await follow(third, 'previous')), ['page-c', 'page-b']);
    assert.deepEqual(names(await ask('bob', 'GET', '/v2.0/networks?name=page-a&name=page-c&sort_key=name&sort_dir=asc')), [
      'page-a',
      'page-c',
    ]);
    isFault(await ask('bob', 'GET', '/v2.0/networks?limit=x'), 400, 'InvalidInput');
    isFault(await ask('bob', 'GET', '/v2.0/networks?limit=1&marker=nobody'), 400, 'InvalidInput');
    assert.deepEqual(names(await ask('bob', 'GET', '/v2.0/networks?router:external=True')), ['public']);
  });

  test('tags, revisions and If-Match', async () => {
    const { id } = await network('alice');
    const at = `/v2.0/networks/${id}`;
    assert.deepEqual((await ask('alice', 'PUT', `${at}/tags`, { tags: ['red', 'blue'] })).body.tags, ['blue', 'red']);
    assert.equal((await ask('alice', 'PUT', `${at}/tags/it's "green"_%25`)).status, 201);
    assert.equal((await ask('alice', 'GET', `${at}/tags/red`)).status, 204);
    isFault(await ask('alice', 'GET', `${at}/tags/re`), 404, 'TagNotFound');
    const count = async (filter: string) => (await ask('alice', 'GET', `/v2.0/networks?id=${id}&${filter}`)).body.networks.length;
    assert.deepEqual(
      [
        await count('tags=red,blue'),
        await count('tags=red,x'),
        await count('tags-any=red,x'),
        await count('not-tags=red'),
        await count('not-tags-any=x,y'),
        await count('tags=RED'),
      ],
      [1, 0, 1, 0, 1, 0],
    );
    const { revision_number } = (await ask('alice', 'GET', at)).body.network;
    const rename = (revision: number) =>
      ask('alice', 'PUT', at, { network: { name: 'new' } }, { 'if-match': `revision_number=${revision}` });
    isFault(await rename(revision_number - 1), 412, 'RevisionNumberConstraintFailed');
    assert.equal((await rename(revision_number)).body.network.revision_number, revision_number + 1);
    assert.equal((await ask('alice', 'DELETE', `${at}/tags`)).status, 204);
    assert.deepEqual((await ask('alice', 'GET', `${at}/tags`)).body.tags, []);
  });

  test('security groups: the default one, rules, duplicates, use', async () => {
    const { id } = await network('bob');
    const groups = (await ask('bob', 'GET', '/v2.0/security-groups')).body.security_groups;
    assert.deepEqual(
      groups.map((one: { name: string }) => one.name),
      ['default'],
    );
    const rules = groups[0].security_group_rules;
    assert.deepEqual(rules.map((one: { direction: string; ethertype: string }) => `${one.direction} ${one.ethertype}`).sort(), [
      'egress IPv4',
      'egress IPv6',
      'ingress IPv4',
      'ingress IPv6',
    ]);
    isFault(await ask('bob', 'DELETE', `/v2.0/security-groups/${groups[0].id}`), 409, 'SecurityGroupCannotRemoveDefault');
    isFault(
      await ask('bob', 'POST', '/v2.0/security-groups', { security_group: { name: 'default' } }),
      409,
      'SecurityGroupDefaultAlreadyExists',
    );
    const web = (await ask('bob', 'POST', '/v2.0/security-groups', { security_group: { name: 'web' } })).body.security_group;
    assert.equal(web.security_group_rules.length, 2);
    const rule = (more: object) =>
      ask('bob', 'POST', '/v2.0/security-group-rules', {
        security_group_rule: { security_group_id: web.id, direction: 'ingress', ...more },
      });
    const ssh = await rule({ protocol: 'tcp', port_range_min: 22, port_range_max: 22, remote_ip_prefix: '10.0.0.0/8' });
    assert.equal(ssh.status, 201, JSON.stringify(ssh.body));
    const again = await rule({ protocol: 6, port_range_min: '22', port_range_max: 22, remote_ip_prefix: '10.1.2.3/8' });
    isFault(again, 409, 'SecurityGroupRuleExists');
    const odd = (await rule({ protocol: 'udp', remote_ip_prefix: '10.2.3.124/24' })).body.security_group_rule;
    assert.deepEqual([odd.remote_ip_prefix, odd.normalized_cidr], ['10.2.3.124/24', '10.2.3.0/24']);
    assert.ok(again.body.NeutronError.message.includes(ssh.body.security_group_rule.id));
    isFault(await rule({ protocol: 'tcp', port_range_min: 30, port_range_max: 22 }), 400, 'SecurityGroupInvalidPortRange');
    isFault(await rule({ port_range_min: 22, port_range_max: 22 }), 400, 'SecurityGroupProtocolRequiredWithPorts');
    isFault(await rule({ protocol: 'tcp', ethertype: 'IPv6', remote_ip_prefix: '10.0.0.0/8' }), 400, 'SecurityGroupRuleParameterConflict');
    isFault(
      await rule({ remote_group_id: (await ask('alice', 'GET', '/v2.0/security-groups?name=default')).body.security_groups[0].id }),
      404,
      'SecurityGroupNotFound',
    );
    const plug = (await port('bob', id, { security_groups: [web.id] })).body.port;
    isFault(await ask('bob', 'DELETE', `/v2.0/security-groups/${web.id}`), 409, 'SecurityGroupInUse');
    assert.deepEqual(
      (await ask('bob', 'GET', `/v2.0/ports?security_groups=${web.id}`)).body.ports.map((one: { id: string }) => one.id),
      [plug.id],
    );
    isFault(
      await ask('bob', 'PUT', `/v2.0/ports/${plug.id}`, { port: { port_security_enabled: false } }),
      400,
      'PortSecurityPortHasSecurityGroup',
    );
    await ask('bob', 'PUT', `/v2.0/ports/${plug.id}`, { port: { security_groups: [] } });
    assert.equal((await ask('bob', 'DELETE', `/v2.0/security-groups/${web.id}`)).status, 204);
    assert.equal((await ask('bob', 'GET', `/v2.0/security-group-rules/${ssh.body.security_group_rule.id}`)).status, 404);
  });

  test('quotas: shown, set, held, and counted down again', async () => {
    assert.equal((await ask('alice', 'GET', '/v2.0/quotas/alice-project')).body.quota.port, 500);
    isFault(await ask('alice', 'GET', '/v2.0/quotas/bob-project'), 403, 'PolicyNotAuthorized');
    isFault(await ask('alice', 'PUT', '/v2.0/quotas/alice-project', { quota: { port: 9999 } }), 403, 'PolicyNotAuthorized');
    const before = (await ask('admin', 'GET', '/v2.0/quotas/bob-project/details')).body.quota.network.used;
    assert.equal(
      (await ask('admin', 'PUT', '/v2.0/quotas/bob-project', { quota: { network: before + 1 } })).body.quota.network,
      before + 1,
    );
    const made = await network('bob');
    isFault(await ask('bob', 'POST', '/v2.0/networks', { network: {} }), 409, 'OverQuota');
    await ask('bob', 'DELETE', `/v2.0/networks/${made.id}`);
    assert.equal((await ask('bob', 'POST', '/v2.0/networks', { network: {} })).status, 201);
    isFault(await ask('admin', 'PUT', '/v2.0/quotas/bob-project', { quota: { network: 0, check_limit: true } }), 409, 'QuotaUpdateInvalid');
    assert.equal((await ask('admin', 'DELETE', '/v2.0/quotas/bob-project')).status, 204);
    assert.equal((await ask('bob', 'GET', '/v2.0/quotas/bob-project')).body.quota.network, 100);
  });

  test('whatever is sent, it is answered below 500', async () => {
    const odd = [
      null,
      true,
      -1,
      1e308,
      '',
      'x'.repeat(300),
      '\u0000',
      [],
      {},
      [null],
      { a: [{}] },
      [[[[]]]],
      'ünï',
      '0x10',
      '10.0.0.0/99',
      '::/0',
    ];
    const fields: Record<string, string[]> = {
      network: ['name', 'mtu', 'shared', 'availability_zone_hints', 'project_id', 'provider:segmentation_id'],
      subnet: ['network_id', 'cidr', 'ip_version', 'gateway_ip', 'allocation_pools', 'dns_nameservers', 'host_routes', 'ipv6_ra_mode'],
      port: ['network_id', 'mac_address', 'fixed_ips', 'security_groups', 'device_id', 'allowed_address_pairs', 'binding:profile', 'tags'],
      'security-group': ['name', 'description', 'stateful'],
      router: ['name', 'external_gateway_info', 'ha', 'availability_zone_hints', 'flavor_id', 'routes'],
      floatingip: ['floating_network_id', 'port_id', 'fixed_ip_address', 'floating_ip_address', 'subnet_id', 'description'],
      'security-group-rule': ['security_group_id', 'direction', 'protocol', 'port_range_min', 'remote_ip_prefix', 'remote_group_id'],
    };
    const { id } = (await ask('admin', 'GET', '/v2.0/networks?name=default')).body.networks[0];
    const group = (await ask('admin', 'GET', '/v2.0/security-groups')).body.security_groups[0].id;
    for (const [noun, names] of Object.entries(fields)) {
      const key = noun.replaceAll('-', '_');
      const base =
        {
          subnet: { network_id: id, ip_version: 4, cidr: '10.200.0.0/24' },
          port: { network_id: id },
          security_group_rule: { security_group_id: group, direction: 'ingress' },
        }[key] ?? {};
      for (const name of names)
        for (const value of odd) {
          const answer = await ask('admin', 'POST', `/v2.0/${noun}s`, { [key]: { ...base, [name]: value } });
          assert.ok(answer.status < 500, `${noun} ${name} ${JSON.stringify(value)}: ${answer.status}`);
        }
    }
    for (const body of [
      '',
      '{',
      '[]',
      'null',
      '"x"',
      '{"port":null}',
      '{"ports":[]}',
      '{"port":[]}',
      '{"__proto__":{}}',
      '{"port":{"__proto__":1}}',
      `${'['.repeat(5000)}`,
    ])
      assert.ok((await ask('admin', 'POST', '/v2.0/ports', body)).status < 500, body.slice(0, 20));
    for (const query of [
      'id=%00',
      'limit=-1',
      'sort_key=__proto__',
      'sort_dir=asc',
      'fixed_ips=x',
      'fields=__proto__',
      'changed_since=x',
      'mtu=x',
      '%ff=1',
      'tags=,',
      'marker=%27',
      'constructor=1',
    ])
      for (const noun of ['networks', 'ports', 'subnets', 'security-groups', 'security-group-rules'])
        assert.ok((await ask('admin', 'GET', `/v2.0/${noun}?${query}`)).status < 500, query);
    for (const path of ["networks/'", 'ports/%00', 'subnets/%ff', 'quotas/%27/details', `ports/${'x'.repeat(4000)}`, 'networks/x/tags/%2C'])
      assert.ok((await ask('admin', 'PUT', `/v2.0/${path}`, {})).status < 500, path);
  });
});
