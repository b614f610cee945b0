import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openStruckHouse, struck } from './strikes.ts';

let house: Awaited<ReturnType<typeof openStruckHouse>>;
before(async () => {
  house = await openStruckHouse();
});
after(() => house.close());

for (const job of struck)
  test(`${job.kind}: a failure at each point of each step leaves the server as it was or the job done, and nothing else`, async () => {
    let fell = 0;
    for (const step of job.steps)
      for (const phase of ['before', 'middle', 'after'] as const) {
        const state = await house.strike(job, [{ kind: job.kind, step, phase, how: 'fails' }]);
        if (state === undefined) continue; // a step that is done at once has no middle
        fell++;
        assert.ok(job.failed.includes(state), `${step} ${phase}: ${state}`);
      }
    assert.ok(fell >= job.steps.length, 'the points were never reached');
  });
