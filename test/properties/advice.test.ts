import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviceHolds } from './advice.ts';
import { sharpAdviceHolds } from './sharp-advice.ts';

test('whatever is refused, the first advice makes it fit; none names a host to tenants', () => {
  const kinds = adviceHolds(200);
  for (const [kind, times] of Object.entries(kinds)) assert.ok(times > 0, `no refusal had advice of the kind ${kind}`);
});

test('so it does where memory cells, devices, traits, aggregates, groups and hints refuse', () => {
  const kinds = sharpAdviceHolds(60);
  for (const [kind, times] of Object.entries(kinds)) assert.ok(times > 0, `no refusal had advice of the kind ${kind}`);
});
