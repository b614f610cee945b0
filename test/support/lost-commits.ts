import type { Database } from '../../src/db/engine.ts';
import { databaseUnavailable } from '../../src/model/errors-database.ts';

/** Stands between somebody and a database that dies as it saves: the answer to one commit is lost, and nobody can say whether that was kept. */
export function lostCommits() {
  let loss: { left: number; readonly kept: boolean } | undefined;
  return {
    between: (db: Database): Database => ({
      ...db,
      async transaction(work) {
        if (!loss || --loss.left > 0) return db.transaction(work);
        const { kept } = loss;
        loss = undefined;
        if (kept) await db.transaction(work);
        throw databaseUnavailable({ why: 'commit' });
      },
    }),
    /** The answer to the how manieth commit from now on is lost, and whether that is kept. */
    lose(which: number, kept: boolean): void {
      loss = { left: which, kept };
    },
    /** Whether it has not come to that. */
    waits: () => loss !== undefined,
  };
}
