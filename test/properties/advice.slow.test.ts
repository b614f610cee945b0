import { test } from 'node:test';
import { adviceHolds } from './advice.ts';

test('ten thousand random refusals: the first advice makes each fit', () => {
  adviceHolds(10_000);
});
