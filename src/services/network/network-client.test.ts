import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type Neighbour, neighbour } from '../../clients/neighbour.ts';
import { type NetworkClient, networkClient } from '../../clients/network.ts';
import type { RequestedNetwork, RequestedNetworks } from '../../model/server.ts';
import { type NetworkHouse, openNetworkHouse } from './cloud-for-tests.ts';

describe('what compute asks of the network service', () => {
  let house: NetworkHouse;
  let plain: Neighbour;
  let client: NetworkClient;
  let asked: string[] = [];
  before(async () => {
    house = await openNetworkHouse();
    plain = neighbour({ service: 'network', url: house.url, token: async () => 'service' });
    const counting: Neighbour = {
      ...plain,
      ask: (method, path, more) => {
        asked.push(`${method} ${path.split('?')[0]}`);
        return plain.ask(method, path, more);
      },
    };
    client = networkClient(counting, house.clock);
  });
  after(() => house.close());
  const wish = (more: Partial<RequestedNetwork>): RequestedNetwork => ({
    networkId: null,
    portId: null,
    fixedIp: null,
    tag: null,
    ...more,
  });
  const request = (requested: RequestedNetworks, serverUuid = randomUUID()) => ({
    serverUuid,
    projectId: 'alice-project',
    host: 'host1',
    requested,
    securityGroups: ['default'],
    zone: null,
    hostname: 'vm',
  });
  const refused = (code: string) => (cause: { code: string }) => cause.code === code;
  const portsWith = async (device: string) => (await house.ask('admin', 'GET', `/v2.0/ports?device_id=${device}`)).body.ports;

  test('auto: the shared network, and one request for one port once it is known', async () => {
    const settled = await client.validate('alice-project', 'auto', 3);
    assert.ok(Array.isArray(settled) && settled.length === 1);
    await client.allocate(request(settled));
    asked = [];
    const job = request(settled);
    const [info] = await client.allocate(job);
    assert.deepEqual(asked, ['POST /v2.0/ports']);
    assert.equal(info?.networkName, 'default');
    assert.deepEqual(
      info?.addresses.map(({ cidr, gateway, version, type }) => [cidr, gateway, version, type]),
      [['172.24.0.0/16', '172.24.0.1', 4, 'fixed']],
    );
    assert.equal(info?.preserve, false);
    const [port] = await portsWith(job.serverUuid);
    assert.deepEqual(
      [port.status, port.project_id, port['binding:host_id'], port.device_owner],
      ['ACTIVE', 'alice-project', 'host1', 'compute:nova'],
    );
    assert.deepEqual(await client.portsOf(job.serverUuid), [info]);
    assert.deepEqual(await client.validate('alice-project', 'none', 1), 'none');
    assert.deepEqual(await client.allocate(request('none')), []);
  });

  test('an answer that was lost makes no second port, on the same host or the next', async () => {
    let lose = true;
    const lossy: Neighbour = {
      ...plain,
      async ask(method, path, more) {
        const answer = await plain.ask(method, path, more);
        if (method === 'POST' && lose) throw new Error('the line went dead');
        return answer as never;
      },
    };
    const shaky = networkClient(lossy, house.clock);
    const job = request('auto');
    await assert.rejects(shaky.allocate(job), /dead/);
    lose = false;
    const first = await shaky.allocate(job);
    const again = await client.allocate({ ...job, host: 'host2' });
    assert.deepEqual(again, first);
    const ports = await portsWith(job.serverUuid);
    assert.equal(ports.length, 1);
    assert.equal(ports[0]['binding:host_id'], 'host2');
    await Promise.all([client.release(job.serverUuid), client.release(job.serverUuid)]);
    await client.release(job.serverUuid);
    assert.deepEqual(await portsWith(job.serverUuid), []);
  });

  test('a port the user brought is bound, and outlives the server', async () => {
    const { id } = (await house.ask('alice', 'GET', '/v2.0/networks?name=default')).body.networks[0];
    const { port } = (await house.ask('alice', 'POST', '/v2.0/ports', { port: { network_id: id, name: 'mine' } })).body;
    const settled = await client.validate('alice-project', [wish({ portId: port.id, tag: 'nic0' })], 1);
    const job = request(settled);
    const [info] = await client.allocate(job);
    assert.deepEqual([info?.portId, info?.preserve, info?.tag], [port.id, true, 'nic0']);
    assert.deepEqual(await client.allocate(job), [info]);
    await assert.rejects(client.validate('alice-project', [wish({ portId: port.id })], 1), refused('networks.port_in_use'));
    await assert.rejects(client.validate('bob-project', [wish({ portId: port.id })], 1), refused('networks.port_not_found'));
    await client.release(job.serverUuid);
    const kept = (await house.ask('admin', 'GET', `/v2.0/ports/${port.id}`)).body.port;
    assert.deepEqual([kept.device_id, kept['binding:host_id'], kept['binding:profile'], kept.status], ['', '', {}, 'DOWN']);
    await assert.rejects(
      client.validate('alice-project', [wish({ portId: port.id }), wish({ portId: port.id })], 1),
      refused('networks.duplicated'),
    );
  });

  test("a stranger's port that names our server is not taken for ours", async () => {
    const job = request('auto');
    await client.allocate(job);
    const { id } = (await house.ask('bob', 'GET', '/v2.0/networks?name=default')).body.networks[0];
    const { port } = (await house.ask('bob', 'POST', '/v2.0/ports', { port: { network_id: id, device_id: job.serverUuid } })).body;
    assert.equal((await client.portsOf(job.serverUuid)).length, 1);
    await client.release(job.serverUuid);
    assert.deepEqual(
      (await portsWith(job.serverUuid)).map((one: { id: string }) => one.id),
      [port.id],
    );
  });

  test('wishes that cannot be met say which and why', async () => {
    const shared = (await house.ask('alice', 'GET', '/v2.0/networks?name=default')).body.networks[0].id;
    const outside = (await house.ask('alice', 'GET', '/v2.0/networks?name=public')).body.networks[0].id;
    const check = (project: string, networks: RequestedNetworks, count = 1) => client.validate(project, networks, count);
    await assert.rejects(check('alice-project', [wish({ networkId: randomUUID() })]), refused('networks.requested_not_found'));
    await assert.rejects(check('alice-project', [wish({ networkId: outside })]), refused('networks.external_forbidden'));
    await assert.rejects(check('alice-project', [wish({ networkId: shared, fixedIp: '10.0.0.1' })]), refused('networks.address_invalid'));
    await assert.rejects(
      check('alice-project', [wish({ networkId: shared, fixedIp: '172.24.9.9' })], 2),
      refused('networks.one_port_for_many'),
    );
    const job = request([wish({ networkId: shared, fixedIp: '172.24.9.9' })]);
    const [info] = await client.allocate(job);
    assert.equal(info?.addresses[0]?.address, '172.24.9.9');
    assert.deepEqual(await client.allocate(job), [info]);
    await assert.rejects(check('alice-project', [wish({ networkId: shared, fixedIp: '172.24.9.9' })]), refused('networks.address_taken'));
    const { network } = (await house.ask('bob', 'POST', '/v2.0/networks', { network: { name: 'bare' } })).body;
    await assert.rejects(check('bob-project', [wish({ networkId: network.id })]), refused('networks.needs_subnet'));
    await assert.rejects(check('alice-project', [wish({ networkId: network.id })]), refused('networks.requested_not_found'));
    await house.ask('bob', 'POST', '/v2.0/subnets', { subnet: { network_id: network.id, cidr: '10.0.0.0/24', ip_version: 4 } });
    await house.clock.advance(1100);
    const own = await check('bob-project', 'auto');
    assert.ok(Array.isArray(own) && own[0]?.networkId === network.id, 'the own network comes before the shared one');
    await house.ask('bob', 'POST', '/v2.0/networks', { network: { name: 'second' } });
    await house.clock.advance(1100);
    await assert.rejects(check('bob-project', 'auto'), refused('networks.ambiguous'));
    await house.ask('admin', 'PUT', '/v2.0/quotas/carol-project', { quota: { port: 2 } });
    await check('carol-project', 'auto', 2);
    await assert.rejects(check('carol-project', 'auto', 1), refused('networks.port_limit'));
    await assert.rejects(client.allocate({ ...request('auto'), securityGroups: ['no-such'] }), refused('networks.group_not_found'));
  });
});
