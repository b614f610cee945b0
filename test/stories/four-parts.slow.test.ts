import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { get } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { CloudError } from '../../src/model/errors.ts';
import { openPartsHouse, type PartName, type PartsHouse } from '../house/parts.ts';
import { type Client, loginAs, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { startMariadb } from '../servers/mariadb.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PrivateServer } from '../servers/private-server.ts';
import { startRabbitmq } from '../servers/rabbitmq.ts';

const FOUR: readonly PartName[] = ['agent', 'scheduler', 'conductor', 'api']; // the unkindest order
interface ServerJson {
  id: string;
  status: string;
  fault?: { message: string };
  addresses: Record<string, { addr: string }[]>;
}

async function boot(user: Client, name: string): Promise<string> {
  const { images } = (await user.image.ask<{ images: { id: string }[] }>('GET', '/v2/images')).body;
  const body = { server: { name, imageRef: images[0]?.id, flavorRef: '1' } };
  return (await user.compute.ask<{ server: { id: string } }>('POST', '/servers', { body })).body.server.id;
}
async function becomes(user: Client, id: string, status: string): Promise<ServerJson> {
  let last: ServerJson | undefined;
  await waitFor(
    async () => {
      last = (await user.compute.ask<{ server: ServerJson }>('GET', `/servers/${id}`)).body.server;
      if (last.status === 'ERROR' && status !== 'ERROR') throw new Error(`in error: ${last.fault?.message}`);
      return last.status === status;
    },
    20_000,
    () => `server is ${last?.status} instead of ${status}`,
  );
  return last as ServerJson; // waitFor threw otherwise
}
const act = (user: Client, id: string, body: object) => user.compute.ask<{ output: string }>('POST', `/servers/${id}/action`, { body });
const isStatus = (status: number) => (cause: unknown) => cause instanceof CloudError && cause.params.status === status;

for (const [name, startDatabase] of [
  ['mariadb', startMariadb],
  ['postgres', startPostgres],
] as const) {
  const skip = requires('rabbitmq', name);
  describe(`four processes on rabbitmq and ${name}`, { skip }, () => {
    let database: PrivateServer;
    let broker: PrivateServer;
    let house: PartsHouse;
    before(async () => {
      [database, broker] = await Promise.all([startDatabase(), startRabbitmq()]);
      house = await openPartsHouse({ databaseUrl: database.url, brokerUrl: broker.url });
    });
    after(async () => {
      await house?.remove();
      await Promise.all([database?.stop(), broker?.stop()]);
    });

    test('started in any order, before database and broker, they say what they wait for, and end when told to', async () => {
      // Once is enough for the time it takes.
      if (name !== 'mariadb') return void (await Promise.all(FOUR.map((part) => house.start(part))));
      await Promise.all([database.kill(), broker.kill()]);
      const parts = FOUR.map((part) => house.begin(part));
      const [agent, scheduler, conductor, api] = parts as [(typeof parts)[0], (typeof parts)[0], (typeof parts)[0], (typeof parts)[0]];
      for (const [part, sentence] of [
        [agent, /waiting for the message broker at rabbit:\/\/127\.0\.0\.1:\d+\/; why .*agent\.log/],
        [agent, /waiting for the identity service at http/],
        [scheduler, /waiting for the database: /],
        [conductor, /waiting for the database: /],
        [api, /waiting for the database: /],
      ] as const)
        await waitFor(
          () => sentence.test(part.output()),
          20_000,
          () => `not said: ${sentence}\n${part.output()}`,
        );
      assert.ok(!agent.output().includes('guest:guest'), 'no password is told');
      const began = performance.now();
      assert.deepEqual(await house.stop(), { agent: 0, scheduler: 0, conductor: 0, api: 0 });
      assert.ok(performance.now() - began < 6000, `took ${performance.now() - began} ms`);
      const again = FOUR.map((part) => house.begin(part));
      await Promise.all([database.restart(), broker.restart()]);
      await Promise.all(again.map((part) => part.ready()));
    });

    test('a server boots, stops, starts, tells its console and is deleted', async () => {
      const user = await house.as('demo');
      const id = await boot(user, 'one');
      const active = await becomes(user, id, 'ACTIVE');
      const address = active.addresses.default?.[0]?.addr ?? '';
      assert.match(address, /^172\.24\./);
      const { output } = (await act(user, id, { 'os-getConsoleOutput': { length: 2 } })).body;
      assert.match(output, new RegExp(`eth0: .* ${address}\n.*one login:`));
      await act(user, id, { 'os-stop': null });
      await becomes(user, id, 'SHUTOFF');
      await act(user, id, { 'os-start': null });
      await becomes(user, id, 'ACTIVE');
      await user.compute.ask('DELETE', `/servers/${id}`);
      await waitFor(
        () =>
          user.compute.ask('GET', `/servers/${id}`).then(
            () => false,
            (cause) => isStatus(404)(cause),
          ),
        20_000,
        () => 'the server is still there',
      );
      const { services } = (
        await (await house.as('admin')).compute.ask<{ services: { binary: string; state: string }[] }>('GET', '/os-services')
      ).body;
      assert.deepEqual(services.map((one) => `${one.binary} ${one.state}`).sort(), [
        'nova-compute up',
        'nova-conductor up',
        'nova-scheduler up',
      ]);
    });

    test('another API process with two workers: tokens are good in both, and revoked in both within a second', async () => {
      // The image service stays with the first: data lie in its data dir.
      const extra = `[DEFAULT]\nosapi_compute_listen_port = 0\nosapi_compute_workers = 2\n[kilonova]\nbuiltin_services = identity, network\n[glance]\nendpoint_override = ${house.base}/image\n`;
      const other = await house.start('api', { as: 'api2', extra });
      assert.match(other.output(), /admin's password is not the one in this data dir .*\n.*ready: http:\/\/127\.0\.0\.1:\d+ \(2 workers\)/);
      assert.equal(existsSync(join(house.dataDir('api2'), 'openrc')), false);
      const second = readFileSync(join(house.dataDir('api2'), 'endpoint'), 'utf8').trim();
      const user = await loginAs(second, house.dataDir('api'), 'demo');
      // Each connection may reach another worker.
      const ask = (base: string) =>
        new Promise<number | undefined>((resolve, reject) => {
          const options = { agent: false as const, headers: { 'x-auth-token': user.token } };
          get(`${base}/v2.1/servers`, options, (answer) => resolve(answer.resume().statusCode)).on('error', reject);
        });
      const all = async () => {
        const answers = new Set<number | undefined>();
        for (let turn = 0; turn < 8; turn++) for (const base of [house.base, second]) answers.add(await ask(base));
        return [...answers];
      };
      assert.deepEqual(await all(), [200]);
      const id = await boot({ ...user, image: (await house.as('demo')).image }, 'by-another-door');
      await becomes(user, id, 'ACTIVE');
      await user.compute.ask('DELETE', `/servers/${id}`);
      await user.identity.ask('DELETE', '/v3/auth/tokens', { headers: { 'x-subject-token': user.token } });
      await systemClock.sleep(1000);
      assert.deepEqual(await all(), [401]);
      // A worker that dies is replaced, and the door stays open meanwhile.
      const workers = () => readFileSync(`/proc/${other.child.pid}/task/${other.child.pid}/children`, 'utf8').trim().split(' ').map(Number);
      const [first = 0, ...rest] = workers();
      assert.equal(rest.length, 1);
      process.kill(first, 'SIGKILL');
      assert.deepEqual(await all(), [401]);
      await waitFor(
        () => workers().length === 2 && !workers().includes(first),
        10_000,
        () => 'no other worker took its place',
      );
      assert.equal(await other.stop(), 0);
      assert.equal(existsSync(join(house.dataDir('api2'), 'endpoint')), false);
    });

    test('metadata apart with two workers; ec2 and a missing password are refused with a sentence', async () => {
      const metadata = await house.start('metadata', { extra: '[DEFAULT]\nmetadata_workers = 2\nmetadata_listen_port = 0\n' });
      const port = /port (\d+) \(2 workers\)/.exec(metadata.output())?.[1];
      assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 400, 'it asks for X-Instance-ID');
      assert.equal(await metadata.stop(), 0);
      for (const [part, extra, sentence] of [
        ['api', '[DEFAULT]\nenabled_apis = ec2, osapi_compute\n', /^kilonova: enabled_apis names ec2: the EC2 API left Nova in 13\.0\.0/],
        ['api', '[DEFAULT]\nosapi_compute_workers = 0\n', /osapi_compute_workers = 0 must be at least 1/],
        ['conductor', '[keystone_authtoken]\npassword =\n', /auth_url and password are needed/],
        ['agent', '[DEFAULT]\nsql_connection = x\nosapi_compute_workers = none\n', /is not an integer/],
      ] as const) {
        const refused = house.begin(part, { as: 'refused', extra });
        assert.equal(await refused.ended, 1);
        assert.match(refused.output(), sentence);
        assert.equal(refused.output().trim().split('\n').length, 1, refused.output());
      }
      const old = await house.start('scheduler', { as: 'old', extra: '[DEFAULT]\nscheduler_max_attempts = 2\n' });
      assert.equal(old.output().split('scheduler_max_attempts is an older name; write [scheduler] max_attempts').length, 2);
      assert.equal(await old.stop(), 0);
    });

    test('SIGTERM ends each within seconds, and nothing was out of order', async () => {
      for (const part of FOUR) {
        const began = performance.now();
        assert.equal(await house.running.get(part)?.stop(), 0);
        assert.ok(performance.now() - began < 3000, `${part} took ${performance.now() - began} ms`);
      }
      assert.deepEqual(
        house.troubles('scheduler').filter((line) => !/message bus was lost|broker/.test(line)),
        [],
      );
    });
  });
}
