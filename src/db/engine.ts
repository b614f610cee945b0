import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

export type EngineKind = 'sqlite' | 'mariadb' | 'postgres';

/** Something queries can be asked of: the database outside any transaction, or one transaction. */
export type Query = Kysely<Schema>;

/** The SQL database, on whichever engine. Contract suite: `test/contracts/engine.ts`.
 *  READ COMMITTED everywhere (SQLite: BEGIN IMMEDIATE). bigint columns come and go as JS numbers (ids and microseconds fit), booleans as 0 and 1. */
export interface Database {
  readonly kind: EngineKind;
  /** For reading outside transactions. Sees every transaction that `transaction()` has resolved. */
  readonly read: Query;
  /** Runs the work in one transaction and commits; a throw rolls back. Deadlocks, serialization failures and busy are retried as a whole,
   *  so the work must do nothing but queries on `tx` (a test in test/architecture refuses other awaits).
   *  So are connections lost before the commit was sent; one lost after that leaves the outcome unknown: databaseUnavailable with params.why
   *  'commit', never repeated by itself. The caller looks, or its own idempotency key does.
   *  Throws databaseUnavailable when the database is away or stays locked past its deadline, databaseFull, invalidInput for a value no column takes. */
  transaction<T>(work: (tx: Query) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** An engine opened, before its tables are known to be current. */
export interface EngineOptions {
  /** SQLite: a file path. Others: a URL as in nova.conf's [database] connection. */
  readonly url: string;
  /** SQLite only. NORMAL survives kill -9, FULL also a power cut. */
  readonly synchronous?: 'NORMAL' | 'FULL';
  /** Largest number of connections; SQLite ignores it. */
  readonly poolSize?: number;
  /** How long a locked or absent database is waited for before databaseUnavailable. */
  readonly patienceMs?: number;
  /** How long one query may take before its server counts as hung; SQLite ignores it. */
  readonly queryTimeoutMs?: number;
}
