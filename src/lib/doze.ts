import type { Clock } from './clock.ts';

/** Sleeps of a loop that looks for work: each ends by itself, by the word that there is some, or when `end` aborts. */
export interface Doze {
  wake(): void;
  /** Ends at once when the word came since the last sleep. After a word, and not before all of `gatherMs` is over, more words count as the same. */
  sleep(ms: number, gatherMs?: number): Promise<void>;
}

export function createDoze(clock: Clock, end: AbortSignal): Doze {
  let woken = false;
  let wake = () => {};
  return {
    wake() {
      woken = true;
      wake();
    },
    async sleep(ms, gatherMs = 0) {
      await new Promise<void>((resolve) => {
        const done = () => {
          cancel();
          end.removeEventListener('abort', done);
          resolve();
        };
        const cancel = clock.after(ms, done);
        end.addEventListener('abort', done);
        wake = done;
        if (woken || end.aborted) done();
      });
      if (woken && gatherMs > 0) await clock.sleep(gatherMs, end);
      woken = false;
    },
  };
}
