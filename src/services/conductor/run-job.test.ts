import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { openFresh } from '../../../test/support/fresh-database.ts';
import type { Database } from '../../db/engine.ts';
import { insertJobs, takeJobs } from '../../db/tables/compute/jobs.ts';
import { type ManualClock, manualClock } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import { silentLog } from '../../lib/log.ts';
import { neighbourUnavailable } from '../../model/errors.ts';
import type { Job } from '../../model/jobs.ts';
import type { Server } from '../../model/server.ts';
import { conductorDefaults } from './parts.ts';
import { type JobSpec, openRun, type Parts, runJob } from './run-job.ts';

let dir: string;
let db: Database;
let clock: ManualClock;
beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kilonova-run-'));
  db = await openFresh(join(dir, 'cloud.db'));
  clock = manualClock();
});
afterEach(async () => {
  await db.close();
  rmSync(dir, { recursive: true });
});

/** Runs a job as often as it comes back, `pauseMs` apart, and answers how it ended. `away`: whether its service is away at this call of a step. */
async function ends(pauseMs: number, away: (call: number) => boolean): Promise<'done' | 'failed'> {
  const serverUuid = newUuid();
  const input = { serverUuid, action: 'stop' as const, args: {}, vmStateBefore: 'active' };
  const context = { userId: 'u', projectId: 'p', roles: [], requestId: 'req-1' };
  const deadlineSeconds = 100_000;
  await db.transaction((tx) => insertJobs(tx, [{ kind: 'act-on-server', serverUuid, input, context, now: clock.now(), deadlineSeconds }]));
  const options = { ...conductorDefaults, name: 'c', host: 'c' };
  const parts = { db, clock, options, log: silentLog, changed: () => {} } as unknown as Parts; // no step asks for more
  let calls = 0;
  let end: 'done' | 'failed' | undefined;
  const step = (name: string) => ({
    name,
    async do() {
      if (away(calls++)) throw neighbourUnavailable({ service: 'network' });
      return 'finished' as const;
    },
  });
  const finish = (to: 'done' | 'failed') => async (run: Parameters<JobSpec<'act-on-server'>['finish']>[0]) => {
    end = to;
    await run.commit(async () => ({ to }));
  };
  const spec: JobSpec<'act-on-server'> = { steps: [step('first'), step('second')], finish: finish('done'), fail: finish('failed') };
  while (end === undefined) {
    const take = { owner: 'c', now: clock.now(), until: clock.now() + 1, limit: 1, busy: [], all: true };
    const [job] = (await db.transaction((tx) => takeJobs(tx, take))) as Job<'act-on-server'>[]; // the only one there is
    if (job) await runJob(spec, openRun(parts, job, {} as Server));
    await clock.advance(pauseMs);
  }
  return end;
}

test('a service that is away for minutes on end fails a job', async () => {
  assert.equal(await ends(10_000, () => true), 'failed');
});

test('one that is away for a moment, and much later for another, does not', async () => {
  assert.equal(await ends(400_000, (call) => call === 0 || call === 2), 'done');
});
