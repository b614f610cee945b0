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
