import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { fuzz } from './fuzz.ts';
import { openWorld, type World } from './world.ts';

const REQUESTS = Number(process.env.REQUESTS ?? 20_000);
const SEED = Number(process.env.SEED ?? 20261121);

let world: World;
before(async () => {
  world = await openWorld();
  // So many servers as a fuzz may make, and no more.
  await world.ask(world.admin, 'compute', `PUT /os-quota-sets/${world.own.demoProject}`, { quota_set: { instances: 40 } });
  await world.ask(world.admin, 'compute', `PUT /os-quota-sets/${world.own.adminProject}`, {
    quota_set: { instances: 20, cores: -1, ram: -1 },
  });
});
after(() => world.close());

test(`${REQUESTS} requests over all shapes: no fault of ours, nothing of another project`, { timeout: 840_000 }, async () => {
  const seen = await fuzz(world, { seed: SEED, requests: REQUESTS });
  for (const status of [200, 202, 400, 403, 404, 409])
    assert.ok((seen[status] ?? 0) > REQUESTS / 1000, `${status}: ${JSON.stringify(seen)}`);
});
