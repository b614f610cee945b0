import { abortable } from './abortable.ts';

/** Work that several callers want at once is done once for each key, and all get its outcome. A caller leaves by its own signal
 *  (its promise rejects with the signal's reason); the work itself is aborted only when the last caller has left. */
export function createSharedWork<T>() {
  const running = new Map<string, { outcome: Promise<T>; callers: number; stop: AbortController }>();
  return async (key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    let entry = running.get(key);
    if (!entry) {
      const stop = new AbortController();
      const made = { callers: 0, stop, outcome: work(stop.signal) };
      const over = () => {
        if (running.get(key) === made) running.delete(key);
      };
      made.outcome.then(over, over);
      running.set(key, made);
      entry = made;
    }
    const mine = entry;
    mine.callers++;
    try {
      return await abortable(mine.outcome, signal);
    } finally {
      if (--mine.callers === 0) {
        if (running.get(key) === mine) running.delete(key); // a new caller begins anew instead of joining what is being aborted
        if (signal.aborted) {
          mine.stop.abort(signal.reason);
          await mine.outcome.catch(() => undefined); // what it left behind is cleaned up when we return
        }
      }
    }
  };
}
