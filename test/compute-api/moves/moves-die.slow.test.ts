import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openStruckHouse, struck } from './strikes.ts';

let house: Awaited<ReturnType<typeof openStruckHouse>>;
before(async () => {
  house = await openStruckHouse();
});
after(() => house.close());

for (const job of struck) {
  test(`${job.kind}: a conductor that dies at any point is followed by one that ends it`, async () => {
    for (const step of job.steps)
      for (const phase of ['before', 'middle', 'after'] as const) {
        const state = await house.strike(job, [{ kind: job.kind, step, phase, how: 'dies' }]);
        if (state !== undefined) assert.equal(state, job.result, `${step} ${phase}`);
      }
  });
  test(`${job.kind}: one that dies while it undoes is followed by one that undoes the rest`, async () => {
    const last = job.steps.at(-1) ?? '';
    for (const step of job.steps) {
      const state = await house.strike(job, [
        { kind: job.kind, step: last, phase: 'before', how: 'fails' },
        { kind: job.kind, step, phase: 'undo', how: 'dies' },
      ]);
      if (state !== undefined) assert.ok(job.failed.includes(state), `${step}: ${state}`);
    }
  });
}
