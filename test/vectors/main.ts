// Runs vectors, verdicts of the real Nova, against this project's filters and weighers: `npm run vectors -- [-v] [DIR or FILE]...`
// Exit 1: something differs; 2: nothing was run.
import { OWN_DATA, runFile, vectorFiles } from './run-vectors.ts';

const words = process.argv.slice(2);
const verbose = words.includes('-v');
const places = words.filter((word) => word !== '-v');
let [passed, failed, run] = [0, 0, 0];
for (const place of places.length > 0 ? places : [OWN_DATA]) {
  let files: string[] = [];
  try {
    files = vectorFiles(place);
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message : cause);
    failed++;
  }
  for (const path of files) {
    try {
      const result = runFile(path);
      if (!result) {
        console.log(`${path}: holds no vectors, left out`);
        continue;
      }
      run += result.passed + result.failed;
      passed += result.passed;
      failed += result.failed;
      console.log(`${result.name}: passed ${result.passed} failed ${result.failed}${result.missing ? ` (${result.missing})` : ''}`);
      for (const line of result.differences.slice(0, verbose ? undefined : 3)) console.log(`  ${line.slice(0, 400)}`);
    } catch (cause) {
      console.log(`${path}: ${cause instanceof Error ? cause.message : cause}`);
      failed++;
    }
  }
}
console.log(`passed ${passed} failed ${failed} total ${passed + failed}`);
process.exitCode = run === 0 ? 2 : failed > 0 ? 1 : 0;
