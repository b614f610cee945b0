import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { imageAndFlavor } from '../bench/cloud.ts';
import { type Client, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';
import { startRabbitmq } from '../servers/rabbitmq.ts';

const statuses = async (client: Client) =>
  (await client.compute.ask<{ servers: { name: string; status: string }[] }>('GET', '/servers/detail')).body.servers
    .map((one) => `${one.name} ${one.status}`)
    .sort();

test('the broker goes and comes back: what was accepted meanwhile is built, what needs an answer says so', {
  skip: requires('rabbitmq'),
}, async () => {
  const broker = await startRabbitmq();
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-broker-'));
  try {
    const config = join(dir, 'nova.conf');
    writeFileSync(config, `[DEFAULT]\ntransport_url = ${broker.url}\n`);
    const house = await startHouse({ args: ['--hypervisor', 'fake', '--config', config], dataDir: join(dir, 'data') });
    try {
      const demo = await house.as('demo');
      const wish = await imageAndFlavor(demo);
      const create = async (name: string) =>
        (
          await demo.compute.ask<{ server: { id: string } }>('POST', '/servers', {
            body: { server: { name, ...wish, networks: 'auto' } },
            headers: { 'openstack-api-version': 'compute 2.37' },
          })
        ).body.server.id;
      const all = (names: readonly string[], ms: number) =>
        waitFor(
          async () => (await statuses(demo)).join() === names.map((name) => `${name} ACTIVE`).join(),
          ms,
          () => `they do not become ACTIVE:\n${house.output()}`,
        );
      const first = await create('a');
      await all(['a'], 15_000);
      await broker.kill();
      await create('b');
      await create('c');
      const health = async () => (await fetch(`${house.base}/healthz`)).status;
      await waitFor(
        async () => (await health()) === 503,
        10_000,
        () => 'health does not tell of the broker',
      );
      assert.deepEqual((await statuses(demo)).slice(1), ['b BUILD', 'c BUILD']);
      const began = performance.now();
      const console = await demo.compute.ask<{ conflictingRequest: { message: string } }>('POST', `/servers/${first}/action`, {
        body: { 'os-getConsoleOutput': {} },
        expect: [409],
      });
      assert.match(console.body.conflictingRequest.message, /is not ready/);
      assert.ok(performance.now() - began < 15_000);
      await broker.restart();
      await all(['a', 'b', 'c'], 60_000);
      assert.equal(await health(), 200);
      await create('d');
      await all(['a', 'b', 'c', 'd'], 15_000);

      // And one that ends while the broker is away ends in order.
      await broker.kill();
      const stopping = performance.now();
      assert.equal(await house.stop(), 0, house.output());
      assert.ok(performance.now() - stopping < 10_000, `${performance.now() - stopping} ms to stop`);
    } finally {
      await house.remove();
    }
  } finally {
    await broker.stop();
    rmSync(dir, { recursive: true, force: true });
  }
});
