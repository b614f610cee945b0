import { type Insertable, type InsertQueryBuilder, type SelectQueryBuilder, sql } from 'kysely';
import type { EngineKind, Query } from './engine.ts';
import { insertRows } from './prepared.ts';
import type { Schema } from './schema.ts';
import { isUniqueViolation } from './unique.ts';

/** Inserts one row unless one with the same key exists: any unique key of the table, or only the one of the columns `key` (MariaDB cannot tell keys apart).
 *  Answers whether it was inserted. */
export async function insertIgnore<T extends keyof Schema & string>(
  tx: Query,
  kind: EngineKind,
  table: T,
  values: Insertable<Schema[T]>,
  key?: readonly (keyof Schema[T] & string)[],
): Promise<boolean> {
  if (kind === 'mariadb') {
    // INSERT IGNORE would also cut long texts and turn nulls into zeros without a word; a double key alone is undone by itself.
    try {
      await insertRows(tx, table, [values]);
      return true;
    } catch (cause) {
      if (isUniqueViolation(cause)) return false;
      throw cause;
    }
  }
  return (await insertRows(tx, table, [values], key ?? 'any')) === 1;
}

/** Inserts one row and answers the key it numbered itself. */
export async function insertReturningId<T extends keyof Schema & string>(
  tx: Query,
  table: T,
  values: Insertable<Schema[T]>,
): Promise<number> {
  const insert = tx.insertInto(table).values(values) as InsertQueryBuilder<Schema, T, object>; // over all tables TypeScript gives up
  const row = await insert.returning(sql<number>`id`.as('id')).executeTakeFirstOrThrow();
  return (row as { id: number }).id;
}

/** Locks the rows a SELECT finds until the transaction ends. SQLite needs nothing: the transaction holds its only write lock already.
 *  `skipLocked` leaves out rows that another transaction holds, for taking jobs side by side. */
export function forUpdate<DB, TB extends keyof DB, O>(
  kind: EngineKind,
  query: SelectQueryBuilder<DB, TB, O>,
  more: { skipLocked?: boolean } = {},
): SelectQueryBuilder<DB, TB, O> {
  if (kind === 'sqlite') return query;
  return more.skipLocked ? query.forUpdate().skipLocked() : query.forUpdate();
}
