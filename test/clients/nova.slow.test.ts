import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { cell, openNova, tableOf } from './nova-batch.ts';

const skip = requires('nova-client');
const PATIENCE = { skip, timeout: 300_000 };
let house: House;
let people: Client;
let nova: ReturnType<typeof openNova>;
let admin: ReturnType<typeof openNova>;
/** Ids that the commands are given. */
const has = { image: '', network: '', port: '', volume: '', other: '' };
before(async () => {
  if (skip) return;
  const config = join(mkdtempSync(join(tmpdir(), 'kilonova-nova-')), 'nova.conf');
  writeFileSync(config, '[serial_console]\nenabled = true\n[spice]\nenabled = true\n');
  house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '2', '--config', config] });
  rmSync(dirname(config), { recursive: true }); // it is read once
  people = await house.as('demo');
  nova = openNova(house, 'openrc-demo');
  admin = openNova(house, 'openrc');
  const { image, network, volume } = people;
  has.image = (await image.ask<{ images: { id: string }[] }>('GET', '/v2/images')).body.images[0]?.id ?? '';
  const nets = (await network.ask<{ networks: { id: string; name: string }[] }>('GET', '/v2.0/networks')).body.networks;
  has.network = nets.find(({ name }) => name === 'default')?.id ?? '';
  const port = { network_id: has.network, name: 'extra' };
  has.port = (await network.ask<{ port: { id: string } }>('POST', '/v2.0/ports', { body: { port } })).body.port.id;
  for (const noun of ['volume', 'other'] as const)
    has[noun] = (await volume.ask<{ volume: { id: string } }>('POST', '/volumes', { body: { volume: { size: 1 } } })).body.volume.id;
});
after(async () => {
  nova?.close();
  admin?.close();
  await house?.stop();
  await house?.remove();
});

const status = (name: string, what: string, by = nova) => by.until(new RegExp(`\\| status\\s+\\| ${what} `), 'show', name);
const volumeIs = (id: string, what: string) =>
  waitFor(
    async () => (await people.volume.ask<{ volume: { status: string } }>('GET', `/volumes/${id}`)).body.volume.status === what,
    60_000,
    () => `${id} is not ${what}`,
    50,
  );

test('what there is: flavors, zones, limits, versions, extensions of a cloud', PATIENCE, async () => {
  assert.match(await nova.ok('version-list'), /v2\.1\s+\| CURRENT/);
  assert.match(await nova.ok('flavor-list'), /k1\.nano/);
  assert.match(await nova.ok('flavor-show', 'm1.tiny'), /ram\s+\| 512/);
  assert.match(await nova.ok('availability-zone-list'), /nova\s+\| available/);
  assert.match(await nova.ok('limits'), /Cores/);
  assert.match(await nova.ok('quota-show'), /instances\s+\| 10/);
  assert.match(await nova.ok('quota-defaults'), /instances\s+\| 10/);
  assert.match(await nova.ok('usage'), /Usage from/);
  assert.match(await admin.ok('usage-list'), /Usage from/);
  assert.match(await admin.ok('hypervisor-list'), /fake1.*\| up/);
  const [first] = tableOf(await admin.ok('hypervisor-list'));
  assert.match(await admin.ok('hypervisor-show', first?.ID ?? ''), /hypervisor_type/);
  assert.match(await admin.ok('--os-compute-api-version', '2.87', 'hypervisor-stats'), /count\s+\| 2/);
  assert.match(await admin.ok('--os-compute-api-version', '2.87', 'hypervisor-uptime', first?.ID ?? ''), /uptime/);
  await admin.ok('hypervisor-servers', 'fake');
  assert.match(await admin.ok('instance-usage-audit-log'), /total_instances|num_hosts/);
  await nova.no(/not authorized|doesn't allow|Forbidden|403/i, 'hypervisor-list');
});

test('key pairs of both kinds', PATIENCE, async () => {
  const file = join(house.dataDir, 'key.pub');
  writeFileSync(file, 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8xKXq3Tn0oD0vQYjq5rH0m8mB1jS4kqH1cKJmYvU2X someone@somewhere\n');
  await nova.ok('keypair-add', '--pub-key', file, 'k');
  // A certificate comes with its key, as PKCS #12.
  const made = await nova.ok('--os-compute-api-version', '2.91', 'keypair-add', '--key-type', 'x509', 'cert');
  assert.match(made, /^MII/);
  assert.match(await nova.ok('keypair-list'), /cert\s+\| x509[\s\S]*k\s+\| ssh/);
  const shown = await nova.ok('keypair-show', 'cert');
  assert.match(shown, /BEGIN CERTIFICATE/);
  await nova.ok('keypair-delete', 'cert');
  await nova.no(/No keypair|could not be found|not found/i, 'keypair-show', 'cert');
});

test('flavors, their specs and who may use them', PATIENCE, async () => {
  await admin.ok('flavor-create', '--is-public', 'false', '--description', 'mine', 'closed', 'auto', '64', '1', '1');
  await admin.ok('flavor-key', 'closed', 'set', 'hw:cpu_policy=shared');
  assert.match(await admin.ok('flavor-show', 'closed'), /hw:cpu_policy/);
  await admin.ok('flavor-key', 'closed', 'unset', 'hw:cpu_policy');
  await admin.ok('flavor-update', 'closed', 'better');
  const project = await projectOf(people);
  await admin.ok('flavor-access-add', 'closed', project);
  assert.match(await admin.ok('flavor-access-list', '--flavor', 'closed'), new RegExp(project));
  assert.match(await nova.ok('flavor-list'), /closed/);
  await admin.ok('flavor-access-remove', 'closed', project);
  assert.doesNotMatch(await nova.ok('flavor-list'), /closed/);
  await admin.ok('flavor-delete', 'closed');
});

test('server groups and aggregates', PATIENCE, async () => {
  const made = await nova.ok('server-group-create', '--rule', 'max_server_per_host=2', 'apart', 'anti-affinity');
  const [group] = tableOf(made);
  assert.match(await nova.ok('server-group-list'), /apart/);
  assert.match(await nova.ok('server-group-get', group?.Id ?? ''), /anti-affinity/);
  await nova.ok('server-group-delete', group?.Id ?? '');
  await admin.ok('aggregate-create', 'agg', 'zone1');
  assert.match(await admin.ok('aggregate-list'), /agg/);
  await admin.ok('aggregate-add-host', 'agg', 'fake2');
  await admin.ok('aggregate-set-metadata', 'agg', 'ssd=true');
  assert.match(await admin.ok('aggregate-show', 'agg'), /ssd=true/);
  assert.match(await nova.ok('availability-zone-list'), /zone1/);
  await admin.ok('aggregate-cache-images', 'agg', has.image);
  await admin.ok('aggregate-update', '--name', 'agg2', 'agg');
  await admin.ok('aggregate-remove-host', 'agg2', 'fake2');
  await admin.ok('aggregate-delete', 'agg2');
});

test('a server is made, looked at, changed and used', PATIENCE, async () => {
  const made = await nova.ok(
    ...['boot', '--image', has.image, '--flavor', 'k1.nano', '--nic', `net-id=${has.network}`, '--key-name', 'k', '--meta', 'a=b'],
    ...['--tags', 'red,blue', '--description', 'first', '--hostname', 'one-host', '--poll', 'one'],
  );
  const id = cell(made, 'id');
  assert.match(await nova.ok('list'), /one\s+\| ACTIVE/);
  assert.match(await nova.ok('list', '--tags', 'red'), /one/);
  assert.match(await nova.ok('list', '--fields', 'name,OS-EXT-STS:vm_state'), /active/);
  assert.equal(cell(await nova.ok('show', 'one'), 'OS-EXT-STS:vm_state'), 'active');
  assert.match(await admin.ok('list', '--all-tenants'), /one/);
  assert.ok((await nova.ok('console-log', 'one')).length > 0);
  assert.match(await nova.ok('get-vnc-console', 'one', 'novnc'), /http/);
  assert.match(await nova.ok('get-serial-console', 'one'), /ws:\/\//);
  assert.match(await nova.ok('get-spice-console', 'one', 'spice-html5'), /http/);
  await nova.no(/not available|not supported|Unavailable console type|400/i, 'get-mks-console', 'one');
  await nova.no(/rdp|Unavailable console type|400|invalid/i, 'get-rdp-console', 'one', 'rdp-html5');
  await nova.ok('get-password', 'one');
  await nova.ok('clear-password', 'one');
  assert.match(await admin.ok('diagnostics', id), /state/);
  await nova.ok('server-topology', 'one');
  await nova.ok('update', '--name', 'uno', '--description', 'renamed', 'one');
  await nova.ok('update', '--name', 'one', 'uno');
  await nova.ok('meta', 'one', 'set', 'c=d');
  await nova.ok('meta', 'one', 'delete', 'a');
  assert.match(await nova.ok('show', 'one'), /\{"c": "d"\}/);
  await nova.ok('server-tag-add', 'one', 'green');
  assert.match(await nova.ok('server-tag-list', 'one'), /green/);
  await nova.ok('server-tag-delete', 'one', 'green');
  await nova.ok('server-tag-set', 'one', 'x', 'y');
  await nova.ok('server-tag-delete-all', 'one');
  assert.doesNotMatch(await nova.ok('server-tag-list', 'one'), /green|blue|x /);
  assert.match(await nova.ok('list-secgroup', 'one'), /default/);
  await people.network.ask('POST', '/v2.0/security-groups', { body: { security_group: { name: 'more', description: '' } } });
  await nova.ok('add-secgroup', 'one', 'more');
  assert.match(await nova.ok('list-secgroup', 'one'), /more/);
  await nova.ok('remove-secgroup', 'one', 'more');
  await admin.ok('refresh-network', id);
  await nova.ok('interface-attach', '--port-id', has.port, 'one');
  await nova.until(new RegExp(has.port), 'interface-list', 'one');
  await nova.ok('interface-detach', 'one', has.port);
  await waitFor(
    async () => !(await nova.ok('interface-list', 'one')).includes(has.port),
    60_000,
    () => 'the port stays',
  );
  const actions = tableOf(await nova.ok('instance-action-list', 'one'));
  assert.ok(actions.length > 2);
  assert.match(await nova.ok('instance-action', 'one', actions[0]?.Request_ID ?? ''), /action/);
});

test('volumes of a server', PATIENCE, async () => {
  await volumeIs(has.volume, 'available');
  await nova.ok('volume-attach', 'one', has.volume);
  await volumeIs(has.volume, 'in-use');
  assert.match(await nova.ok('volume-attachments', 'one'), new RegExp(has.volume));
  await admin.no(/is not migrating/, 'volume-update', cell(await nova.ok('show', 'one'), 'id'), has.volume, has.other);
  await nova.ok('volume-detach', 'one', has.volume);
  await volumeIs(has.volume, 'available');
});

test('what can be done to a server', PATIENCE, async () => {
  for (const [word, becomes] of [
    ['pause', 'PAUSED'],
    ['unpause', 'ACTIVE'],
    ['suspend', 'SUSPENDED'],
    ['resume', 'ACTIVE'],
    ['stop', 'SHUTOFF'],
    ['start', 'ACTIVE'],
    ['rescue', 'RESCUE'],
    ['unrescue', 'ACTIVE'],
    ['shelve', 'SHELVED_OFFLOADED'],
    ['unshelve', 'ACTIVE'],
  ] as const) {
    await nova.ok(word, 'one');
    await status('one', becomes);
    await nova.until(/OS-EXT-STS:task_state\s+\| -/, 'show', 'one');
  }
  await nova.no(/Cannot 'start' instance .* while it is in vm_state active/, 'start', 'one');
  await admin.ok('shelve-offload', cell(await nova.ok('show', 'one'), 'id')).catch((cause: Error) => {
    assert.match(cause.message, /Cannot 'shelveOffload' instance .* while it is in vm_state active/);
  });
  await nova.ok('reboot', '--poll', 'one');
  await nova.ok('reboot', '--hard', 'one');
  await nova.until(/OS-EXT-STS:task_state\s+\| -/, 'show', 'one');
  await nova.ok('lock', '--reason', 'because', 'one');
  assert.equal(cell(await nova.ok('show', 'one'), 'locked_reason'), 'because');
  await nova.ok('unlock', 'one');
  await nova.ok('rebuild', '--name', 'one', 'one', has.image);
  await nova.until(/OS-EXT-STS:task_state\s+\| -/, 'show', 'one');
  await nova.ok('trigger-crash-dump', 'one');
  await nova.until(/OS-EXT-STS:task_state\s+\| -/, 'show', 'one');
  await nova.ok('image-create', 'one', 'copy');
  await nova.until(/OS-EXT-STS:task_state\s+\| -/, 'show', 'one');
  await nova.ok('backup', 'one', 'nightly', 'daily', '1');
  await nova.until(/OS-EXT-STS:task_state\s+\| -/, 'show', 'one');
  await nova.ok('resize', '--poll', 'one', 'm1.tiny');
  await nova.ok('resize-confirm', 'one');
  await status('one', 'ACTIVE');
  await nova.ok('resize', 'one', 'k1.nano');
  await status('one', 'VERIFY_RESIZE');
  await nova.ok('resize-revert', 'one');
  await status('one', 'ACTIVE');
  const id = cell(await nova.ok('show', 'one'), 'id');
  await admin.ok('reset-state', id);
  await status('one', 'ERROR');
  await admin.ok('reset-state', '--active', id);
  await status('one', 'ACTIVE');
});

test('moves from host to host', PATIENCE, async () => {
  const id = cell(await nova.ok('show', 'one'), 'id');
  const host = async (server = id) => cell(await admin.ok('show', server), 'OS-EXT-SRV-ATTR:host');
  await admin.ok('migrate', id);
  await status('one', 'VERIFY_RESIZE');
  await nova.ok('resize-confirm', 'one');
  await status('one', 'ACTIVE');
  const at = await host();
  await admin.ok('live-migration', id);
  await waitFor(
    async () => (await host()) !== at,
    60_000,
    () => 'it does not move',
    100,
  );
  await status('one', 'ACTIVE');
  const made = await nova.ok(
    ...['boot', '--image', has.image, '--flavor', 'k1.nano', '--nic', 'none', '--meta', 'fake:migrateLive=slow:600000', '--poll', 'slow'],
  );
  const slow = cell(made, 'id');
  await admin.ok('live-migration', slow);
  await admin.until(/running/, 'server-migration-list', slow);
  const [moving] = tableOf(await admin.ok('server-migration-list', slow));
  assert.match(await admin.ok('server-migration-show', slow, moving?.Id ?? ''), /running/);
  await admin.ok('live-migration-abort', slow, moving?.Id ?? '');
  await status('slow', 'ACTIVE');
  await admin.ok('live-migration', slow);
  await admin.until(/running/, 'server-migration-list', slow);
  const [again] = tableOf(await admin.ok('server-migration-list', slow));
  await admin.ok('live-migration-force-complete', slow, again?.Id ?? '');
  await status('slow', 'ACTIVE');
  assert.ok(tableOf(await admin.ok('migration-list')).length >= 4);
  await nova.ok('delete', 'slow');
});

test('services, and what becomes of servers when a host is down', PATIENCE, async () => {
  const id = cell(await nova.ok('show', 'one'), 'id');
  const at = cell(await admin.ok('show', id), 'OS-EXT-SRV-ATTR:host');
  await admin.ok('host-meta', at, 'set', 'rack=1');
  await admin.ok('host-servers-migrate', at);
  await status('one', 'VERIFY_RESIZE');
  await nova.ok('resize-confirm', 'one');
  await status('one', 'ACTIVE');
  await admin.ok('host-evacuate-live', await hostOf(id));
  await waitFor(
    async () => (await hostOf(id)) === at,
    60_000,
    () => 'it does not come back',
    100,
  );
  await status('one', 'ACTIVE');
  const service = await serviceOf(id);
  await admin.no(/in use|hosting|409|Unable to delete/i, 'service-delete', service);
  await admin.ok('service-disable', '--reason', 'repairs', service);
  assert.match(await admin.ok('service-list'), /repairs/);
  await admin.no(/up|in use|400/i, 'evacuate', id);
  await admin.ok('service-force-down', service);
  await admin.ok('evacuate', id);
  await waitFor(
    async () => (await hostOf(id)) !== at,
    60_000,
    () => 'it is not evacuated',
    100,
  );
  await nova.until(/OS-EXT-STS:task_state\s+\| -/, 'show', 'one');
  await admin.ok('host-evacuate', at); // nothing is left there
  await admin.no(/Unable to force up host .* restarted/, 'service-force-down', '--unset', service);
  await admin.ok('service-enable', service);
});
const hostOf = async (id: string) => cell(await admin.ok('show', id), 'OS-EXT-SRV-ATTR:host');
const serviceOf = async (id: string) => {
  const at = cell(await admin.ok('show', id), 'OS-EXT-SRV-ATTR:host');
  return tableOf(await admin.ok('service-list', '--binary', 'nova-compute')).find(({ Host }) => Host === at)?.Id ?? '';
};

test('quotas', PATIENCE, async () => {
  const project = await projectOf(people);
  await admin.ok('quota-update', '--instances', '1', '--force', project);
  assert.match(await admin.ok('quota-show', '--tenant', project), /instances\s+\| 1 /);
  await nova.no(
    /Quota exceeded for instances: Requested 1, but already used 1 of 1 instances/,
    'boot',
    '--image',
    has.image,
    '--flavor',
    '1',
    '--nic',
    'none',
    'b',
  );
  await admin.ok('quota-delete', '--tenant', project);
  assert.match(await admin.ok('quota-show', '--tenant', project), /instances\s+\| 10 /);
  assert.match(await admin.ok('quota-class-show', 'default'), /instances\s+\| 10 /);
  await admin.ok('quota-class-update', '--instances', '12', 'default');
  assert.match(await nova.ok('quota-defaults'), /instances\s+\| 12 /);
  await admin.ok('quota-class-update', '--instances', '10', 'default');
});

test('the end, and after it', PATIENCE, async () => {
  await nova.no(/Cannot 'restore' instance .* while it is in vm_state active/, 'restore', 'one');
  await nova.ok('force-delete', 'one');
  await nova.until(/^(?![\s\S]*\bone\b)/, 'list');
  await nova.ok('keypair-delete', 'k');
  await nova.no(/No server with a name or ID/, 'show', 'one');
});

/** Commands that do nothing here, and why. */
const NEVER: Readonly<Record<string, string>> = {
  'agent-create': 'its API is gone: 410',
  'agent-delete': 'as above',
  'agent-list': 'as above',
  'agent-modify': 'as above',
  'reset-network': 'as above',
  ssh: 'starts an ssh of its own',
  'set-password': 'asks a terminal for the password',
  'bash-completion': 'of the client itself',
  help: 'as above',
};
test('every command that the client has was run, or is known to do nothing', PATIENCE, async () => {
  await admin.no(/410|removed|obsolete|Gone|no longer/i, 'agent-list');
  await admin.no(/410|removed|Gone|no longer|No server/i, 'reset-network', 'x');
  const help = execFileSync('nova', ['help'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const commands = [...help.matchAll(/^ {4}([a-z][a-z-]+)(?: |$)/gm)].map(([, name = '']) => name);
  assert.ok(commands.length > 110, `${commands.length}`);
  const run = new Set([...nova.used, ...admin.used]);
  assert.deepEqual(
    commands.filter((name) => !run.has(name) && !(name in NEVER)),
    [],
  );
});

async function projectOf(client: Client): Promise<string> {
  const answer = await client.identity.ask<{ token: { project: { id: string } } }>('GET', '/v3/auth/tokens', {
    headers: { 'x-subject-token': client.token },
  });
  return answer.body.token.project.id;
}
