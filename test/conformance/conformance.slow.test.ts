import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startHouse } from '../house/running.ts';
import { catalogueFolder, noCatalogue } from '../support/catalogue.ts';
import { readCatalogue } from './cases.ts';
import { houseArguments } from './house.ts';
import { runPolicyMatrix } from './policy.ts';
import { runConformance } from './run.ts';

/** How many requests of the catalogue were answered as they should be when this was written: the number may only rise. */
const FLOOR = 1413;

test('every request of the catalogue is answered as it says', { skip: noCatalogue }, async () => {
  const catalogue = await readCatalogue(catalogueFolder);
  assert.ok(catalogue);
  const settings = houseArguments();
  const house = await startHouse({ args: settings.args });
  try {
    const tallies = await runConformance(house, catalogue, [], () => undefined);
    const failed = tallies.flatMap((one) => one.failed.map((line) => `${one.operation} ${line}`));
    assert.deepEqual(failed, []);
    assert.ok(tallies.reduce((sum, one) => sum + one.passed, 0) >= FLOOR);
  } finally {
    await house.stop();
    await house.remove();
    settings.remove();
  }
});

test('everybody may do what the policies let them, and nothing else', { skip: noCatalogue }, async () => {
  const catalogue = await readCatalogue(catalogueFolder);
  assert.ok(catalogue);
  const settings = houseArguments();
  const house = await startHouse({ args: settings.args });
  try {
    const { asked, wrong } = await runPolicyMatrix(house, catalogue);
    assert.deepEqual(wrong, []);
    assert.ok(asked > 1000, `only ${asked} questions were asked`);
  } finally {
    await house.stop();
    await house.remove();
    settings.remove();
  }
});
