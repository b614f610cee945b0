import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { liftQuota } from '../bench/cloud.ts';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
interface Decision {
  readonly id: string;
  readonly placed: boolean;
  readonly smallest_change: string;
  readonly nearest_miss: { host?: string; why: string } | null;
  readonly chosen?: readonly { host: string; weight: number }[];
  readonly table?: {
    ranked: { order: number; host: string; weight: number; weighers: { product: number }[] }[];
    refused: { filter: string; why: string }[];
  } | null;
  readonly table_state?: string;
}
let house: House;
let demo: Client;
let admin: Client;
let image: string;
before(async () => {
  house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '3'] });
  await liftQuota(house);
  [demo, admin] = [await house.as('demo'), await house.as('admin')];
  image = (await demo.image.ask<{ images: { id: string }[] }>('GET', '/v2/images')).body.images[0]!.id;
  const flavor = { name: 'k1.giant', id: 'giant', ram: 4_000_000, vcpus: 4, disk: 10 };
  await admin.compute.ask('POST', '/flavors', { body: { flavor } });
  await demo.compute.ask('GET', '/flavors/giant');
});
after(async () => {
  await house?.stop();
  await house?.remove();
});

async function create(name: string, flavorRef: string, until: string): Promise<string> {
  const { id } = (
    await demo.compute.ask<{ server: { id: string } }>('POST', '/servers', {
      body: { server: { name, imageRef: image, flavorRef, networks: 'auto' } },
      headers: { 'openstack-api-version': 'compute 2.37' },
    })
  ).body.server;
  const status = async () => (await demo.compute.ask<{ server: { status: string } }>('GET', `/servers/${id}`)).body.server.status;
  await waitFor(
    async () => (await status()) === until,
    10_000,
    () => `${name} did not become ${until}`,
  );
  return id;
}
const decisionsOf = async (client: Client, server: string) =>
  (await client.compute.ask<{ scheduler_decisions: Decision[] }>('GET', `/os-scheduler-decisions?server_id=${server}`)).body
    .scheduler_decisions;
const show = async (client: Client, id: string) =>
  (await client.compute.ask<{ scheduler_decision: Decision }>('GET', `/os-scheduler-decisions/${id}`)).body.scheduler_decision;

test('a placed server: operators see every host with its weighers, its owner sees counts and no host', async () => {
  const server = await create('one', '1', 'ACTIVE');
  await create('two', '1', 'ACTIVE');
  const [own] = await decisionsOf(demo, server);
  assert.ok(own?.placed);
  assert.doesNotMatch(JSON.stringify(own), /fake\d/);
  assert.doesNotMatch(JSON.stringify(await show(demo, own.id)), /fake\d/);
  const full = await show(admin, own.id);
  assert.equal(full.table_state, 'replayed');
  assert.deepEqual(
    full.table?.ranked.map(({ order, host, weight }) => [order, host, weight]),
    full.chosen?.map(({ host, weight }, at) => [at + 1, host, weight]),
  );
  for (const { weight, weighers } of full.table?.ranked ?? []) {
    let sum = 0;
    for (const { product } of weighers) sum += product;
    assert.equal(sum, weight);
  }
  const printed = await promisify(execFile)(process.execPath, [MAIN, 'explain', 'one', '--data-dir', house.dataDir]);
  assert.match(printed.stdout, /chosen: fake\d \(\d\.\d+\)/);
  assert.match(printed.stdout, /order +host +RAM +CPU +Disk .*weight/);
});

test('a refused one: the table says who refused each host, and the first advice, asked for, fits', async () => {
  const server = await create('giant', 'giant', 'ERROR');
  const [own] = await decisionsOf(demo, server);
  assert.equal(own?.placed, false);
  assert.match(own?.smallest_change ?? '', /^A flavor of at most \d+ VCPU/);
  assert.deepEqual(Object.keys(own?.nearest_miss ?? {}), ['why']);
  const full = await show(admin, own!.id);
  assert.deepEqual(
    full.table?.refused.map(({ filter }) => filter),
    ['Resources', 'Resources', 'Resources'],
  );
  const dry = async (flavor: string, more: object = {}) =>
    (
      await admin.compute.ask<{
        dry_run: { fits: boolean; servers: { host: string | null }[]; advice: { request: { amounts: Record<string, number> } } | null };
      }>('POST', '/os-scheduler-decisions/dry-run', { body: { flavor, image, ...more } })
    ).body.dry_run;
  const refused = await dry('giant');
  assert.deepEqual([refused.fits, refused.servers[0]?.host], [false, null]);
  const { VCPU: vcpus, MEMORY_MB: ram, DISK_GB: disk } = refused.advice!.request.amounts;
  await admin.compute.ask('POST', '/flavors', { body: { flavor: { name: 'k1.fits', id: 'fits', ram, vcpus, disk } } });
  const fitting = await dry('fits');
  assert.equal(fitting.fits, true);
  assert.match(fitting.servers[0]?.host ?? '', /^fake\d$/);
  const several = await dry('1', { count: 3 });
  assert.equal(new Set(several.servers.map(({ host }) => host)).size, 3);
  await create('fits', 'fits', 'ACTIVE'); // the dry run has taken nothing
});

test('other projects see no decision, users cannot try out, and what is nowhere is a 404', async () => {
  const stranger = '/os-scheduler-decisions/00000000-0000-4000-8000-000000000000';
  assert.equal((await demo.compute.ask('GET', stranger, { expect: [404] })).status, 404);
  await demo.compute.ask('POST', '/os-scheduler-decisions/dry-run', { body: { flavor: '1' }, expect: [403] });
  await demo.compute.ask('GET', '/os-scheduler-decisions', { expect: [400] });
  await admin.compute.ask('POST', '/os-scheduler-decisions/dry-run', { body: { flavor: 'none' }, expect: [400, 404] });
});

test('after a restart a decision is made again as it was, or is said to be past what is kept; never another one', async () => {
  const [one, giant] = [await create('before', '1', 'ACTIVE'), await create('too-large', 'giant', 'ERROR')];
  const ids = [(await decisionsOf(admin, one))[0]?.id ?? '', (await decisionsOf(admin, giant))[0]?.id ?? ''];
  const tables = async () => Promise.all(ids.map(async (id) => (await show(admin, id)).table));
  const before = await tables();
  assert.ok(before.every(Boolean));
  const again = async (end: 'stop' | 'kill') => {
    await house[end]();
    house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '3'], dataDir: house.dataDir });
    [demo, admin] = [await house.as('demo'), await house.as('admin')];
  };
  await again('stop');
  assert.deepEqual(await tables(), before);
  assert.equal((await show(admin, ids[0] ?? '')).table_state, 'replayed');
  await create('after', '1', 'ACTIVE');
  await again('stop');
  assert.deepEqual(await tables(), before);
  const late = await create('last', '1', 'ACTIVE');
  const last = (await decisionsOf(admin, late))[0]?.id ?? '';
  const { table } = await show(admin, last);
  await again('kill');
  assert.deepEqual(await tables(), before);
  const shown = await show(admin, last);
  assert.deepEqual([shown.table, shown.table_state], shown.table ? [table, 'replayed'] : [null, 'past retention']);
});
