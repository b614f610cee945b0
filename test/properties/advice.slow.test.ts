import { test } from 'node:test';
import { adviceHolds } from './advice.ts';
import { sharpAdviceHolds } from './sharp-advice.ts';

test('ten thousand random refusals: the first advice makes each fit', () => {
  adviceHolds(10_000);
});

test('three thousand more, of memory cells, devices, traits, aggregates, groups and hints', () => {
  sharpAdviceHolds(3_000);
});
