import { CompiledQuery, type Kysely } from 'kysely';
import { CloudError } from '../../model/errors.ts';
import type { Query } from '../engine.ts';
import type { Schema } from '../schema.ts';
import { mustBeOutside, transactions } from './transactions.ts';
import { backoffMs, type Judge, pause } from './trouble.ts';

/** Works in one transaction at most: this process does nothing else meanwhile. */
const LIMIT = 32;
const SAVEPOINT = CompiledQuery.raw('SAVEPOINT work');
const ROLL_BACK = CompiledQuery.raw('ROLLBACK TO work');
const RELEASE = CompiledQuery.raw('RELEASE work');

interface Item {
  readonly work: (tx: Query) => Promise<unknown>;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (cause: unknown) => void;
  readonly since: number;
}

/** `transaction` for an engine with one writer, where a commit costs more than most works. Works that come in the same turn of the event loop are done
 *  one after the other in one transaction, each behind a savepoint, so that a throw undoes its own work only; all are answered after the commit. */
export function together(options: { kysely: Kysely<Schema>; judge: Judge; patienceMs: number; before?: () => void }) {
  const { judge, patienceMs } = options;
  const once = transactions({ ...options, patienceMs: 0 }); // patience is kept below, for each work from the moment it came
  const waiting: Item[] = [];
  let busy = false;
  /** So many in front go one by one: the engine had trouble with one of them, which savepoints may not outlive. */
  let alone = 0;

  const commit = async (group: readonly Item[]): Promise<void> => {
    const [first] = group;
    if (group.length === 1 && first) return first.resolve(await once(first.work));
    const ends: (() => void)[] = [];
    let spoilt = false;
    try {
      await once(async (tx) => {
        for (const { work, resolve, reject } of group) {
          await tx.executeQuery(SAVEPOINT);
          try {
            const answer = await work(tx);
            ends.push(() => resolve(answer));
          } catch (cause) {
            spoilt = true;
            if (judge(cause)) throw cause;
            await tx.executeQuery(ROLL_BACK);
            spoilt = false;
            ends.push(() => reject(cause));
          }
          await tx.executeQuery(RELEASE);
        }
      });
    } catch (cause) {
      if (!spoilt) throw cause;
      waiting.unshift(...group);
      alone = group.length;
      return;
    }
    for (const end of ends) end();
  };

  const go = async (): Promise<void> => {
    for (let tries = 0; waiting.length > 0; ) {
      // What was woken by the last commit, and all that this turn of the event loop brings, joins the next one.
      await new Promise((resolve) => setImmediate(resolve));
      const group = waiting.splice(0, alone > 0 ? 1 : LIMIT);
      alone = Math.max(0, alone - 1);
      try {
        await commit(group);
        tries = 0;
      } catch (cause) {
        const wait = backoffMs(tries++);
        const end = performance.now() + wait - patienceMs;
        const patient = isLocked(cause) ? group.filter((item) => item.since > end) : [];
        for (const item of group) if (!patient.includes(item)) item.reject(cause);
        waiting.unshift(...patient);
        if (patient.length > 0) await pause(wait);
      }
    }
    busy = false;
  };

  return <T>(work: (tx: Query) => Promise<T>): Promise<T> => {
    mustBeOutside();
    return new Promise<T>((resolve, reject) => {
      waiting.push({ work, resolve: resolve as (answer: unknown) => void, reject, since: performance.now() }); // answered with its own work's answer
      if (busy) return;
      busy = true;
      void go();
    });
  };
}

const isLocked = (cause: unknown) => cause instanceof CloudError && cause.code === 'database.unavailable' && cause.params.why === 'locked';
