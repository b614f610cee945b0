import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely } from 'kysely';
import { invariant } from '../../lib/retry.ts';
import { databaseUnavailable } from '../../model/errors-database.ts';
import type { Query } from '../engine.ts';
import type { Schema } from '../schema.ts';
import { type Judge, patiently } from './trouble.ts';

const inside = new AsyncLocalStorage<{ open: boolean }>();

/** A transaction begun inside a transaction would wait for its own connection: for ever on SQLite, and on the others when the pool is busy. */
export function mustBeOutside(): void {
  invariant(!inside.getStore()?.open, 'a transaction is begun inside a transaction; pass tx on instead');
}

/** Makes a `transaction` as the port promises it: the whole work is repeated after a deadlock, a serialization failure or a connection lost before
 *  the commit was sent. A connection lost after that leaves the outcome unknown, so nothing is repeated and the error says so. */
export function transactions(options: { kysely: Kysely<Schema>; judge: Judge; patienceMs: number; before?: () => void }) {
  const { kysely, judge, patienceMs, before } = options;
  return async <T>(work: (tx: Query) => Promise<T>): Promise<T> => {
    mustBeOutside();
    let sent = false;
    return patiently(
      patienceMs,
      judge,
      async () => {
        before?.();
        sent = false;
        const state = { open: true };
        try {
          return await kysely.transaction().execute((tx) =>
            inside.run(state, async () => {
              const answer = await work(tx);
              sent = true; // kysely sends the commit next
              return answer;
            }),
          );
        } catch (cause) {
          if (sent && judge(cause) === 'lost')
            throw databaseUnavailable(
              { why: 'commit' },
              { cause, detail: 'the connection was lost after the commit was sent; it may or may not be kept' },
            );
          throw cause;
        } finally {
          state.open = false;
        }
      },
      () => true,
    );
  };
}
