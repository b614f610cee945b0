import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { type Judge, troubleError } from './trouble.ts';

export interface NodeSqliteOptions {
  readonly path: string;
  readonly synchronous: 'FULL' | 'NORMAL';
  readonly readOnly: boolean;
  readonly judge: Judge;
}
const OPEN_TIMEOUT_MS = 2000; // entering WAL mode needs the file alone for a moment
const READ_TIMEOUT_MS = 500; // a reader waits for nobody in WAL mode, but while another process recovers the log

interface Prepared {
  readonly statement: StatementSync;
  readonly returnsRows: boolean;
}
const MAX_STATEMENTS = 500;
const READ_ONLY = 8; // somebody wrote through db.read: our own mistake, to be told as it is

/** Kysely's dialect on Node's own SQLite: one connection, statements kept prepared, transactions that take the write lock at once. */
export class NodeSqliteDialect implements Dialect {
  readonly #options: NodeSqliteOptions;
  constructor(options: NodeSqliteOptions) {
    this.#options = options;
  }
  createDriver = (): Driver => new NodeSqliteDriver(this.#options);
  createQueryCompiler = () => new SqliteQueryCompiler();
  createAdapter = () => new SqliteAdapter();
  createIntrospector = (db: Kysely<unknown>) => new SqliteIntrospector(db as never); // kysely types this per schema
}

class NodeSqliteDriver implements Driver {
  readonly #options: NodeSqliteOptions;
  #db: DatabaseSync | undefined;
  #connection: Connection | undefined;
  constructor(options: NodeSqliteOptions) {
    this.#options = options;
  }
  async init(): Promise<void> {
    const { path, synchronous, readOnly, judge } = this.#options;
    try {
      const db = new DatabaseSync(path, { timeout: OPEN_TIMEOUT_MS, readOnly });
      if (!readOnly) db.exec('PRAGMA journal_mode=WAL');
      db.exec(`PRAGMA synchronous=${synchronous}`);
      db.exec('PRAGMA foreign_keys=ON');
      db.exec('PRAGMA wal_autocheckpoint=8000');
      db.exec('PRAGMA cache_size=-16000');
      db.exec('PRAGMA temp_store=MEMORY'); // what a savepoint keeps for going back needs no file
      db.exec('PRAGMA case_sensitive_like=ON'); // as LIKE is on the other engines
      // node:sqlite waits inside the call and blocks the whole process meanwhile: a writer is told at once, and waits between its tries instead.
      db.exec(`PRAGMA busy_timeout=${readOnly ? READ_TIMEOUT_MS : 0}`);
      this.#db = db;
    } catch (cause) {
      const trouble = judge(cause);
      if (!trouble) throw cause;
      throw troubleError(trouble, cause instanceof Error ? new Error(`${path}: ${cause.message}`, { cause }) : cause);
    }
    this.#connection = new Connection(this.#db, readOnly ? judge : undefined);
  }
  async acquireConnection(): Promise<DatabaseConnection> {
    if (!this.#connection) throw new Error('the database is not open');
    return this.#connection;
  }
  // A deferred BEGIN that later writes fails at once when another process writes; IMMEDIATE waits its turn.
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('BEGIN IMMEDIATE'));
  }
  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw('COMMIT'));
  }
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#db?.isTransaction) await connection.executeQuery(CompiledQuery.raw('ROLLBACK'));
  }
  async releaseConnection(): Promise<void> {}
  async destroy(): Promise<void> {
    this.#db?.close();
    this.#db = undefined;
    this.#connection = undefined;
  }
}

class Connection implements DatabaseConnection {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, Prepared>();
  /** Given for reading outside transactions, where nobody above turns an engine's error into a public one. */
  readonly #judge: Judge | undefined;
  constructor(db: DatabaseSync, judge: Judge | undefined) {
    this.#db = db;
    this.#judge = judge;
  }
  #prepare(sql: string): Prepared {
    const kept = this.#prepared.get(sql);
    if (kept) {
      this.#prepared.delete(sql);
      this.#prepared.set(sql, kept); // least recently used first
      return kept;
    }
    const statement = this.#db.prepare(sql);
    const fresh = { statement, returnsRows: statement.columns().length > 0 };
    this.#prepared.set(sql, fresh);
    if (this.#prepared.size > MAX_STATEMENTS) {
      const oldest = this.#prepared.keys().next().value;
      if (oldest !== undefined) this.#prepared.delete(oldest);
    }
    return fresh;
  }
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    try {
      return this.#run<R>(query);
    } catch (cause) {
      const trouble = this.#judge?.(cause);
      throw trouble && !(cause instanceof Error && 'errcode' in cause && cause.errcode === READ_ONLY)
        ? troubleError(trouble, cause)
        : cause;
    }
  }
  #run<R>(query: CompiledQuery): QueryResult<R> {
    const { statement, returnsRows } = this.#prepare(query.sql);
    const args = query.parameters as SQLInputValue[]; // kysely types parameters as unknown; tables hold only text and numbers
    if (returnsRows) return { rows: statement.all(...args) as R[] };
    const result = statement.run(...args);
    return { rows: [], numAffectedRows: BigInt(result.changes), insertId: BigInt(result.lastInsertRowid) };
  }
  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    // A statement of its own: a kept one would be reset by the next use of the same SQL.
    for (const row of this.#db.prepare(query.sql).iterate(...(query.parameters as SQLInputValue[]))) yield { rows: [row as R] };
  }
}
