import { test } from 'node:test';
import { candidatesHold } from './candidates.ts';

test('allocation candidates of a hundred thousand random small forests are those of trying everything', () => {
  candidatesHold(100_000);
});
