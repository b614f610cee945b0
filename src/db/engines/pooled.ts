import {
  CompiledQuery as Compiled,
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type DialectAdapter,
  type Driver,
  Kysely,
  type QueryCompiler,
  type QueryResult,
} from 'kysely';
import type { Database, EngineKind } from '../engine.ts';
import type { Schema } from '../schema.ts';
import { transactions } from './transactions.ts';
import { type Judge, patiently } from './trouble.ts';

/** One connection to a server, taken from its pool. */
export interface Session {
  run<R>(query: CompiledQuery): Promise<QueryResult<R>>;
  /** Back to the pool, or thrown away when its state is not known. */
  release(broken: boolean): void;
}
export interface Server {
  readonly kind: EngineKind;
  acquire(): Promise<Session>;
  end(): Promise<void>;
  readonly judge: Judge;
  readonly compiler: () => QueryCompiler;
  readonly introspector: Dialect['createIntrospector'];
}

/** The Database port over a server with a pool of connections. */
export function pooledDatabase(server: Server, options: { patienceMs: number }): Database {
  const { judge } = server;
  const { patienceMs } = options;
  const kyselyOn = (driver: Driver) =>
    new Kysely<Schema>({
      dialect: {
        createDriver: () => driver,
        createQueryCompiler: server.compiler,
        createAdapter: () => ({ ...adapter }), // its own, for statements are kept by it (prepared.ts)
        createIntrospector: server.introspector,
      },
    });
  const write = kyselyOn({
    init: async () => {},
    acquireConnection: async () => new Transacting(await server.acquire(), judge),
    beginTransaction: async (connection) => void (await connection.executeQuery(Compiled.raw('begin'))),
    commitTransaction: async (connection) => void (await connection.executeQuery(Compiled.raw('commit'))),
    rollbackTransaction: (connection) => (connection as Transacting).rollback(), // every connection of this driver is one
    releaseConnection: async (connection) => (connection as Transacting).release(),
    destroy: async () => {},
  });
  const reading = new Reading(server, patienceMs);
  const read = kyselyOn({
    init: async () => {},
    acquireConnection: async () => reading,
    beginTransaction: refuse,
    commitTransaction: refuse,
    rollbackTransaction: refuse,
    releaseConnection: async () => {},
    destroy: async () => {},
  });
  return {
    kind: server.kind,
    read,
    transaction: transactions({ kysely: write, judge, patienceMs }),
    close: () => server.end(),
  };
}

// MariaDB and PostgreSQL both answer INSERT ... RETURNING; kysely knows it only of the latter.
const adapter: DialectAdapter = {
  supportsCreateIfNotExists: true,
  supportsMultipleConnections: true,
  supportsTransactionalDdl: false,
  supportsReturning: true,
  supportsOutput: false,
  acquireMigrationLock: refuse,
  releaseMigrationLock: refuse,
};

async function refuse(): Promise<never> {
  throw new Error('this is done by Database.transaction and migrate()');
}

/** A connection inside a transaction. Once the transaction is lost nothing more is let through: MariaDB would go on and commit each statement by
 *  itself after a deadlock whose error somebody swallowed. */
class Transacting implements DatabaseConnection {
  readonly #session: Session;
  readonly #judge: Judge;
  #broken = false;
  #doom: unknown;
  constructor(session: Session, judge: Judge) {
    this.#session = session;
    this.#judge = judge;
  }
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#doom !== undefined) throw this.#doom;
    try {
      return await this.#session.run<R>(query);
    } catch (cause) {
      const trouble = this.#judge(cause);
      if (trouble && trouble !== 'unfit') this.#doom = cause;
      if (trouble === 'lost') this.#broken = true;
      throw cause;
    }
  }
  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query);
  }
  async rollback(): Promise<void> {
    if (this.#broken) return;
    try {
      await this.#session.run(Compiled.raw('rollback'));
    } catch {
      this.#broken = true; // the server rolls back when the connection is thrown away
    }
  }
  release(): void {
    this.#session.release(this.#broken);
  }
}

/** Reads outside transactions: each takes a connection for itself alone, and is repeated when that one turns out to be dead. */
class Reading implements DatabaseConnection {
  readonly #server: Server;
  readonly #patienceMs: number;
  constructor(server: Server, patienceMs: number) {
    this.#server = server;
    this.#patienceMs = patienceMs;
  }
  async executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (WRITES.has(query.query.kind)) throw new Error('db.read only reads; write inside db.transaction'); // as on SQLite
    return patiently(
      this.#patienceMs,
      this.#server.judge,
      async () => {
        const session = await this.#server.acquire();
        let broken = true;
        try {
          const answer = await session.run<R>(query);
          broken = false;
          return answer;
        } catch (cause) {
          broken = this.#server.judge(cause) === 'lost';
          throw cause;
        } finally {
          session.release(broken);
        }
      },
      () => true,
    );
  }
  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query);
  }
}
const WRITES: ReadonlySet<string> = new Set(['InsertQueryNode', 'UpdateQueryNode', 'DeleteQueryNode', 'MergeQueryNode']);
