import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type ComputeHouse, openComputeHouse } from '../support/compute-api.ts';
import { furnish } from '../support/compute-world.ts';
import { spoilBodies, spoilPlaces } from './hostile-requests.ts';

let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse();
  await furnish(house.db, house.clock);
});
after(() => house.close());

test('every field of every body, spoiled in every way', async () => {
  const asked = await spoilBodies(house, 1);
  assert.ok(asked > 7000, `only ${asked} bodies were sent`);
});

test('every odd path part and query of every route', async () => {
  const asked = await spoilPlaces(house, 1);
  assert.ok(asked > 5000, `only ${asked} places were asked`);
});
