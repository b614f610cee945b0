import { CloudError } from '../../model/errors.ts';
import { askedKey, type SaidNote, saidKey } from './deed-step.ts';
import { askIfPossible } from './move-steps.ts';
import type { JobSpec, Step } from './run-job.ts';

const TRIES = 5;

/** Clears a host of what a server left there when it moved. A host that is down does it by itself when it returns. */
export const tidyHost: JobSpec<'tidy-host'> = {
  get steps() {
    return [drop];
  },
  finish: (run) => run.commit(async () => ({ to: 'done' })),
  // The agent keeps the rest only for a while.
  fail: (run) => run.commit(async () => ({ to: 'failed' })),
};

const drop: Step<'tidy-host'> = {
  name: 'drop',
  async do(run) {
    const { host, epoch } = run.job.input;
    for (let at = 1; at <= TRIES; at++) {
      const step = `drop-${at}`;
      const said = run.progress.notes[saidKey(step)] as SaidNote | undefined; // written by server-reports.ts
      if (said?.error && at < TRIES) {
        if (run.progress.notes[askedKey(`drop-${at + 1}`)] !== undefined || run.progress.notes[`paused:${at}`]) continue;
        await run.commit(async () => ({ to: 'queued', notes: { [`paused:${at}`]: true }, inMs: 500 * 2 ** at }));
        return 'waiting';
      }
      return (await askIfPossible(run, { step, deed: 'dropGuest', args: {}, host, epoch })) === 'waiting' ? 'waiting' : 'finished';
    }
    throw new CloudError('tidy.impossible', 'internal', 'what was left on a host could not be cleared away');
  },
};
