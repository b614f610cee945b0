import { PostgresIntrospector, PostgresQueryCompiler, type QueryResult } from 'kysely';
import { Pool, type PoolClient, types } from 'pg';
import type { Database, EngineOptions } from '../engine.ts';
import { pooledDatabase, type Session } from './pooled.ts';
import { type Judge, NETWORK_CODES } from './trouble.ts';

const INT8 = 20;
const NUMERIC = 1700;

/** PostgreSQL. Text columns compare by code point whatever the database's locale (`columns.ts`). */
export function openPostgres(options: EngineOptions): Database {
  const patienceMs = options.patienceMs ?? 5000;
  const timeout = options.queryTimeoutMs ?? 30_000;
  const pool = new Pool({
    connectionString: options.url.replace(/^[a-z]+(\+[a-z0-9]+)?:/i, 'postgresql:'),
    max: options.poolSize ?? 10,
    idleTimeoutMillis: 60_000,
    connectionTimeoutMillis: patienceMs,
    query_timeout: timeout,
    keepAlive: true,
    options: `-c default_transaction_isolation=read\\ committed -c lock_timeout=${patienceMs} -c statement_timeout=${timeout} -c idle_in_transaction_session_timeout=60000 -c standard_conforming_strings=on`,
    types: {
      // count(), sum() and bigint come as text by default; ours fit a number.
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        oid === INT8 || oid === NUMERIC ? toNumber : types.getTypeParser(oid, format as 'text'), // pg types the two formats apart
    },
  });
  pool.on('error', () => {}); // an idle connection died: pg takes it out of the pool, the next query opens another
  // The query under way is told of a lost connection too. Each connection has its listener for life: between the pool's own and ours there are moments in
  // which a last word of the server would end the process.
  pool.on('connect', (client) => client.on('error', () => {}));
  return pooledDatabase(
    {
      kind: 'postgres',
      acquire: async () => session(await pool.connect()),
      end: () => pool.end(),
      judge,
      compiler: () => new PostgresQueryCompiler(),
      introspector: (db) => new PostgresIntrospector(db),
    },
    { patienceMs },
  );
}

function toNumber(text: string): number | string {
  const number = Number(text);
  return Number.isSafeInteger(number) || text.includes('.') ? number : text; // never rounded
}

function session(client: PoolClient): Session {
  return {
    async run<R>(query: { sql: string; parameters: readonly unknown[] }): Promise<QueryResult<R>> {
      const answer = await client.query(query.sql, [...query.parameters]);
      if (query.sql === 'commit' && answer.command === 'ROLLBACK')
        throw new Error('a query had failed before, and its error was swallowed: PostgreSQL rolled the transaction back');
      return { rows: answer.rows, numAffectedRows: BigInt(answer.rowCount ?? 0) };
    },
    release(broken) {
      client.release(broken);
    },
  };
}

const AGAIN = new Set(['40001', '40P01', '55P03', '57014', '53200']); // serialization, deadlock, lock timeout, statement timeout, out of memory
const LOST = new Set(['57P01', '57P02', '57P03', '57P05', '53300', '25006', '25P03']); // shutting down, starting up, too many connections, read-only after a failover
export const judge: Judge = (cause) => {
  if (!(cause instanceof Error)) return undefined;
  const code = 'code' in cause && typeof cause.code === 'string' ? cause.code : '';
  if (AGAIN.has(code)) return 'again';
  if (LOST.has(code) || code.startsWith('08') || NETWORK_CODES.has(code)) return 'lost';
  if (code.startsWith('28') || code === '3D000' || code === '42501') return 'refused';
  if (code === '53100') return 'full';
  if (code === '22001' || code === '22003' || code === '22021') return 'unfit';
  if (cause.name === 'AggregateError') return 'lost'; // each address of the host refused
  if (
    code === '' &&
    /Connection terminated|timeout exceeded when trying to connect|Query read timeout|not queryable|after calling end/i.test(cause.message)
  )
    return 'lost';
  return undefined;
};
