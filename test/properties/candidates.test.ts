import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidatesHold } from './candidates.ts';

test('allocation candidates of random small forests are those of trying everything', () => {
  const { served, nothing } = candidatesHold(1500);
  assert.ok(served > 150 && nothing > 150, `${served} wishes could be served, ${nothing} not`);
});
