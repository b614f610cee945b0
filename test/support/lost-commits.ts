import type { Database, Query } from '../../src/db/engine.ts';
import { databaseUnavailable } from '../../src/model/errors-database.ts';

/** Stands between somebody and a database that dies as it saves: the answer to one commit is lost, and nobody can say whether that was kept. */
export function lostCommits() {
  let left: number | undefined;
  let kept = true;
  let done: ((db: Query) => Promise<boolean>) | undefined;
  return {
    between: (db: Database): Database => ({
      ...db,
      async transaction(work) {
        if (done) {
          const answer = await db.transaction(work);
          if (!(await done(db.read))) return answer;
          done = undefined;
          throw databaseUnavailable({ why: 'commit' });
        }
        if (left === undefined || --left > 0) return db.transaction(work);
        left = undefined;
        if (kept) await db.transaction(work);
        throw databaseUnavailable({ why: 'commit' });
      },
    }),
    /** The answer to the how manieth commit from now on is lost, and whether that is kept. */
    lose(which: number, isKept: boolean): void {
      left = which;
      kept = isKept;
    },
    /** The answer to the first commit after which that is so. */
    loseWhen(isSo: (db: Query) => Promise<boolean>): void {
      done = isSo;
    },
    /** Whether it has not come to that. */
    waits: () => left !== undefined || done !== undefined,
  };
}
