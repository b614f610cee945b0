import type { CompiledQuery, Insertable, InsertQueryBuilder, QueryResult } from 'kysely';
import type { Query } from './engine.ts';
import type { Schema } from './schema.ts';

/** Stands in a statement for a value that each run brings. */
class Place {
  readonly name: string;
  constructor(name: string) {
    this.name = name;
  }
}
const places = new Proxy({}, { get: (_none, name) => new Place(String(name)) });

/** Statements by their engine: kysely keeps one adapter for all that is asked of one of its instances. */
type Kept<T> = WeakMap<object, T>;
const engineOf = (tx: Query): object => tx.getExecutor().adapter;

/** A statement of the busiest paths: built and compiled once for each engine, since that costs several times what SQLite needs to run it. A run
 *  only binds values. They stand where `build` puts them as plain values: no lists, nothing `build` looks at. */
export function prepared<P extends object, R>(
  build: (db: Query, values: P) => { compile(): CompiledQuery<R> },
): (tx: Query, values: P) => Promise<QueryResult<R>> {
  const kept: Kept<CompiledQuery<R>> = new WeakMap();
  return (tx, values) => {
    const engine = engineOf(tx);
    let compiled = kept.get(engine);
    if (!compiled) {
      compiled = build(tx, places as P).compile(); // whatever is asked of it is there
      kept.set(engine, compiled);
    }
    const parameters = compiled.parameters.map((one) => (one instanceof Place ? (values as Record<string, unknown>)[one.name] : one));
    return tx.executeQuery({ ...compiled, parameters });
  };
}

/** Whether a writing met any row. */
export const met = (result: QueryResult<unknown>): boolean => (result.numAffectedRows ?? 0n) > 0n;

const inserts: Kept<Map<string, CompiledQuery>> = new WeakMap();
const KEPT_ROWS = 8; // beyond this the statement's own work is what counts
const KEPT_INSERTS = 300;

/** Inserts rows with the same columns; statements are kept as `prepared` does. `double`: ON CONFLICT DO NOTHING for any unique key, or for the one of
 *  these columns; MariaDB has it not (see insertIgnore). Answers how many were inserted. */
export async function insertRows<T extends keyof Schema & string>(
  tx: Query,
  table: T,
  rows: readonly Insertable<Schema[T]>[],
  double?: 'any' | readonly string[],
): Promise<number> {
  const [first] = rows as readonly Record<string, unknown>[];
  if (!first) return 0;
  const columns = Object.keys(first);
  const values = (rows as readonly Record<string, unknown>[]).flatMap((row) => columns.map((column) => row[column]));
  const build = (of: readonly object[]) => {
    const insert = tx.insertInto(table).values(of as never) as InsertQueryBuilder<Schema, T, object>; // over all tables TypeScript gives up
    if (double === undefined) return insert.compile();
    return insert.onConflict((conflict) => (double === 'any' ? conflict : conflict.columns(double as never)).doNothing()).compile();
  };
  let result: QueryResult<unknown>;
  // A column that is not given is the engine's to fill, which is part of the statement.
  if (rows.length > KEPT_ROWS || values.includes(undefined)) result = await tx.executeQuery(build(rows));
  else {
    const kept = inserts.get(engineOf(tx)) ?? new Map<string, CompiledQuery>();
    inserts.set(engineOf(tx), kept);
    const key = `${table} ${rows.length} ${double} ${columns.join()}`;
    const compiled = kept.get(key) ?? build(rows.map(() => Object.fromEntries(columns.map((column) => [column, new Place(column)]))));
    if (kept.size < KEPT_INSERTS) kept.set(key, compiled);
    result = await tx.executeQuery({ ...compiled, parameters: values });
  }
  return Number(result.numAffectedRows ?? 0n);
}
