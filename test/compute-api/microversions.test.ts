import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { Version } from '../../src/lib/shape.ts';
import { computeRoutes } from '../../src/services/compute-api/app.ts';
import { computeMicroversions, microversions } from '../../src/services/compute-api/microversions.ts';

test('the list is whole and in order, with one sentence each', () => {
  assert.deepEqual(
    computeMicroversions.all,
    Array.from({ length: 104 }, (_, at) => `2.${at + 1}`),
  );
  for (const [version, sentence] of Object.entries(microversions)) assert.match(sentence, /^[A-Z].{20,200}\.$/, version);
});

test('every window of a shape or a route begins and ends at a listed version', () => {
  const after = new Set<string>([...computeMicroversions.all, '2.105']);
  for (const [key, route] of Object.entries(computeRoutes)) {
    const edges: Version[] = [...(route.body?.edges ?? []), ...(route.query?.edges ?? [])];
    for (const edge of [...edges, route.since, route.until])
      if (edge !== undefined) assert.ok(after.has(edge), `${key}: ${edge} has no sentence`);
  }
});

test('no source names a microversion without a sentence', () => {
  for (const file of globSync('src/services/compute-api/**/*.ts')) {
    for (const [, version] of readFileSync(file, 'utf8').matchAll(/'(2\.\d+)'/g)) {
      if (file.endsWith('extra-spec-rules.ts')) continue; // versions of other things
      assert.ok(version !== undefined && version in microversions, `${file}: ${version} has no sentence`);
    }
  }
});

test('handlers compare no versions: only the lists of behaviours and the shapes do', () => {
  for (const file of globSync('src/services/compute-api/**/*.ts')) {
    if (/(microversions|-behaviours)\.ts$|shapes\//.test(file)) continue;
    assert.doesNotMatch(readFileSync(file, 'utf8'), /\batLeast\(|\border\(/, `${file} compares versions; give the behaviour a name`);
  }
});
