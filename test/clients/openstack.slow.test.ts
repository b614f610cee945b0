import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type House, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';

const run = promisify(execFile);
let house: House;

before(async () => {
  if (!requires('openstack-client')) house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '2'] });
});
after(async () => {
  await house?.stop();
  await house?.remove();
});

/** Runs a stock client with the words of openrc and nothing else of the environment. */
async function client(program: string, words: readonly string[], rc = 'openrc-demo'): Promise<string> {
  const { stdout } = await run('sh', ['-c', `. "$1"; shift; exec "$@"`, 'sh', join(house.dataDir, rc), program, ...words], {
    env: { PATH: process.env.PATH ?? '', HOME: house.dataDir, LANG: 'C.UTF-8' },
    timeout: 120_000,
  });
  return stdout;
}
const openstack = async (...words: string[]) => JSON.parse(await client('openstack', [...words, '-f', 'json']));
const admin = async (...words: string[]) => JSON.parse(await client('openstack', [...words, '-f', 'json'], 'openrc'));
const plain = (...words: string[]) => client('openstack', words);
/** At a microversion. */
const at = (version: string) => ['--os-compute-api-version', version];

test('the stock openstack client walks a server through its life', { skip: requires('openstack-client'), timeout: 600_000 }, async () => {
  const token = await openstack('token', 'issue');
  assert.match(token.project_id, /^[0-9a-f]{32}$/);
  assert.ok((await openstack('catalog', 'list')).length >= 5);
  assert.ok((await openstack('flavor', 'list')).some((flavor: { Name: string }) => flavor.Name === 'm1.tiny'));
  const images = await openstack('image', 'list');
  assert.ok(images.length > 0, 'an image must be there at once');
  const file = join(house.dataDir, 'blob.raw');
  writeFileSync(file, Buffer.alloc(1 << 20, 7));
  const image = await openstack(
    'image',
    'create',
    '--disk-format',
    'raw',
    '--container-format',
    'bare',
    '--file',
    file,
    '--property',
    'os_distro=none',
    'blob',
  );
  assert.equal((await openstack('image', 'show', image.id)).status, 'active');
  const keyText = await plain('keypair', 'create', 'k');
  assert.match(keyText, /BEGIN (OPENSSH|RSA) PRIVATE KEY/);
  const network = await openstack('network', 'list');
  assert.ok(network.length > 0);
  const made = await openstack(
    'server',
    'create',
    '--image',
    'blob',
    '--flavor',
    'k1.nano',
    '--key-name',
    'k',
    '--property',
    'a=b',
    '--wait',
    'first',
  );
  assert.equal(made.status, 'ACTIVE');
  const shown = await openstack('server', 'show', 'first');
  assert.equal(shown.name, 'first');
  assert.match(JSON.stringify(shown.addresses), /172\.24\./);
  assert.ok((await openstack('server', 'list')).some((server: { Name: string }) => server.Name === 'first'));
  assert.ok((await plain('console', 'log', 'show', 'first')).length > 0);
  await plain('server', 'stop', 'first');
  await waitFor(
    async () => (await openstack('server', 'show', 'first')).status === 'SHUTOFF',
    30_000,
    () => 'not SHUTOFF',
    200,
  );
  await plain('server', 'start', 'first');
  await waitFor(
    async () => (await openstack('server', 'show', 'first')).status === 'ACTIVE',
    30_000,
    () => 'not ACTIVE',
    200,
  );
  await plain('server', 'reboot', '--wait', 'first');
  await plain('server', 'set', '--name', 'second', 'first');
  const port = await openstack('port', 'list', '--server', shown.id);
  assert.equal(port.length, 1);
  assert.ok((await admin('hypervisor', 'list')).length === 2);
  assert.ok((await admin('compute', 'service', 'list')).length >= 3);
  assert.ok((await admin('server', 'list', '--all-projects')).length === 1);
  await plain('server', 'delete', '--wait', 'second');
  assert.deepEqual(await openstack('server', 'list'), []);
  assert.deepEqual(await openstack('port', 'list'), []);
  await plain('keypair', 'delete', 'k');
  await plain('image', 'delete', 'blob');
});

/** Waits until a server shows a status and nothing is being done to it. */
async function becomes(name: string, status: string): Promise<void> {
  let last = '';
  await waitFor(
    async () => {
      const shown = await openstack('server', 'show', name);
      last = `${shown.status}, ${shown['OS-EXT-STS:task_state']}`;
      return shown.status === status && (shown['OS-EXT-STS:task_state'] ?? 'None') === 'None';
    },
    30_000,
    () => `${name} is ${last}, not ${status}`,
    200,
  );
}

test('the stock openstack client does to a server what can be done', { skip: requires('openstack-client'), timeout: 600_000 }, async () => {
  const image = (await openstack('image', 'list'))[0].Name;
  const boot = ['--image', image, '--flavor', 'k1.nano', '--network', 'default'];
  const { id } = await openstack(
    'server',
    'create',
    ...boot,
    '--description',
    'mine',
    '--config-drive',
    'True',
    '--wait',
    'one',
    ...at('2.90'),
  );
  for (const [word, status] of [
    ['suspend', 'SUSPENDED'],
    ['resume', 'ACTIVE'],
    ['rescue', 'RESCUE'],
    ['unrescue', 'ACTIVE'],
    ['shelve', 'SHELVED_OFFLOADED'],
    ['unshelve', 'ACTIVE'],
  ] as const) {
    await plain('server', word, 'one');
    await becomes('one', status);
  }
  await plain('server', 'lock', '--reason', 'because', 'one', ...at('2.73'));
  assert.equal((await openstack('server', 'show', 'one', ...at('2.73'))).locked_reason, 'because');
  await plain('server', 'unlock', 'one');
  await plain('server', 'rebuild', '--image', image, '--wait', 'one');
  await plain('server', 'resize', '--flavor', 'm1.tiny', '--wait', 'one');
  await plain('server', 'resize', 'confirm', 'one');
  await becomes('one', 'ACTIVE');
  await client('openstack', ['server', 'migrate', '--wait', id], 'openrc');
  await plain('server', 'resize', 'revert', 'one');
  await becomes('one', 'ACTIVE');
  await client('openstack', ['server', 'migrate', '--live-migration', '--wait', id, ...at('2.30')], 'openrc');
  await becomes('one', 'ACTIVE');

  await plain('volume', 'create', '--size', '1', 'disk');
  await waitFor(
    async () => (await openstack('volume', 'show', 'disk')).status === 'available',
    30_000,
    () => 'the volume does not come',
    200,
  );
  await plain('server', 'add', 'volume', 'one', 'disk', '--device', '/dev/vdb');
  await waitFor(
    async () => (await openstack('volume', 'show', 'disk')).status === 'in-use',
    30_000,
    () => 'the volume is not in use',
    200,
  );
  assert.equal((await openstack('server', 'volume', 'list', 'one')).length, 1);
  await plain('server', 'remove', 'volume', 'one', 'disk');
  await plain('port', 'create', '--network', 'default', 'second');
  await plain('server', 'add', 'port', 'one', 'second');
  await waitFor(
    async () => (await openstack('port', 'list', '--server', 'one')).length === 2,
    30_000,
    () => 'the port is not there',
    200,
  );
  const events = await openstack('server', 'event', 'list', 'one');
  assert.ok(events.length >= 15 && events.some((event: { Action: string }) => event.Action === 'live-migration'), JSON.stringify(events));
  const shown = await openstack('server', 'event', 'show', 'one', events[0]['Request ID']);
  assert.equal(shown.action, events[0].Action);
  assert.ok((await admin('server', 'migration', 'list')).length >= 2);
  assert.ok((await openstack('availability', 'zone', 'list', '--compute')).length >= 1);
  await plain('server', 'delete', '--wait', 'one');
  await plain('volume', 'delete', 'disk');
});

test('the stock nova client does the same in its own words', { skip: requires('nova-client'), timeout: 300_000 }, async () => {
  const image = (await openstack('image', 'list'))[0];
  assert.match(await client('nova', ['flavor-list']), /k1\.nano/);
  await client('nova', ['keypair-add', 'nk']).catch(() => client('nova', ['--os-compute-api-version', '2.91', 'keypair-add', 'nk']));
  const net = (await openstack('network', 'list'))[0];
  await client('nova', ['boot', '--image', image.ID, '--flavor', 'k1.nano', '--nic', `net-id=${net.ID}`, '--poll', 'old']);
  assert.match(await client('nova', ['list']), /old\s+\| ACTIVE/);
  assert.match(await client('nova', ['show', 'old']), /OS-EXT-STS:vm_state\s+\| active/);
  assert.ok((await client('nova', ['console-log', 'old'])).length > 0);
  await client('nova', ['stop', 'old']);
  await waitFor(
    async () => /old\s+\| SHUTOFF/.test(await client('nova', ['list'])),
    30_000,
    () => 'not SHUTOFF',
    200,
  );
  await client('nova', ['start', 'old']);
  await waitFor(
    async () => /old\s+\| ACTIVE/.test(await client('nova', ['list'])),
    30_000,
    () => 'not ACTIVE',
    200,
  );
  await client('nova', ['delete', 'old']);
  await waitFor(
    async () => !/old/.test(await client('nova', ['list'])),
    30_000,
    () => 'not deleted',
    200,
  );
});
