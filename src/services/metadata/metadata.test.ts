import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { manualClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import type { Server } from '../../model/server.ts';
import { relayMetadata } from '../compute-agent/metadata-relay.ts';
import { metadataFiles } from './metadata-files.ts';
import { type MetadataService, openMetadata, signInstanceId } from './open-metadata.ts';

const UUID = '11111111-2222-4333-8444-555555555555';
const server: Server = {
  id: 10,
  uuid: UUID,
  reservationId: 'r-abcdefgh',
  projectId: 'alice-project',
  userId: 'alice',
  name: 'My Server',
  description: null,
  hostname: 'my-server',
  vmState: 'active',
  taskState: null,
  powerState: 1,
  progress: 0,
  host: 'host1',
  node: 'host1',
  launchedOn: 'host1',
  cellUuid: UUID,
  epoch: 1,
  flavor: {
    id: 1,
    flavorId: '1',
    name: 'm1.tiny',
    vcpus: 1,
    memoryMiB: 128,
    rootGiB: 1,
    ephemeralGiB: 0,
    swapMiB: 0,
    rxtxFactor: 1,
    isPublic: true,
    disabled: false,
    description: null,
    extraSpecs: {},
  },
  image: null,
  imageId: 'abcdef01-2222-4333-8444-555555555555',
  keyName: 'mykey',
  keyData: 'ssh-ed25519 AAAA alice',
  userData: Buffer.from('#!/bin/sh\necho hi\n').toString('base64'),
  configDrive: '',
  availabilityZone: 'nova',
  accessIpV4: null,
  accessIpV6: null,
  diskConfig: 'MANUAL',
  rootDeviceName: '/dev/vda',
  launchIndex: 0,
  volumes: [],
  metadata: { role: 'web' },
  requestedNetworks: 'auto',
  securityGroups: ['default'],
  networkInfo: [
    {
      portId: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee',
      networkId: 'net1',
      networkName: 'default',
      mac: 'fa:16:3e:00:00:01',
      mtu: 1500,
      addresses: [{ address: '172.24.0.5', version: 4, type: 'fixed', cidr: '172.24.0.0/16', gateway: '172.24.0.1' }],
      nameServers: ['9.9.9.9'],
      preserve: false,
      securityGroups: [],
      tag: 'nic0',
    },
  ],
  schedulerHints: {},
  trustedCerts: null,
  fault: null,
  locked: false,
  lockedReason: null,
  createdAt: 0,
  updatedAt: 0,
  launchedAt: null,
  terminatedAt: null,
  deleted: false,
  deletedAt: null,
  softDeletedAt: null,
  lockedBy: null,
  revision: 1,
};

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}
const ask = (
  where: { port: number } | { socketPath: string },
  path: string,
  headers: Record<string, string | string[]> = {},
  method = 'GET',
  body?: string,
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', ...where, path, method, headers, agent: false }, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks).toString() }));
    });
    request.on('error', reject);
    request.end(body);
  });

describe('the metadata service', () => {
  let service: MetadataService;
  let current: Server = server;
  let looked = 0;
  const clock = manualClock();
  const headers = { 'x-instance-id': UUID, 'x-tenant-id': 'alice-project', 'x-instance-id-signature': signInstanceId('s3cret', UUID) };
  const get = async (path: string, more: Record<string, string | string[]> = {}) =>
    ask({ port: service.address.port }, path, { ...headers, ...more });
  const lines = async (path: string) => (await get(path)).body.split('\n');
  const passwords = new Map<string, string>();
  before(async () => {
    service = await openMetadata({
      find: async (uuid) => {
        looked++;
        return uuid === UUID ? current : undefined;
      },
      passwords: {
        read: async (uuid) => passwords.get(uuid) ?? '',
        store: async (uuid, password) => !passwords.has(uuid) && passwords.set(uuid, password) !== undefined,
      },
      sharedSecret: 's3cret',
      log: silentLog,
      clock,
      host: '127.0.0.1',
      port: 0,
    });
  });
  after(() => service.close());

  test('only a rightly signed request of the right project is answered', async () => {
    const status = async (more: Record<string, string | string[]>) => (await get('/openstack', more)).status;
    assert.equal(await status({}), 200);
    assert.equal(await status({ 'x-instance-id-signature': signInstanceId('wrong', UUID) }), 403);
    assert.equal(await status({ 'x-instance-id-signature': '' }), 403);
    assert.equal(await status({ 'x-instance-id-signature': 'ü'.repeat(32) }), 403);
    assert.equal(await status({ 'x-instance-id': UUID.replace('1', '2') }), 403);
    assert.equal(await status({ 'x-tenant-id': 'bob-project' }), 404);
    const other = UUID.replace('1', '2');
    assert.equal(await status({ 'x-instance-id': other, 'x-instance-id-signature': signInstanceId('s3cret', other) }), 404);
    assert.equal(await status({ 'x-instance-id': "'; drop", 'x-instance-id-signature': signInstanceId('s3cret', "'; drop") }), 404);
    assert.equal(await status({ 'x-instance-id': [UUID, other] }), 400);
    const { 'x-instance-id-signature': _signature, ...unsigned } = headers;
    assert.equal((await ask({ port: service.address.port }, '/openstack', unsigned)).status, 403);
    assert.equal((await ask({ port: service.address.port }, '/openstack')).status, 400);
  });

  test('a guest posts its password once; others and larger ones are refused', async () => {
    const post = (path: string, body: string) => ask({ port: service.address.port }, path, headers, 'POST', body);
    const path = '/openstack/latest/password';
    assert.equal((await get(path)).body, '');
    assert.equal((await post(path, 'x'.repeat(1021))).status, 400);
    assert.equal((await post(path, 'a\0b')).status, 400);
    assert.equal((await post(path, '')).status, 200);
    assert.deepEqual(passwords.size, 0);
    assert.equal((await post('/openstack/2013-04-04/password', 'é'.repeat(510))).status, 200);
    assert.equal((await get(path)).body, 'é'.repeat(510));
    assert.equal((await post(path, 'another')).status, 409);
    assert.equal((await post(path, '')).status, 409);
    for (const other of [
      '/openstack/latest/meta_data.json',
      '/openstack/2012-08-10/password',
      '/openstack/latest/password/x',
      '/latest/password',
    ])
      assert.equal((await post(other, 'x')).status, 405, other);
    assert.equal((await ask({ port: service.address.port }, path, headers, 'PUT', 'x')).status, 405);
    const { 'x-instance-id-signature': _signature, ...unsigned } = headers;
    assert.equal((await ask({ port: service.address.port }, path, unsigned, 'POST', 'x')).status, 403);
    passwords.clear();
    assert.equal((await post(path, 'another')).status, 200);
  });

  test('the OpenStack tree: each date has what it added', async () => {
    assert.deepEqual(await lines('/openstack/'), [
      '2012-08-10',
      '2013-04-04',
      '2013-10-17',
      '2015-10-15',
      '2016-06-30',
      '2016-10-06',
      '2017-02-22',
      '2018-08-27',
      '2020-10-14',
      'latest',
    ]);
    assert.deepEqual(await lines('/openstack/2012-08-10'), ['meta_data.json', 'user_data']);
    assert.deepEqual(await lines('/openstack/2015-10-15/'), [
      'meta_data.json',
      'user_data',
      'password',
      'vendor_data.json',
      'network_data.json',
    ]);
    assert.ok((await lines('/openstack/latest')).includes('vendor_data2.json'));
    const keys = async (version: string) => Object.keys(JSON.parse((await get(`/openstack/${version}/meta_data.json`)).body));
    const base = ['uuid', 'meta', 'public_keys', 'keys', 'hostname', 'name', 'launch_index', 'availability_zone'];
    assert.deepEqual(await keys('2012-08-10'), base);
    assert.deepEqual(await keys('2013-04-04'), [...base, 'random_seed']);
    assert.deepEqual(await keys('2015-10-15'), [...base, 'random_seed', 'project_id']);
    assert.deepEqual(await keys('latest'), [...base, 'random_seed', 'project_id', 'devices', 'dedicated_cpus']);
    const latest = JSON.parse((await get('/openstack/latest/meta_data.json')).body);
    assert.deepEqual([latest.hostname, latest.meta, latest.devices[0].tags], ['my-server.novalocal', { role: 'web' }, ['nic0']]);
    assert.equal(Buffer.from(latest.random_seed, 'base64').length, 512);
    assert.equal((await get('/openstack/latest/user_data')).body, '#!/bin/sh\necho hi\n');
    const network = JSON.parse((await get('/openstack/latest/network_data.json')).body);
    assert.deepEqual(network, {
      links: [
        {
          id: 'tapaaaaaaaa-bb',
          vif_id: 'aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee',
          type: 'phy',
          mtu: 1500,
          ethernet_mac_address: 'fa:16:3e:00:00:01',
        },
      ],
      networks: [{ id: 'network0', link: 'tapaaaaaaaa-bb', network_id: 'net1', type: 'ipv4_dhcp' }],
      services: [{ type: 'dns', address: '9.9.9.9' }],
    });
    for (const path of [
      '/openstack/1999-01-01',
      '/openstack/latest/none',
      '/openstack/latest/meta_data.json/x',
      '/openstack/2012-08-10/network_data.json',
      '/openstack/%ff',
      '/constructor',
      '/latest/meta-data/__proto__',
    ])
      assert.equal((await get(path)).status, 404, path);
  });

  test('the EC2 tree', async () => {
    assert.equal((await lines('/')).at(-1), 'latest');
    assert.deepEqual(await lines('/latest'), ['meta-data/', 'user-data']);
    assert.deepEqual(await lines('/2009-04-04/meta-data/'), [
      'ami-id',
      'ami-launch-index',
      'ami-manifest-path',
      'block-device-mapping/',
      'hostname',
      'instance-action',
      'instance-id',
      'instance-type',
      'local-hostname',
      'local-ipv4',
      'placement/',
      'public-hostname',
      'public-ipv4',
      'public-keys/',
      'reservation-id',
      'security-groups',
    ]);
    assert.ok(!(await lines('/1.0/meta-data')).includes('instance-type'));
    const value = async (path: string) => (await get(`/latest/meta-data/${path}`)).body;
    assert.equal(await value('instance-id'), 'i-0000000a');
    assert.equal(await value('ami-id'), 'ami-abcdef01');
    assert.equal(await value('local-ipv4'), '172.24.0.5');
    assert.equal(await value('public-keys/'), '0=mykey');
    assert.equal(await value('public-keys/0/'), 'openssh-key');
    assert.equal(await value('public-keys/0/openssh-key'), 'ssh-ed25519 AAAA alice');
    assert.equal(await value('placement/availability-zone'), 'nova');
    assert.equal(await value('block-device-mapping/root'), '/dev/vda');
  });

  test('a change shows within a second, and between changes nothing is looked up', async () => {
    await clock.advance(1100);
    looked = 0;
    for (let n = 0; n < 20; n++) await get('/openstack/latest/meta_data.json');
    assert.equal(looked, 1);
    current = { ...server, revision: 2, metadata: { role: 'db' } };
    await clock.advance(1100);
    assert.equal(JSON.parse((await get('/openstack/latest/meta_data.json')).body).meta.role, 'db');
  });

  test('a config drive has the same, and the password too', () => {
    const files = metadataFiles(server, { adminPass: 'pw', files: [{ path: '/etc/motd', contents: 'aGk=' }] });
    assert.deepEqual(Object.keys(files).sort(), [
      'ec2/latest/meta-data.json',
      'ec2/latest/user-data',
      'openstack/content/0000',
      'openstack/latest/meta_data.json',
      'openstack/latest/network_data.json',
      'openstack/latest/user_data',
      'openstack/latest/vendor_data.json',
      'openstack/latest/vendor_data2.json',
    ]);
    const read = JSON.parse(Buffer.from(files['openstack/latest/meta_data.json'] ?? '', 'base64').toString());
    assert.equal(read.admin_pass, 'pw');
    assert.deepEqual(read.files, [{ content_path: '/content/0000', path: '/etc/motd' }]);
  });

  describe('behind the relay of an agent', () => {
    let dir = '';
    let socketPath = '';
    let stop: () => Promise<void>;
    let firsts = 0;
    let url = '';
    before(async () => {
      dir = mkdtempSync(join(tmpdir(), 'kilonova-relay-'));
      socketPath = join(dir, 'md.sock');
      url = `http://127.0.0.1:${service.address.port}`;
      stop = await relayMetadata({
        socketPath,
        serverUuid: UUID,
        projectId: 'alice-project',
        address: '172.24.0.5',
        metadataUrl: () => url,
        sharedSecret: 's3cret',
        log: silentLog,
        onFirstRequest: () => {
          firsts++;
        },
      });
    });
    after(async () => {
      await stop();
      rmSync(dir, { recursive: true });
    });

    test('a guest gets its own data, whatever it claims to be', async () => {
      assert.equal(statSync(socketPath).mode & 0o777, 0o600);
      const other = UUID.replace('1', '2');
      const forged = {
        'x-instance-id': other,
        'X-Tenant-ID': 'bob-project',
        'x-instance-id-signature': signInstanceId('s3cret', other),
        'x-forwarded-for': '10.0.0.1',
      };
      for (const sent of [{}, forged]) {
        const answer = await ask({ socketPath }, '/openstack/latest/meta_data.json', sent);
        assert.equal(answer.status, 200);
        assert.equal(JSON.parse(answer.body).uuid, UUID);
      }
      assert.equal(firsts, 1);
    });

    test('a guest cannot use it to reach elsewhere, nor flood it', async () => {
      assert.equal((await ask({ socketPath }, 'http://127.0.0.1:1/x')).status, 400);
      assert.equal((await ask({ socketPath }, '/openstack', {}, 'POST', 'x'.repeat(100_000))).status, 413);
      const raw = await new Promise<string>((resolve, reject) => {
        const socket = connect(socketPath);
        let got = '';
        socket.on('data', (chunk) => {
          got += chunk;
        });
        socket.on('close', () => resolve(got));
        socket.on('error', reject);
        socket.write('\xff\xfe nonsense\r\n\r\n');
      });
      assert.match(raw, /^HTTP\/1\.1 400/);
    });

    test('a service that is away is a 503, and it comes back', async () => {
      const good = url;
      url = 'http://127.0.0.1:1';
      assert.equal((await ask({ socketPath }, '/openstack')).status, 503);
      url = good;
      assert.equal((await ask({ socketPath }, '/openstack')).status, 200);
    });
  });
});
