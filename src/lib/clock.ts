/** Microseconds since 1970 UTC. A plain number: exact until the year 2255. */
export type Micros = number;

/** What time it is, and how to wait. Rooms take one as an argument and never ask the machine themselves. */
export interface Clock {
  now(): Micros;
  /** Resolves after `ms` milliseconds, or at once when the signal aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls `run` after `ms`; the answer cancels it. The timer alone keeps no process alive. */
  after(ms: number, run: () => void): () => void;
}

/** The machine's clock tells milliseconds: within one, each time told is a microsecond later than the one before, so that what happened later has the
 *  later time. */
let lastTold = 0;
export const systemClock: Clock = {
  now: () => {
    const wall = Date.now() * 1000;
    lastTold = lastTold >= wall && lastTold < wall + 999 ? lastTold + 1 : wall;
    return lastTold;
  },
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener('abort', done);
    }),
  after: (ms, run) => {
    const timer = setTimeout(run, ms);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** A clock that stands still until told to move: time in tests is an argument like any other. */
export interface ManualClock extends Clock {
  /** Moves on by `ms` and runs, in order, everything that became due. */
  advance(ms: number): Promise<void>;
}

export function manualClock(start: Micros = 1_700_000_000_000_000): ManualClock {
  let now = start;
  let waiting: { at: Micros; run: () => void }[] = [];
  const after = (ms: number, run: () => void) => {
    const entry = { at: now + ms * 1000, run };
    waiting.push(entry);
    return () => {
      waiting = waiting.filter((other) => other !== entry);
    };
  };
  return {
    now: () => now,
    after,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted) return resolve();
        const cancel = after(ms, resolve);
        signal?.addEventListener('abort', () => {
          cancel();
          resolve();
        });
      }),
    async advance(ms) {
      const until = now + ms * 1000;
      for (;;) {
        const next = waiting.filter((entry) => entry.at <= until).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        waiting = waiting.filter((entry) => entry !== next);
        now = Math.max(now, next.at);
        next.run();
        await new Promise((resolve) => setImmediate(resolve)); // lets what was woken run before time moves on
      }
      now = until;
    },
  };
}

/** Runs `work` now and then every `ms` until the signal aborts; an error is handed to `failed` and does not end it. */
export async function every(clock: Clock, ms: number, signal: AbortSignal, work: () => Promise<void>, failed: (cause: unknown) => void) {
  while (!signal.aborted) {
    try {
      await work();
    } catch (cause) {
      failed(cause);
    }
    await clock.sleep(ms, signal);
  }
}

/** `2026-11-21T01:02:03Z`: the form most of Nova's views print. */
export const isoSeconds = (at: Micros) => `${new Date(at / 1000).toISOString().slice(0, 19)}Z`;
/** `2026-11-21T01:02:03.000004`: the form of Nova's older views (services, actions, faults), without a zone. */
export const isoMicros = (at: Micros) =>
  `${new Date(Math.floor(at / 1000)).toISOString().slice(0, 19)}.${String(at % 1_000_000).padStart(6, '0')}`;
/** `2026-11-21T01:02:03.000004Z`: identity's form. */
export const isoMicrosZ = (at: Micros) => `${isoMicros(at)}Z`;
