import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Database } from '../../src/db/engine.ts';
import { openDatabase } from '../../src/db/open.ts';
import { audit } from '../audit.ts';
import { startFakeHosts } from '../house/fake-hosts.ts';
import { openPartsHouse, type PartsHouse } from '../house/parts.ts';
import { type Client, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { notToDisk } from '../servers/not-to-disk.ts';
import type { PrivateServer } from '../servers/private-server.ts';
import { startRabbitmq } from '../servers/rabbitmq.ts';

// A thousand creates at once at an edge, through the API of a cloud in parts: two schedulers and two conductors in processes of their own.
const CREATES = 1000;
/** On a loaded machine each of a thousand waits for all the others. */
const PATIENCE_MS = 600_000;
const HOSTS = 20;
const PLACES = 48;
const ROOM = HOSTS * PLACES;

interface Row {
  readonly vm_state: string;
  readonly host: string | null;
  readonly fault: string | null;
}

async function startSqlite(): Promise<Pick<PrivateServer, 'url' | 'stop'>> {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-creates-'));
  return { url: `sqlite:///${join(dir, 'cloud.db')}`, stop: async () => rmSync(dir, { recursive: true, force: true }) };
}

for (const [name, startDatabase, skip] of [
  ['sqlite', startSqlite, requires('rabbitmq')],
  ['mariadb', notToDisk.mariadb, requires('rabbitmq', 'mariadb')],
  ['postgres', notToDisk.postgres, requires('rabbitmq', 'postgres')],
] as const) {
  describe(`a thousand parallel creates on ${name}, two schedulers, two conductors`, { skip }, () => {
    let server: Pick<PrivateServer, 'url' | 'stop'>;
    let broker: PrivateServer;
    let house: PartsHouse;
    let hosts: Awaited<ReturnType<typeof startFakeHosts>>;
    let db: Database;
    let admin: Client;
    let demo: Client;
    let projectId: string;
    let imageRef: string;
    before(async () => {
      [server, broker] = await Promise.all([startDatabase(), startRabbitmq()]);
      const config = { DEFAULT: ['cpu_allocation_ratio = 1'], kilonova: [`fake_host_vcpus = ${PLACES}`] };
      house = await openPartsHouse({ databaseUrl: server.url, brokerUrl: broker.url, config });
      await house.start('api');
      await Promise.all(
        (['conductor', 'scheduler'] as const).flatMap((part) =>
          [1, 2].map((at) => house.start(part, { as: `${part}${at}`, extra: `[DEFAULT]\nhost = ${part}${at}\n` })),
        ),
      );
      hosts = await startFakeHosts(house, HOSTS);
      db = await openDatabase({ url: server.url });
      [admin, demo] = [await house.as('admin'), await house.as('demo')];
      const own = { headers: { 'x-subject-token': demo.token } };
      projectId = (await demo.identity.ask<{ token: { project: { id: string } } }>('GET', '/v3/auth/tokens', own)).body.token.project.id;
      imageRef = (await demo.image.ask<{ images: { id: string }[] }>('GET', '/v2/images')).body.images[0]?.id ?? '';
      const flavor = { name: 'place', id: 'place', ram: 128, vcpus: 1, disk: 1 };
      await admin.compute.ask('POST', '/flavors', { body: { flavor } });
      await quota({ instances: -1, cores: -1, ram: -1, server_group_members: -1 });
    });
    after(async () => {
      await db?.close();
      await hosts?.stop();
      await house?.remove();
      await Promise.all([server?.stop(), broker?.stop()]);
    });

    const quota = (set: object) => admin.compute.ask('PUT', `/os-quota-sets/${projectId}`, { body: { quota_set: set } });
    const group = async (policy: string, rules?: object) => {
      const body = { server_group: { name: policy, policy, ...(rules ? { rules } : {}) } };
      const headers = { 'openstack-api-version': 'compute 2.64' };
      return (await demo.compute.ask<{ server_group: { id: string } }>('POST', '/os-server-groups', { body, headers })).body.server_group
        .id;
    };
    /** A thousand POST at once; answers how often each status came. */
    const createAll = async (more: { group?: string; wish?: object } = {}) => {
      const answers = await Promise.all(
        Array.from({ length: CREATES }, async (_, at) => {
          const wish = { name: `one-${at}`, imageRef, flavorRef: 'place', networks: 'none', ...more.wish };
          const { status } = await demo.compute.ask('POST', '/servers', {
            body: { server: wish, ...(more.group ? { 'os:scheduler_hints': { group: more.group } } : {}) },
            headers: { 'openstack-api-version': 'compute 2.37' },
            expect: [202, 403],
            timeoutMs: PATIENCE_MS,
          });
          return status;
        }),
      );
      const counts: Record<number, number> = {};
      for (const status of answers) counts[status] = (counts[status] ?? 0) + 1;
      return counts;
    };
    /** What became of them, when nothing is on its way any more; every count of the cloud agrees with every other then. */
    const settled = async (): Promise<{ active: number; error: number; byHost: number[]; faults: string[] }> => {
      const busy = () => db.read.selectFrom('jobs').select('uuid').where('status', '<>', 'failed').limit(1).execute();
      await waitFor(
        async () => (await busy()).length === 0,
        PATIENCE_MS,
        () => 'jobs are still on their way',
        100,
      );
      const wrong = await audit(db, { drivers: {} });
      assert.deepEqual(wrong.slice(0, 10), []);
      const rows: Row[] = await db.read.selectFrom('servers').select(['vm_state', 'host', 'fault']).where('deleted', '=', 0).execute();
      const on = new Map<string, number>();
      for (const { host } of rows) if (host !== null) on.set(host, (on.get(host) ?? 0) + 1);
      const faults = rows.filter((row) => row.vm_state === 'error').map((row) => row.fault ?? '');
      return {
        active: rows.filter((row) => row.vm_state === 'active').length,
        error: faults.length,
        byHost: [...on.values()].sort((a, b) => a - b),
        faults,
      };
    };
    const clear = async () => {
      const living = () => db.read.selectFrom('servers').select('uuid').where('deleted', '=', 0).execute();
      const del = ({ uuid }: { uuid: string }) =>
        demo.compute.ask('DELETE', `/servers/${uuid}`, { expect: [204, 404], timeoutMs: PATIENCE_MS });
      await Promise.all((await living()).map(del));
      await waitFor(
        async () => (await living()).length === 0,
        PATIENCE_MS,
        () => 'servers are still there',
        100,
      );
      await settled();
    };
    const full = Array.from({ length: HOSTS }, () => PLACES);

    test('at the edge of capacity: every place is taken, and only the rest is refused', async () => {
      assert.deepEqual(await createAll(), { 202: CREATES });
      const { active, error, byHost, faults } = await settled();
      assert.deepEqual({ active, error, byHost }, { active: ROOM, error: CREATES - ROOM, byHost: full });
      for (const fault of faults) assert.match(fault, /No valid host was found.*Resources left 0/);
      // Each scheduler begins to count its decisions at a number of its own.
      const seeds = (await db.read.selectFrom('decisions').select('seed').orderBy('seed').execute()).map((row) => row.seed);
      assert.equal(seeds.filter((seed, at) => at === 0 || seed - (seeds[at - 1] ?? 0) > 100_000).length, 2, 'both schedulers decided');
      await clear();
    });

    test('at the edge of quota: so many are accepted and built, the rest is 403', async () => {
      await quota({ instances: 333 });
      const counts = await createAll();
      await quota({ instances: -1 });
      assert.deepEqual(counts, { 202: 333, 403: CREATES - 333 });
      const { active, error } = await settled();
      assert.deepEqual({ active, error }, { active: 333, error: 0 });
      await clear();
    });

    test('at the edge of an anti-affinity group: three members on each host', async () => {
      const id = await group('anti-affinity', { max_server_per_host: 3 });
      assert.deepEqual(await createAll({ group: id }), { 202: CREATES });
      const { active, byHost, faults } = await settled();
      assert.deepEqual({ active, byHost }, { active: 3 * HOSTS, byHost: full.map(() => 3) });
      for (const fault of faults) assert.match(fault, /ServerGroupAntiAffinityFilter left 0 of 20/);
      await clear();
    });

    test('at the edge of an affinity group: one host, to its last place', async () => {
      const id = await group('affinity');
      assert.deepEqual(await createAll({ group: id }), { 202: CREATES });
      const { active, error, byHost } = await settled();
      assert.deepEqual({ active, error, byHost }, { active: PLACES, error: CREATES - PLACES, byHost: [PLACES] });
      await clear();
    });

    for (const policy of ['soft-affinity', 'soft-anti-affinity'])
      test(`a ${policy} group refuses nobody for whom there is a place`, async () => {
        const id = await group(policy);
        assert.deepEqual(await createAll({ group: id }), { 202: CREATES });
        const { active, error, byHost } = await settled();
        assert.deepEqual({ active, error, byHost }, { active: ROOM, error: CREATES - ROOM, byHost: full });
        await clear();
      });
  });
}
