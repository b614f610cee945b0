import type { Clock } from './clock.ts';

/** Repeats `work` while `again` says so, waiting twice as long each time (with a cap). The last error is thrown as it is. */
export async function retry<T>(
  clock: Clock,
  work: (attempt: number) => Promise<T>,
  more: { attempts: number; firstMs: number; maxMs?: number; signal?: AbortSignal; again?: (cause: unknown) => boolean },
): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work(attempt);
    } catch (cause) {
      if (attempt >= more.attempts || more.signal?.aborted || more.again?.(cause) === false) throw cause;
      await clock.sleep(Math.min(more.firstMs * 2 ** (attempt - 1), more.maxMs ?? 5000), more.signal);
    }
  }
}

/** A broken promise of our own code: says why it cannot be, instead of a TypeError three rooms on. */
export function invariant(truth: unknown, why: string): asserts truth {
  if (!truth) throw new Error(`invariant broken: ${why}`);
}
