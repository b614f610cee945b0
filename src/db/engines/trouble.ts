import { CloudError, invalidInput } from '../../model/errors.ts';
import { databaseFull, databaseUnavailable } from '../../model/errors-database.ts';

/** What an engine's error means for us. `again`: rolled back for certain, the same work may succeed now. `lost`: the connection or the server is
 *  gone. `refused`: it will not have us (password, missing database, broken file). `full`: no room. `unfit`: a value that no column takes. */
export type Trouble = 'again' | 'lost' | 'refused' | 'full' | 'unfit';
/** Reads an engine's own error; undefined when it is none of these and belongs to the caller. */
export type Judge = (cause: unknown) => Trouble | undefined;

/** The public error for a trouble. The engine's own words stay in detail and cause. */
export function troubleError(trouble: Trouble, cause: unknown): CloudError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  if (trouble === 'full') return databaseFull({ why: 'full' }, { cause, detail });
  if (trouble === 'unfit')
    return invalidInput({ why: 'A value is too long, too large or holds characters that cannot be stored.' }, { cause, detail });
  return databaseUnavailable({ why: trouble === 'again' ? 'locked' : trouble }, { cause, detail });
}

/** How long to wait before the next try: a few milliseconds at first, at most half a second, never in step with others. */
export const backoffMs = (attempt: number) => Math.min(4 * 2 ** attempt, 500) * (0.5 + Math.random());

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Repeats `once` while its trouble may pass and patience lasts; then throws the public error. `again`, `lost`: whether such a one may be repeated. */
export async function patiently<T>(
  patienceMs: number,
  judge: Judge,
  once: () => Promise<T>,
  mayRepeat: (trouble: Trouble) => boolean,
): Promise<T> {
  const start = performance.now();
  for (let attempt = 0; ; attempt++) {
    try {
      return await once();
    } catch (cause) {
      if (cause instanceof CloudError) throw cause;
      const trouble = judge(cause);
      if (!trouble) throw cause;
      const passing = (trouble === 'again' || trouble === 'lost') && mayRepeat(trouble);
      const wait = backoffMs(attempt);
      if (!passing || performance.now() - start + wait > patienceMs) throw troubleError(trouble, cause);
      await pause(wait);
    }
  }
}

/** Codes of Node's own network errors, alike for every engine. */
export const NETWORK_CODES: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOENT', // the socket file of a server that is down
]);
