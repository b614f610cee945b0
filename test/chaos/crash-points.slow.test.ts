import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { requires } from '../requires.ts';
import { type CrashHouse, openCrashHouse } from './crash-house.ts';
import { crashStories, dieAt, pointsOf } from './crash-stories.ts';

const skip = requires('rabbitmq');
/** Every how many points of a story one is struck; KILONOVA_CRASH_POINTS=all strikes each. */
const EVERY = process.env.KILONOVA_CRASH_POINTS === 'all' ? 1 : 6;
let house: CrashHouse;
before(async () => {
  if (!skip) house = await openCrashHouse();
});
after(() => house?.close());

let turn = 0;
for (const story of crashStories)
  test(`${story.name}: whoever dies at a point of it, by SIGKILL, is followed by another that brings it to its end`, {
    skip,
  }, async (t) => {
    const points = (await pointsOf(house, story)).filter(() => turn++ % EVERY === 0);
    t.diagnostic(`dies at ${points.join(', ')}`);
    const wrong: string[] = [];
    const missed: string[] = [];
    for (const point of points) {
      const lines = await dieAt(house, story, point);
      if (!lines) missed.push(point);
      for (const line of lines ?? []) wrong.push(`${point}: ${line}`);
    }
    t.diagnostic(`${points.length - missed.length} deaths${missed.length > 0 ? `; never came to ${missed.join(', ')}` : ''}`);
    wrong.push(...(await house.wipe()), ...house.wrong.splice(0));
    assert.deepEqual(wrong, []);
  });
