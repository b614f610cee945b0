import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { openDatabase } from '../../src/db/open.ts';
import { createFakeDriver } from '../../src/hypervisors/fake/fake-driver.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { CloudError } from '../../src/model/errors.ts';
import { audit } from '../audit.ts';
import { bootServer, imageAndFlavor, liftQuota } from '../bench/cloud.ts';
import { type Client, type House, loginAs, runKilonova, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { smallDisk } from '../servers/small-disk.ts';

interface Seen {
  readonly id: string;
  readonly status: string;
  readonly fault?: { readonly message: string };
}
const show = async (client: Client, id: string) => (await client.compute.ask<{ server: Seen }>('GET', `/servers/${id}`)).body.server;
const list = async (client: Client) => (await client.compute.ask<{ servers: Seen[] }>('GET', '/servers/detail')).body.servers;
const create = async (client: Client, name: string, fields: object = {}) =>
  (
    await client.compute.ask<{ server: { id: string } }>('POST', '/servers', {
      body: { server: { name, ...(await imageAndFlavor(client)), networks: 'auto', ...fields } },
      headers: { 'openstack-api-version': 'compute 2.37' },
    })
  ).body.server.id;
const settled = (client: Client, id: string, ms = 15_000) =>
  waitFor(
    async () => (await show(client, id)).status !== 'BUILD',
    ms,
    () => `${id} is still BUILD`,
  );
const gone = (client: Client, id: string) =>
  waitFor(
    async () => (await client.compute.ask('GET', `/servers/${id}`, { expect: [200, 404] })).status === 404,
    15_000,
    () => `${id} is not deleted`,
  );
const isError = (kind: string, sentence: RegExp) => (cause: unknown) =>
  cause instanceof CloudError && cause.kind === kind && sentence.test(cause.message);

/** Ends the house and holds everything it has kept against everything else. */
async function auditOf(house: House, drivers: readonly string[]): Promise<string[]> {
  if (house.child.exitCode === null && house.child.signalCode === null) assert.equal(await house.stop(), 0, house.output());
  const db = await openDatabase({ url: join(house.dataDir, 'cloud.db') });
  const hypervisors = await db.read.selectFrom('hypervisors').select('host').execute();
  const hosts =
    hypervisors.length > 1 ? hypervisors.map((row) => [row.host, join('agent', row.host)]) : [[hypervisors[0]?.host ?? '', 'agent']];
  assert.equal(hosts.length, drivers.length || 1);
  const open = Object.fromEntries(
    hosts.map(([host = '', dir = '']) => [
      host,
      createFakeDriver({ hostname: host, clock: systemClock, stateDir: join(house.dataDir, dir, 'fake') }),
    ]),
  );
  try {
    for (const driver of Object.values(open)) await driver.start();
    const ports = await db.read.selectFrom('net_ports').select('device_id').where('device_owner', 'like', 'compute:%').execute();
    return await audit(db, { drivers: open, portOwners: async () => ports.map((row) => row.device_id) });
  } finally {
    for (const driver of Object.values(open)) await driver.close();
    await db.close();
  }
}

async function inHouse(work: (house: House, demo: Client) => Promise<void>, options: Parameters<typeof startHouse>[0] = {}) {
  const house = await startHouse(options);
  try {
    await work(house, await house.as('demo'));
  } finally {
    await house.remove();
  }
}

describe('the database is locked by another process', () => {
  test('for two seconds: requests wait; for longer: 503 with a sentence, nothing half done, and it goes on', () =>
    inHouse(async (house, demo) => {
      const first = await bootServer(demo, 'before');
      const other = new DatabaseSync(join(house.dataDir, 'cloud.db'), { timeout: 10_000 }); // the cloud may be writing just then
      other.exec('BEGIN EXCLUSIVE');
      const began = performance.now();
      let ended = 0;
      const patient = create(demo, 'patient').finally(() => (ended = performance.now()));
      await waitFor(
        () => performance.now() - began > 2000,
        5000,
        () => 'time stands still',
      );
      assert.equal((await show(demo, first.id)).status, 'ACTIVE', 'reading waits for nobody');
      assert.equal(ended, 0);
      other.exec('COMMIT');
      const id = await patient;
      assert.ok(ended - began > 2000);
      await settled(demo, id);
      assert.equal((await show(demo, id)).status, 'ACTIVE');

      other.exec('BEGIN EXCLUSIVE');
      const tooLong = /The database does not answer\. Nothing was changed; try again in a moment\./;
      await Promise.all([
        assert.rejects(create(demo, 'hasty'), isError('unavailable', tooLong)),
        assert.rejects(demo.compute.ask('DELETE', `/servers/${id}`), isError('unavailable', tooLong)),
        assert.rejects(
          demo.network.ask('POST', '/v2.0/networks', { body: { network: { name: 'hasty' } } }),
          isError('unavailable', tooLong),
        ),
        assert.rejects(demo.image.ask('POST', '/v2/images', { body: { name: 'hasty' } }), isError('unavailable', tooLong)),
      ]);
      other.exec('COMMIT');
      other.close();
      assert.deepEqual(
        (await list(demo)).map((one) => one.status),
        ['ACTIVE', 'ACTIVE'],
      );
      await bootServer(demo, 'after');
      assert.deepEqual((await demo.network.ask<{ networks: object[] }>('GET', '/v2.0/networks?name=hasty')).body.networks, []);
      assert.deepEqual(await auditOf(house, []), []);
    }));
});

describe('the disk is full', { skip: requires('mount') }, () => {
  test('in the middle of an upload, and of a build: a sentence, nothing left, and it goes on when there is room', async () => {
    const disk = smallDisk(24);
    try {
      await inHouse(
        async (house, demo) => {
          const fields = { name: 'big', disk_format: 'raw', container_format: 'bare' };
          const image = (await demo.image.ask<{ id: string }>('POST', '/v2/images', { body: fields })).body.id;
          const upload = (bytes: number) =>
            demo.image.ask('PUT', `/v2/images/${image}/file`, {
              stream: Readable.from(
                (function* () {
                  for (let sent = 0; sent < bytes; sent += 65_536) yield Buffer.alloc(65_536, 1);
                })(),
              ),
              headers: { 'content-type': 'application/octet-stream' },
            });
          const status = async () => (await demo.image.ask<{ status: string }>('GET', `/v2/images/${image}`)).body.status;
          const stored = () => readdirSync(join(house.dataDir, 'images')).filter((name) => name.startsWith(image));
          await assert.rejects(upload(64 * 1024 * 1024), isError('tooLarge', /no room|full|space/i));
          assert.equal(await status(), 'queued');
          assert.deepEqual(stored(), []);
          await upload(1024 * 1024);
          assert.equal(await status(), 'active');

          // A build that has begun when the room runs out: it waits, or fails with its reason; either way nothing of it leaks.
          const slow = await create(demo, 'slow', { metadata: { 'fake:spawn': 'slow:1500' } });
          await waitFor(
            async () =>
              (await demo.compute.ask<{ server: Record<string, unknown> }>('GET', `/servers/${slow}`)).body.server[
                'OS-EXT-STS:task_state'
              ] === 'spawning',
            5000,
            () => 'it never spawns',
          );
          disk.fill();
          const noRoom = isError('unavailable', /The database has no room left\. Nothing was changed\./);
          const taken: string[] = [];
          await assert.rejects(async () => {
            for (let n = 0; n < 300; n++) taken.push(await create(demo, `full-${n}`, { user_data: 'x'.repeat(40_000) }));
          }, noRoom);
          assert.equal((await show(demo, slow)).id, slow, 'reading goes on');
          disk.empty();
          for (const id of [slow, ...taken]) await settled(demo, id);
          for (const server of await list(demo)) {
            assert.ok(server.status === 'ACTIVE' || (server.status === 'ERROR' && server.fault?.message), JSON.stringify(server));
            await demo.compute.ask('DELETE', `/servers/${server.id}`);
          }
          await gone(demo, slow);
          for (const id of taken) await gone(demo, id);
          await bootServer(demo, 'after');
          assert.deepEqual(await auditOf(house, []), []);
        },
        { dataDir: join(disk.dir, 'data') },
      );
    } finally {
      disk.remove();
    }
  });

  test('when it ends: it ends in order all the same, and a start without room says so', async () => {
    const disk = smallDisk(16);
    try {
      const dataDir = join(disk.dir, 'data');
      await inHouse(
        async (house, demo) => {
          await bootServer(demo, 'before');
          disk.fill();
          assert.equal(await house.stop(), 0, house.output());
          disk.empty();
          const again = await startHouse({ dataDir });
          assert.deepEqual(
            (await list(await again.as('demo'))).map((one) => one.status),
            ['ACTIVE'],
          );
          assert.equal(await again.stop(), 0);
          disk.fill();
          await assert.rejects(startHouse({ dataDir }), /ended with 1:\n(.*\n)*kilonova: .*(disk is full|no room)/);
          disk.empty();
          await (await startHouse({ dataDir })).stop();
        },
        { dataDir },
      );
    } finally {
      disk.remove();
    }
  });
});

test('an image whose bytes changed in the store: the build says so, the cache keeps nothing, delete works', () =>
  inHouse(async (house, demo) => {
    const fields = { name: 'spoiled', disk_format: 'raw', container_format: 'bare' };
    const imageRef = (await demo.image.ask<{ id: string }>('POST', '/v2/images', { body: fields })).body.id;
    const bytes = Buffer.alloc(4096, 1);
    const headers = { 'content-type': 'application/octet-stream' };
    await demo.image.ask('PUT', `/v2/images/${imageRef}/file`, { stream: Readable.from([bytes]), headers });
    const file = join(house.dataDir, 'images', imageRef);
    writeFileSync(file, Buffer.alloc(4096, 2));
    const id = await create(demo, 'victim', { imageRef });
    await settled(demo, id);
    const server = await show(demo, id);
    assert.equal(server.status, 'ERROR');
    assert.match(server.fault?.message ?? '', new RegExp(`${imageRef}.*sha512`));
    assert.doesNotMatch(
      readFileSync(join(house.dataDir, 'agent', 'fake', 'fake-guests.jsonl'), 'utf8'),
      new RegExp(`"image":"${imageRef}`),
    );
    writeFileSync(file, bytes);
    const fine = await create(demo, 'fine', { imageRef });
    await settled(demo, fine);
    assert.equal((await show(demo, fine)).status, 'ACTIVE');
    await demo.compute.ask('DELETE', `/servers/${id}`);
    await gone(demo, id);
    assert.deepEqual(await auditOf(house, []), []);
  }));

test('kill -9 in the middle of 30 builds, twice: every server is ACTIVE or says why not, nothing leaks', async () => {
  const args = ['--hypervisor', 'fake', '--hosts', '3'];
  let house = await startHouse({ args });
  try {
    await liftQuota(house);
    let demo = await house.as('demo');
    const wishes = Array.from({ length: 30 }, (_, n) => ({ 'fake:spawn': n % 10 === 9 ? 'fail' : `slow:${100 + n * 20}` }));
    const ids = await Promise.all(wishes.map((metadata, n) => create(demo, `s-${n}`, { metadata })));
    for (const share of [5, 15]) {
      await waitFor(
        async () => (await list(demo)).filter((one) => one.status !== 'BUILD').length >= share,
        20_000,
        () => `fewer than ${share} are built`,
        5,
      );
      await house.kill();
      assert.ok(readFileSync(join(house.dataDir, 'endpoint'), 'utf8'), 'what a killed one leaves');
      house = await startHouse({ args, dataDir: house.dataDir });
      demo = await house.as('demo');
    }
    for (const id of ids) await settled(demo, id, 60_000);
    const servers = await list(demo);
    assert.equal(servers.length, 30);
    for (const server of servers)
      assert.ok(server.status === 'ACTIVE' || (server.status === 'ERROR' && server.fault?.message), JSON.stringify(server));
    assert.equal(servers.filter((one) => one.status === 'ERROR').length, 3);
    for (const id of ids.slice(0, 10)) await demo.compute.ask('DELETE', `/servers/${id}`);
    for (const id of ids.slice(0, 10)) await gone(demo, id);
    assert.deepEqual(await auditOf(house, ['1', '2', '3']), []);
  } finally {
    await house.remove();
  }
});

test('SIGINT and SIGTERM end it with 0 within seconds: idle or in the middle of builds', async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    const house = await startHouse();
    try {
      const demo = await house.as('demo');
      const ids = await Promise.all([1, 2, 3].map((n) => create(demo, `s-${n}`, { metadata: { 'fake:spawn': 'slow:20000' } })));
      await waitFor(
        async () => (await list(demo)).length === 3,
        5000,
        () => 'no servers',
      );
      const began = performance.now();
      house.child.kill(signal);
      await waitFor(
        () => house.child.exitCode !== null || house.child.signalCode !== null,
        8000,
        () => `still there after ${signal}:\n${house.output()}`,
      );
      assert.deepEqual([house.child.exitCode, house.child.signalCode], [0, null], house.output());
      assert.ok(performance.now() - began < 5000, `${performance.now() - began} ms`);
      assert.throws(() => readFileSync(join(house.dataDir, 'endpoint')), /ENOENT/);
      const again = await startHouse({ dataDir: house.dataDir });
      const client = await again.as('demo');
      for (const id of ids) await client.compute.ask('DELETE', `/servers/${id}`);
      for (const id of ids) await gone(client, id);
      assert.deepEqual(await auditOf(again, []), []);
    } finally {
      await house.remove();
    }
  }
});

for (const sign of ['.lock', 'cloud.db', 'token-keys.pem', 'agent'])
  test(`SIGTERM in the middle of a first start, when ${sign} is there: 0, and the next start goes on`, async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'kilonova-cut-'));
    try {
      const until = () => existsSync(join(dataDir, sign));
      const args = ['up', '--data-dir', dataDir, '--port', '0', '--hypervisor', 'fake'];
      const { status, output } = await runKilonova(args, { until, signal: 'SIGTERM' });
      assert.equal(status, 0, output);
      const house = await startHouse({ dataDir });
      await bootServer(await house.as('demo'), 'after');
      assert.deepEqual(await auditOf(house, []), []);
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  });

test('a stale endpoint file is gone before anything else, and whoever waits for the cloud never reads the old one', () =>
  inHouse(async (house, demo) => {
    await bootServer(demo, 'before');
    await house.kill();
    const stale = join(house.dataDir, 'endpoint');
    const text = readFileSync(stale, 'utf8');
    const again = await startHouse({ dataDir: house.dataDir });
    try {
      assert.notEqual(readFileSync(stale, 'utf8'), text);
      const client = await loginAs(again.base, house.dataDir, 'demo');
      assert.equal((await list(client))[0]?.status, 'ACTIVE');
    } finally {
      await again.stop();
    }
  }));
