import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidatesHold } from './candidates.ts';

test('allocation candidates of random small forests are those of trying everything', () => {
  const { served, nothing } = candidatesHold(3000);
  assert.ok(served > 300 && nothing > 300, `${served} wishes could be served, ${nothing} not`);
});
