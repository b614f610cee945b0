import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { DEMO, GROUP, type House, IMAGE, images, NETWORK, openHouse, people, wish } from './house.ts';

let house: House;
before(async () => {
  house = await openHouse();
});
after(() => house.close());
beforeEach(async () => {
  await house.db.transaction((tx) => tx.updateTable('quota_usages').set({ used: 0 }).execute());
});
const create = (more: object = {}, ask: Parameters<House['call']>[2] = {}) => house.call('POST', '/servers', { body: wish(more), ...ask });
const rowOf = (uuid: string) => house.db.read.selectFrom('servers').selectAll().where('uuid', '=', uuid).executeTakeFirstOrThrow();
const fault = (answer: { body: Record<string, { message: string }> }) => Object.values(answer.body)[0]?.message;

test('a create writes row, action, job, change and counters in one go', async () => {
  house.rung.length = 0;
  const answer = await house.call('POST', '/servers', {
    version: '2.104',
    body: {
      server: {
        ...wish({
          networks: [{ uuid: NETWORK, fixed_ip: '192.168.1.44', tag: 'nic' }],
          adminPass: 'secret',
          metadata: { a: 'b' },
          'OS-DCF:diskConfig': 'AUTO',
          accessIPv4: '1.2.3.4',
          accessIPv6: '80fe::',
          availability_zone: 'az2',
          config_drive: 'yes',
          key_name: 'mykey',
          security_groups: [{ name: 'web' }, { name: 'web' }],
          user_data: 'aGVsbG8=',
          description: 'what it is',
          tags: ['x', 'y', 'x'],
          trusted_image_certificates: ['c1'],
          hostname: 'web.example.com',
        }).server,
      },
      'os:scheduler_hints': { group: GROUP, 'my:own': 1 },
    },
  });
  assert.equal(answer.status, 202, answer.text);
  const { server } = answer.body;
  assert.equal(server.adminPass, 'secret');
  assert.deepEqual(server.security_groups, [{ name: 'web' }]);
  assert.equal(answer.headers.get('location'), `${house.base}/v2.1/servers/${server.id}`);
  assert.deepEqual(house.rung, ['jobs']);

  const row = await rowOf(server.id);
  assert.deepEqual(
    [row.vm_state, row.task_state, row.project_id, row.user_id, row.hostname, row.description, row.config_drive, row.availability_zone],
    ['building', 'scheduling', DEMO, people.demo.userId, 'web.example.com', 'what it is', 'True', 'az2'],
  );
  assert.equal(row.key_data, 'ssh-ed25519 AAAA demo');
  assert.deepEqual(JSON.parse(row.requested_networks), [{ networkId: NETWORK, portId: null, fixedIp: '192.168.1.44', tag: 'nic' }]);
  assert.equal(JSON.parse(row.flavor).memoryMiB, 512);
  assert.equal(JSON.parse(row.image ?? '').id, IMAGE);
  const job = await house.db.read.selectFrom('jobs').selectAll().where('server_uuid', '=', server.id).executeTakeFirstOrThrow();
  assert.deepEqual(
    [job.kind, job.status, JSON.parse(job.input).adminPass, JSON.parse(job.input).groupUuid],
    ['build-server', 'queued', 'secret', GROUP],
  );
  assert.equal(JSON.parse(job.context).projectId, DEMO);
  assert.doesNotMatch(job.context, /token/);
  const action = await house.db.read
    .selectFrom('server_actions')
    .selectAll()
    .where('server_uuid', '=', server.id)
    .executeTakeFirstOrThrow();
  assert.equal(action.action, 'create');
  assert.equal(action.request_id, answer.headers.get('x-openstack-request-id'));
  const change = await house.db.read.selectFrom('changes').selectAll().where('key', '=', server.id).executeTakeFirstOrThrow();
  assert.equal(change.what, 'created');
  const members = await house.db.read.selectFrom('server_group_members').selectAll().where('server_uuid', '=', server.id).execute();
  assert.equal(members.length, 1);
  const shown = (await house.call('GET', `/servers/${server.id}`, { version: '2.104' })).body.server;
  assert.deepEqual(shown.tags, ['x', 'y']);
  assert.deepEqual(shown.server_groups, [GROUP]);
  assert.deepEqual(shown.trusted_image_certificates, ['c1']);
  assert.equal(shown.status, 'BUILD');
  assert.equal(shown.scheduler_hints['my:own'], 1);
  const used = await house.db.read.selectFrom('quota_usages').selectAll().where('project_id', '=', DEMO).execute();
  assert.deepEqual(Object.fromEntries(used.map((one) => [one.resource, one.used])), { cores: 1, instances: 1, ram: 512 });
});

test('a password is made when none is given', async () => {
  const { adminPass } = (await create()).body.server;
  assert.match(adminPass, /^[2-9A-HJ-NP-Za-km-z]{12}$/);
  assert.match(adminPass, /\d/);
});

test('what each field is refused for', async () => {
  const cases: readonly (readonly [version: string, more: object, status: number, message: RegExp, as?: 'admin' | 'reader'])[] = [
    ['2.1', { flavorRef: 'none' }, 400, /Flavor none could not be found/],
    ['2.1', { flavorRef: 'secret' }, 400, /Flavor secret could not be found/],
    ['2.1', { flavorRef: 'off' }, 400, /Flavor off could not be found/],
    ['2.1', { flavorRef: 'diskless' }, 403, /Only volume-backed servers/],
    ['2.1', { flavorRef: 'diskless' }, 202, /./, 'admin'],
    ['2.1', { flavorRef: 'secret' }, 202, /./, 'admin'],
    ['2.1', { flavorRef: 1 }, 202, /./],
    ['2.1', { flavorRef: 'http://x/flavors/1' }, 202, /./],
    ['2.1', { imageRef: '' }, 400, /Missing imageRef attribute/],
    ['2.1', { imageRef: '00000000-31e7-49b7-b260-868f441e862b' }, 400, /Can not find requested image/],
    ['2.1', { imageRef: images.queued.id }, 400, /is not active/],
    ['2.1', { imageRef: images.big.id }, 400, /disk is too small for requested image\. Flavor disk is 1073741824 bytes/],
    ['2.1', { imageRef: images.deep.id }, 400, /smaller than the minimum specified in image metadata/],
    ['2.1', { imageRef: images.hungry.id }, 400, /memory is too small/],
    ['2.1', { key_name: 'nobody' }, 400, /Invalid key_name provided/],
    ['2.1', { availability_zone: 'mars' }, 400, /zone is not available/],
    ['2.1', { availability_zone: 'nova:host1' }, 403, /forced_host/],
    ['2.1', { availability_zone: 'nova:host1' }, 202, /./, 'admin'],
    ['2.1', { availability_zone: 'nova::host1.node' }, 202, /./, 'admin'],
    ['2.1', { availability_zone: 'nova:host9' }, 400, /Compute host host9 could not be found/, 'admin'],
    ['2.1', { availability_zone: 'a:b:c:d' }, 400, /Unable to parse/, 'admin'],
    ['2.73', { networks: 'none', host: 'host1' }, 400, /Additional properties/],
    ['2.74', { networks: 'none', host: 'host1' }, 403, /requested_destination/],
    ['2.74', { networks: 'none', host: 'host1', hypervisor_hostname: 'host1.node' }, 202, /./, 'admin'],
    ['2.74', { networks: 'none', host: 'host1', availability_zone: 'nova:host1' }, 400, /Only one of host/, 'admin'],
    ['2.1', { min_count: 3, max_count: 2 }, 400, /min_count must be <= max_count/],
    ['2.1', { min_count: '0' }, 400, /at least 1/],
    ['2.1', { min_count: 0 }, 400, /min_count/],
    ['2.1', { max_count: '99999999999999999999' }, 400, /integers/],
    ['2.90', { networks: 'none', hostname: 'two', max_count: 2 }, 400, /single hostname/],
    ['2.36', {}, 202, /./],
    ['2.37', {}, 400, /'networks' is a required property/],
    ['2.36', { networks: 'auto' }, 400, /networks/],
    ['2.37', { networks: 'auto' }, 202, /./],
    ['2.37', { networks: 'all' }, 400, /networks/],
    ['2.1', { networks: [{ uuid: 'no' }] }, 400, /network uuid is not in proper format/],
    ['2.1', { networks: [{}] }, 400, /network uuid is not in proper format/],
    ['2.1', { networks: [{ uuid: '00000000-31e7-49b7-b260-868f441e862b' }] }, 400, /Network .* could not be found/],
    ['2.1', { networks: [{ port: NETWORK, fixed_ip: '1.2.3.4' }] }, 400, /cannot be used with port/],
    ['2.1', { networks: [{ port: NETWORK }, { port: NETWORK }] }, 400, /twice/],
    ['2.1', { networks: [{ port: NETWORK }], min_count: 2 }, 400, /single configured port/],
    ['2.1', { networks: [{ uuid: NETWORK, fixed_ip: '1.2.3.4' }], min_count: 2 }, 400, /max_count cannot be greater than 1/],
    ['2.31', { networks: [{ uuid: NETWORK, tag: 'x' }] }, 400, /'tag' was unexpected/],
    ['2.32', { networks: [{ uuid: NETWORK, tag: 'x' }] }, 202, /./],
    ['2.37', { networks: [{ uuid: NETWORK, tag: 'x' }] }, 400, /tag/],
    ['2.42', { networks: [{ uuid: NETWORK, tag: 'x' }] }, 202, /./],
    ['2.1', { block_device_mapping: [{ volume_id: NETWORK }] }, 400, /no block storage service/],
    ['2.1', { block_device_mapping_v2: [{ source_type: 'volume', uuid: NETWORK }] }, 400, /no block storage service/],
    ['2.1', { block_device_mapping_v2: [{ source_type: 'image', destination_type: 'local', uuid: IMAGE, boot_index: '0' }] }, 202, /./],
    ['2.1', { personality: [{ path: '/etc/motd', contents: 'aGk=' }] }, 202, /./],
    ['2.1', { personality: [{ path: '/etc/motd' }] }, 400, /path and contents/],
    ['2.1', { personality: Array.from({ length: 6 }, () => ({ path: 'a', contents: '' })) }, 403, /Personality file limit exceeded/],
    ['2.1', { personality: [{ path: 'a'.repeat(256), contents: '' }] }, 403, /Personality file path exceeds maximum 255/],
    ['2.1', { personality: [{ path: 'a', contents: Buffer.alloc(10_241).toString('base64') }] }, 403, /content exceeds maximum 10240/],
    ['2.57', { networks: 'none', personality: [] }, 400, /'personality' was unexpected.*2\.1 to 2\.56/],
    ['2.18', { description: 'x' }, 400, /'description' was unexpected/],
    ['2.51', { networks: 'none', tags: [] }, 400, /'tags' was unexpected/],
    ['2.62', { networks: 'none', trusted_image_certificates: ['a'] }, 400, /unexpected/],
    ['2.89', { networks: 'none', hostname: 'h1' }, 400, /unexpected/],
    ['2.90', { networks: 'none', hostname: 'a.b' }, 400, /hostname/],
    ['2.94', { networks: 'none', hostname: 'a.b' }, 202, /./],
    ['2.1', { metadata: Object.fromEntries(Array.from({ length: 129 }, (_none, i) => [`k${i}`, 'v'])) }, 403, /exceeds 128/],
    ['2.1', { metadata: { a: 'x'.repeat(256) } }, 400, /a/],
    ['2.1', { metadata: { '': 'x' } }, 400, /unexpected|Additional/],
    ['2.1', { name: '' }, 400, /name/],
    ['2.1', { name: ' web' }, 400, /name/],
    ['2.1', { name: 'x'.repeat(256) }, 400, /name/],
    ['2.1', { user_data: 'not base64!' }, 400, /user_data/],
    ['2.1', { name: 'fine' }, 403, /servers:create/, 'reader'],
  ];
  for (const [version, more, status, message, as] of cases) {
    const answer = await create(more, { version, ...(as ? { as } : {}) });
    assert.equal(answer.status, status, `${version} ${JSON.stringify(more).slice(0, 200)}: ${answer.text}`);
    if (status !== 202) assert.match(fault(answer) ?? '', message);
    await house.db.transaction((tx) => tx.updateTable('quota_usages').set({ used: 0 }).execute());
  }
});

test('up to 2.18 the description is the name; host names are made of names', async () => {
  const old = await rowOf((await create({ name: 'Web Server_1.x!' })).body.server.id);
  assert.equal(old.description, 'Web Server_1.x!');
  assert.equal(old.hostname, 'web-server-1-x');
  const young = await rowOf((await create({ name: '日本' }, { version: '2.19' })).body.server.id);
  assert.equal(young.description, null);
  assert.equal(young.hostname, `Server-${young.uuid}`);
});

test('several at once: names, reservation, launch index, as many as quota has room for', async () => {
  const some = await create({ name: 'many', min_count: 2, max_count: '3', return_reservation_id: 'True' });
  assert.match(some.body.reservation_id, /^r-[0-9a-z]{8}$/);
  assert.deepEqual(Object.keys(some.body), ['reservation_id']);
  const rows = await house.db.read
    .selectFrom('servers')
    .selectAll()
    .where('reservation_id', '=', some.body.reservation_id)
    .orderBy('id')
    .execute();
  assert.deepEqual(
    rows.map((row) => [row.name, row.hostname, row.launch_index]),
    [
      ['many-1', 'many-1', 0],
      ['many-2', 'many-2', 1],
      ['many-3', 'many-3', 2],
    ],
  );
  const listed = await house.call('GET', `/servers?reservation_id=${some.body.reservation_id}`);
  assert.equal(listed.body.servers.length, 3);

  const rest = await create({ name: 'rest', min_count: 2, max_count: 100, return_reservation_id: true });
  assert.equal(rest.status, 202, rest.text);
  const made = await house.db.read.selectFrom('servers').select('id').where('reservation_id', '=', rest.body.reservation_id).execute();
  assert.equal(made.length, 7, 'ten are allowed, three were there');
  const over = await create({ name: 'over' });
  assert.equal(over.status, 403);
  assert.equal(fault(over), 'Quota exceeded for instances: Requested 1, but already used 10 of 10 instances');
});

test('quota is exact under 50 creates at once', async () => {
  await house.db.transaction((tx) =>
    tx
      .insertInto('quota_limits')
      .values({ project_id: people.other.projectId ?? '', user_id: '', resource: 'ram', hard_limit: 512 * 7 })
      .execute(),
  );
  const answers = await Promise.all(Array.from({ length: 50 }, (_none, index) => create({ name: `p${index}` }, { as: 'other' })));
  assert.equal(answers.filter((one) => one.status === 202).length, 7);
  assert.equal(answers.filter((one) => one.status === 403).length, 43);
  const rows = await house.db.read
    .selectFrom('servers')
    .select('id')
    .where('project_id', '=', people.other.projectId ?? '')
    .execute();
  assert.equal(rows.length, 7);
  const used = await house.db.read
    .selectFrom('quota_usages')
    .selectAll()
    .where('project_id', '=', people.other.projectId ?? '')
    .execute();
  assert.deepEqual(Object.fromEntries(used.map((one) => [one.resource, one.used])), { cores: 7, instances: 7, ram: 512 * 7 });
  const refused = await create({ flavorRef: 'big', min_count: 6 }, { as: 'other' });
  assert.equal(
    fault(refused),
    'Quota exceeded for cores, instances, ram: Requested 24, 6, 49152, but already used 7, 7, 3584 of 20, 10, 3584 cores, instances, ram',
  );
});

test('the same Idempotency-Key makes one server, also when both come at once', async () => {
  const headers = { 'idempotency-key': 'k-1' };
  const both = await Promise.all([create({ name: 'idem' }, { headers }), create({ name: 'idem' }, { headers })]);
  assert.deepEqual(
    both.map((one) => one.status),
    [202, 202],
  );
  assert.deepEqual(both[0]?.body, both[1]?.body, 'password included');
  const later = await create({ name: 'idem' }, { headers });
  assert.equal(later.body.server.id, both[0]?.body.server.id);
  const rows = await house.db.read.selectFrom('servers').select('id').where('name', '=', 'idem').execute();
  assert.equal(rows.length, 1);
  assert.equal((await create({ name: 'other body' }, { headers })).status, 409);
  assert.notEqual((await create({ name: 'idem' }, { headers, as: 'admin' })).body.server.id, later.body.server.id);
  assert.equal((await create({}, { headers: { 'idempotency-key': 'x'.repeat(300) } })).status, 400);
});

test('groups: only own ones, and no more members than allowed', async () => {
  const grouped = (name: string, as: 'demo' | 'other' = 'demo', more: object = {}) =>
    house.call('POST', '/servers', { as, body: { ...wish({ name, ...more }), 'OS-SCH-HNT:scheduler_hints': { group: GROUP } } });
  assert.equal((await grouped('foreign', 'other')).status, 400);
  await house.db.transaction((tx) => tx.deleteFrom('server_group_members').execute());
  assert.equal((await grouped('ten', 'demo', { min_count: 10 })).status, 202);
  await house.db.transaction((tx) => tx.updateTable('quota_usages').set({ used: 0 }).execute());
  const eleventh = await grouped('eleven');
  assert.equal(eleventh.status, 403);
  assert.match(fault(eleventh) ?? '', /^Quota exceeded, too many servers in group. Requested 1, but already used 10 of 10/);
  const left = await house.db.read.selectFrom('servers').select('id').where('name', '=', 'eleven').execute();
  assert.equal(left.length, 0, 'a refused create leaves nothing');
  const used = await house.db.read.selectFrom('quota_usages').select('used').where('project_id', '=', DEMO).execute();
  assert.ok(used.every((one) => one.used === 0));
  const unknown = await house.call('POST', '/servers', { body: { ...wish(), 'os:scheduler_hints': { group: NETWORK } } });
  assert.equal(unknown.status, 400);
});

test('legacy: unknown fields are ignored, names are trimmed', async () => {
  const answer = await create({ name: '  legacy  ', 'no-such': 1 }, { legacy: true });
  assert.equal(answer.status, 202, answer.text);
  assert.equal((await rowOf(answer.body.server.id)).name, 'legacy');
  assert.equal((await create({ 'no-such': 1 })).status, 400);
});

test('nothing that comes in a create is our fault', async () => {
  const values: readonly unknown[] = [
    null,
    true,
    0,
    -1,
    1.5,
    1e300,
    '',
    ' ',
    'x'.repeat(70_000),
    '\u0000',
    '\ud800',
    '../../etc',
    "'; drop table servers; --",
    '%',
    [],
    [null],
    [[]],
    [{}],
    ['a'],
    {},
    { a: {} },
    { __proto__x: 1 },
    { toString: 'x' },
    '99999999999999999999',
    '-1',
    'true',
    'constructor',
  ];
  const fields = [
    'name',
    'flavorRef',
    'imageRef',
    'adminPass',
    'metadata',
    'networks',
    'OS-DCF:diskConfig',
    'accessIPv4',
    'accessIPv6',
    'personality',
    'availability_zone',
    'block_device_mapping',
    'block_device_mapping_v2',
    'config_drive',
    'key_name',
    'min_count',
    'max_count',
    'return_reservation_id',
    'security_groups',
    'user_data',
    'description',
    'tags',
    'trusted_image_certificates',
    'host',
    'hypervisor_hostname',
    'hostname',
    'os:scheduler_hints',
    'unknown',
  ];
  for (const field of fields)
    for (const value of values)
      for (const version of field === 'personality' ? ['2.1'] : ['2.104']) {
        const answer = await create({ ...(version === '2.1' ? {} : { networks: 'none' }), [field]: value }, { version, as: 'admin' });
        assert.ok(answer.status < 500, `${version} ${field}=${JSON.stringify(value).slice(0, 60)}: ${answer.text}`);
        await house.db.transaction((tx) => tx.updateTable('quota_usages').set({ used: 0 }).execute());
      }
  for (const raw of ['', '[]', '1', 'null', '{"server":null}', '{"server":[]}', '{"server":', '{"__proto__":{}}', '['.repeat(5000)])
    assert.equal((await house.call('POST', '/servers', { raw })).status, 400, raw.slice(0, 40));
});
