// Replays the requests of the conformance catalogue against a cloud of its own: `npm run conformance -- DIR [words]`.
// Exit status: 0 all passed, 1 some failed, 2 nothing was run.
import { resolve } from 'node:path';
import { startHouse } from '../house/running.ts';
import { readCatalogue } from './cases.ts';
import { houseArguments } from './house.ts';
import { leftOut } from './recipe.ts';
import { runConformance } from './run.ts';

const [dir = '../shared/compute-api', ...only] = process.argv.slice(2);
const catalogue = await readCatalogue(resolve(dir));
if (!catalogue) {
  console.error(`${dir} holds no conformance catalogue (operations.json and samples/)`);
  process.exit(2);
}
const settings = houseArguments();
const house = await startHouse({ args: settings.args });
try {
  const tallies = await runConformance(house, catalogue, only, ({ operation, passed, failed }) => {
    console.log(`${failed.length === 0 ? 'ok  ' : 'FAIL'} ${operation} ${passed}/${passed + failed.length}`);
    for (const line of failed) console.log(`       ${line}`);
  });
  for (const [operation, why] of Object.entries(leftOut)) console.log(`left out ${operation}: ${why}`);
  const passed = tallies.reduce((sum, one) => sum + one.passed, 0);
  const failed = tallies.reduce((sum, one) => sum + one.failed.length, 0);
  console.log(`passed ${passed} failed ${failed} total ${passed + failed}`);
  process.exitCode = passed + failed === 0 ? 2 : failed > 0 ? 1 : 0;
} finally {
  await house.stop();
  await house.remove();
  settings.remove();
}
