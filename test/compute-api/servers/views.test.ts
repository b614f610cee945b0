import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { atLeast } from '../../../src/lib/shape.ts';
import { statesOf, statusOf, statusTable } from '../../../src/model/server-states.ts';
import { catalogue } from './catalogue.ts';
import { GROUP, type House, NETWORK, openHouse, versions, wish } from './house.ts';

let house: House;
before(async () => {
  house = await openHouse();
});
after(() => house.close());

const skip = catalogue.home ? false : 'the catalogue is not here';

/** A server with something in every field, running, in a group. */
async function fullServer(): Promise<string> {
  const answer = await house.call('POST', '/servers', {
    version: '2.104',
    body: {
      server: {
        ...wish({
          name: 'new-server-test',
          networks: [{ uuid: NETWORK }],
          metadata: { 'My Server Name': 'Apache1' },
          accessIPv4: '1.2.3.4',
          accessIPv6: '80fe::',
          'OS-DCF:diskConfig': 'AUTO',
          user_data: 'IyEvYmluL2Jhc2gK',
          tags: ['b', 'a'],
          key_name: 'mykey',
          availability_zone: 'nova',
          security_groups: [{ name: 'default' }],
        }).server,
      },
      'os:scheduler_hints': { group: GROUP },
    },
  });
  assert.equal(answer.status, 202, answer.text);
  await house.activate(answer.body.server.id);
  return answer.body.server.id;
}

/** Removes what samples were recorded without: fields of admins where a sample was taken by a user. */
const ADMIN = /OS-EXT-SRV-ATTR:|host_status/;
const withoutAdmin = (server: Record<string, unknown>, sample: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(server).filter(([key]) => key in sample || !ADMIN.test(key) || key.endsWith(':hostname')));

test('show, detail, list, create and update have the shape of every sample', { skip }, async () => {
  const id = await fullServer();
  const { compareShape, rulesFromFields, formatDiffs } = await catalogue.shapeCheck();
  const fields = await catalogue.fields();
  const operations = await catalogue.operations();
  assert.ok(fields);
  let compared = 0;
  for (const operation of ['servers:create', 'servers:index', 'servers:detail', 'servers:show', 'servers:update']) {
    const samples = operations.find((one) => one.id === operation)?.responseSamples ?? [];
    for (const { file, microversion } of samples) {
      if (file.includes('rescue') || file.includes('down-cell')) continue;
      // biome-ignore lint/suspicious/noExplicitAny: samples of any form
      const sample = (await catalogue.sample(file)) as any;
      const answer = await (operation === 'servers:create'
        ? house.call('POST', '/servers', {
            version: microversion,
            body: {
              server: {
                ...wish({ networks: [{ uuid: NETWORK }] }).server,
                ...('reservation_id' in sample ? { return_reservation_id: 'True' } : {}),
              },
            },
            as: 'other',
          })
        : operation === 'servers:show'
          ? house.call('GET', `/servers/${id}`, { version: microversion, as: 'admin' })
          : operation === 'servers:update'
            ? house.call('PUT', `/servers/${id}`, { version: microversion, as: 'admin', body: { server: { name: 'new-server-test' } } })
            : house.call('GET', `/servers${operation === 'servers:detail' ? '/detail' : ''}?all_tenants=1&limit=1`, {
                version: microversion,
                as: 'admin',
              }));
      if (answer.status === 403) assert.fail(`${file}: ${answer.text}`);
      const { body } = answer;
      const rules = rulesFromFields(fields, operation, microversion);
      // Kinds of samples that show what this server has not: volumes. And the other way: pages of one always have a next.
      const differences = compareShape(
        sample,
        operation === 'servers:show' || operation === 'servers:update'
          ? { server: withoutAdmin(body.server, sample.server) }
          : operation === 'servers:detail'
            ? { ...body, servers: body.servers.map((one: Record<string, unknown>) => withoutAdmin(one, sample.servers[0])) }
            : body,
        rules,
      ).filter(({ pointer, kind }) => !(pointer === '/servers_links' && kind === 'extra-key'));
      assert.equal(formatDiffs(differences), '', `${operation} at ${microversion} against ${file}`);
      compared++;
      if (operation === 'servers:create') await house.db.transaction((tx) => tx.updateTable('quota_usages').set({ used: 0 }).execute());
    }
  }
  assert.ok(compared > 60, `${compared} samples were compared`);
});

test('every field of the answers stands in the catalogue at every microversion, for users and admins', { skip }, async () => {
  const id = await fullServer();
  await house.activate(id, {
    vm_state: 'error',
    fault: JSON.stringify({ code: 500, message: 'no', details: 'trace', created: 1_700_000_000_000_000 }),
  });
  const fields = await catalogue.fields();
  const edges = new Set(
    ['servers:show', 'servers:update', 'servers:detail'].flatMap((operation) =>
      (fields?.[operation]?.response ?? []).flatMap(({ min, max }) => [min, max ?? '2.104']),
    ),
  );
  for (const version of versions.filter((one) => edges.has(one)))
    for (const as of ['demo', 'admin'] as const)
      for (const [operation, method, path] of [
        ['servers:show', 'GET', `/servers/${id}`],
        ['servers:update', 'PUT', `/servers/${id}`],
        ['servers:detail', 'GET', '/servers/detail?all_tenants=0'],
      ] as const) {
        const answer = await house.call(method, path, { version, as, ...(method === 'PUT' ? { body: { server: { name: 'x' } } } : {}) });
        assert.equal(answer.status, 200, answer.text);
        const range = fields?.[operation]?.response?.find(
          (one) => atLeast(version, one.min) && (one.max === null || atLeast(one.max, version)),
        );
        assert.ok(range);
        const root = operation === 'servers:detail' ? '/servers/[]' : '/server';
        const server = operation === 'servers:detail' ? answer.body.servers[0] : answer.body.server;
        if (server === undefined) continue; // admins list their own project, which has none
        const known = Object.keys(range.fields).filter((pointer) => pointer.startsWith(`${root}/`));
        for (const key of Object.keys(server)) assert.ok(known.includes(`${root}/${key}`), `${operation} ${version} shows ${key}`);
        for (const pointer of known) {
          const key = pointer.slice(root.length + 1);
          // From 2.69 on the catalogue calls everything optional, for servers of cells that are away.
          if (key.includes('/') || !range.fields[pointer]?.includes('!')) continue;
          assert.ok(key in server, `${operation} ${version} lacks ${key}`);
        }
        assert.equal(server.fault.details, as === 'admin' ? 'trace' : undefined);
        assert.equal('OS-EXT-SRV-ATTR:host' in server, as === 'admin' && (operation !== 'servers:update' || atLeast(version, '2.75')));
      }
});

test('each field comes with its microversion', async () => {
  const id = await house.boot('edges');
  await house.activate(id);
  const at = async (version: string, as: 'demo' | 'admin' = 'demo') =>
    (await house.call('GET', `/servers/${id}`, { version, as })).body.server;
  for (const [field, before, since] of [
    ['locked', '2.8', '2.9'],
    ['description', '2.18', '2.19'],
    ['tags', '2.25', '2.26'],
    ['trusted_image_certificates', '2.62', '2.63'],
    ['server_groups', '2.70', '2.71'],
    ['locked_reason', '2.72', '2.73'],
    ['OS-EXT-SRV-ATTR:hostname', '2.89', '2.90'],
    ['pinned_availability_zone', '2.95', '2.96'],
    ['scheduler_hints', '2.99', '2.100'],
  ] as const) {
    assert.ok(!(field in (await at(before))), `${field} is not in ${before}`);
    assert.ok(field in (await at(since)), `${field} is in ${since}`);
  }
  assert.equal((await at('2.46')).flavor.id, '1');
  assert.deepEqual((await at('2.47')).flavor, {
    vcpus: 1,
    ram: 512,
    disk: 1,
    ephemeral: 0,
    swap: 0,
    original_name: 'flavor-1',
    extra_specs: { 'hw:cpu_policy': 'shared' },
  });
  assert.equal('properties' in (await at('2.97')).image, false);
  assert.deepEqual((await at('2.98')).image.properties, { architecture: 'x86_64' });
  assert.equal('host_status' in (await at('2.15', 'admin')), false);
  assert.equal((await at('2.16', 'admin')).host_status, 'UP');
  assert.equal('host_status' in (await at('2.16')), false);
  assert.equal('OS-EXT-SRV-ATTR:user_data' in (await at('2.2', 'admin')), false);
  assert.equal('OS-EXT-SRV-ATTR:user_data' in (await at('2.3', 'admin')), true);
  const update = async (version: string) =>
    (await house.call('PUT', `/servers/${id}`, { version, body: { server: { name: 'edges' } } })).body.server;
  assert.equal('OS-EXT-STS:vm_state' in (await update('2.74')), false);
  assert.equal('OS-EXT-STS:vm_state' in (await update('2.75')), true);
});

test('the values of a running server', async () => {
  const id = await house.boot('values', { availability_zone: 'nova' });
  await house.activate(id);
  const server = (await house.call('GET', `/servers/${id}`, { version: '2.104', as: 'admin' })).body.server;
  assert.equal(server.status, 'ACTIVE');
  assert.match(server.hostId, /^[0-9a-f]{56}$/);
  assert.equal(server['OS-EXT-SRV-ATTR:host'], 'host1');
  assert.match(server['OS-EXT-SRV-ATTR:instance_name'], /^instance-[0-9a-f]{8}$/);
  assert.equal(server['OS-EXT-AZ:availability_zone'], 'nova');
  assert.equal(server.created, '2023-11-14T22:13:20Z');
  assert.equal(server['OS-SRV-USG:launched_at'], '2023-11-14T22:13:20.000000');
  assert.deepEqual(server.addresses.private[0], {
    addr: '192.168.1.30',
    version: 4,
    'OS-EXT-IPS:type': 'fixed',
    'OS-EXT-IPS-MAC:mac_addr': 'fa:16:3e:00:00:01',
  });
  const plain = (await house.call('GET', `/servers/${id}`)).body.server.links;
  assert.deepEqual(plain, [
    { rel: 'self', href: `${house.base}/v2.1/servers/${id}` },
    { rel: 'bookmark', href: `${house.base}/servers/${id}` },
  ]);
  const project = server.tenant_id;
  const named = (await house.call('GET', `/${project}/servers/${id}`, { legacy: true })).body.server;
  assert.deepEqual(named.links[0], { rel: 'self', href: `${house.base}/v2/${project}/servers/${id}` });
  assert.equal(named.image.links[0].href, `${house.base}/${project}/images/${named.image.id}`);
});

test('status of every vm_state with every task_state', { skip }, async () => {
  const states = (await catalogue.states()) as {
    vm_state: string[];
    task_state: string[];
    status: { mapping: { vm_state: string; default: string; byTaskState: Record<string, string> }[] };
  };
  for (const { vm_state, default: plain, byTaskState } of states.status.mapping)
    for (const task of [null, ...states.task_state])
      assert.equal(statusOf(vm_state, task), (task === null ? undefined : byTaskState[task]) ?? plain, `${vm_state}/${task}`);
  assert.deepEqual(Object.keys(statusTable).sort(), [...states.vm_state].sort());
});

test('statuses are turned back into states', () => {
  assert.deepEqual(statesOf(['active']), { vmStates: ['active'], taskStates: null });
  assert.deepEqual(statesOf(['HARD_REBOOT']), {
    vmStates: ['active'],
    taskStates: ['reboot_pending_hard', 'reboot_started_hard', 'rebooting_hard'],
  });
  assert.deepEqual(statesOf(['bogus']).vmStates, []);
  assert.equal(statusOf('constructor', null), 'UNKNOWN');
  assert.equal(statusOf('active', 'toString'), 'ACTIVE');
});
