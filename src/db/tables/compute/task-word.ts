import { type RawBuilder, sql } from 'kysely';

/** Tasks that may be asked for whatever is on its way: their jobs come next. The later of two takes the place of the earlier. */
const nextTasks = ['soft-deleting', 'deleting'] as const;
export type NextTask = (typeof nextTasks)[number];
export const isNextTask = (word: string | null | undefined): word is NextTask => nextTasks.some((one) => one === word);

/** A task column as a job writes it: where a delete was asked for meanwhile, what stands there stays. Else, between the end of the one job and the
 *  beginning of the delete, something could be asked for that is then done to a server which is deleted. `own`: the job's own word, which it may take back.
 *  MariaDB sets columns one after the other, each seeing those before it: no word of a delete is written this way by others, so the order does not matter. */
export function unlessNext<V>(column: 'task_state' | 'task_deadline', value: V, own?: NextTask): RawBuilder<V> {
  const stronger = nextTasks.slice(own === undefined ? 0 : nextTasks.indexOf(own) + 1);
  if (stronger.length === 0) return sql<V>`${value}`;
  const words = sql.join(stronger.map((word) => sql.lit(word)));
  return sql<V>`case when task_state in (${words}) then ${sql.ref(column)} else ${value} end`;
}
