import { readFileSync } from 'node:fs';
import { MysqlIntrospector, MysqlQueryCompiler, type QueryResult } from 'kysely';
import { createPool, type PoolConnection, type PoolOptions } from 'mysql2/promise';
import type { Database, EngineOptions } from '../engine.ts';
import { pooledDatabase, type Session } from './pooled.ts';
import { type Judge, NETWORK_CODES } from './trouble.ts';

/** MariaDB 10.5 or newer (INSERT ... RETURNING). Columns carry their own collation (`columns.ts`), so the database's default does not matter. */
export function openMariadb(options: EngineOptions): Database {
  const patienceMs = options.patienceMs ?? 5000;
  const timeout = options.queryTimeoutMs ?? 30_000;
  const pool = createPool({
    ...fromUrl(options.url),
    connectionLimit: options.poolSize ?? 10,
    idleTimeout: 60_000,
    connectTimeout: Math.min(3000, patienceMs),
    enableKeepAlive: true,
    charset: 'utf8mb4',
    timezone: 'Z',
    supportBigNumbers: true, // numbers up to 2^53 as numbers, larger ones as text: never rounded
    decimalNumbers: true, // SUM() is a DECIMAL
    flags: ['FOUND_ROWS'], // affected rows are those that matched, as on the other engines
  });
  const known = new WeakSet<object>();
  const acquire = async (): Promise<Session> => {
    const connection = await pool.getConnection();
    const raw = connection.connection;
    if (!known.has(raw)) {
      try {
        for (const sql of [...SESSION, `set session innodb_lock_wait_timeout = ${Math.ceil(patienceMs / 1000)}`])
          await connection.query({ sql, timeout });
        known.add(raw);
      } catch (cause) {
        connection.destroy();
        throw cause;
      }
    }
    return session(connection, timeout);
  };
  return pooledDatabase(
    {
      kind: 'mariadb',
      acquire,
      end: () => pool.end(),
      judge,
      compiler: () => new MysqlQueryCompiler(),
      introspector: (db) => new MysqlIntrospector(db),
    },
    { patienceMs },
  );
}

const SESSION = [
  'set session transaction isolation level read committed',
  "set session sql_mode = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', session lock_wait_timeout = 30, session default_storage_engine = InnoDB",
];

function session(connection: PoolConnection, timeout: number): Session {
  return {
    async run<R>(query: { sql: string; parameters: readonly unknown[] }): Promise<QueryResult<R>> {
      // The text protocol: prepared statements cost one more round trip for each new text, and send every number as a double.
      const [answer] = await connection.query({ sql: query.sql, values: [...query.parameters], timeout });
      if (Array.isArray(answer)) return { rows: answer as R[] }; // mysql2 types rows as its own classes
      return { rows: [], numAffectedRows: BigInt(answer.affectedRows), insertId: BigInt(answer.insertId) };
    },
    release: (broken) => (broken ? connection.destroy() : connection.release()),
  };
}

/** Takes `mysql+pymysql://user:password@host:port/name?unix_socket=...&ssl_ca=...`; other words of SQLAlchemy's are without meaning here. */
function fromUrl(text: string): PoolOptions {
  const url = new URL(text.replace(/^[a-z]+(\+[a-z0-9]+)?:/i, 'mysql:'));
  const socketPath = url.searchParams.get('unix_socket');
  const ca = url.searchParams.get('ssl_ca');
  return {
    ...(socketPath ? { socketPath } : { host: url.hostname.replace(/^\[(.*)\]$/, '$1') || '127.0.0.1', port: Number(url.port || 3306) }),
    user: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    database: decodeURIComponent(url.pathname.slice(1)),
    ...(ca ? { ssl: { ca: readFileSync(ca, 'utf8') } } : {}),
  };
}

const AGAIN = new Set([1213, 1205, 1020, 3058]); // deadlock, lock wait timeout, changed since last read
const LOST = new Set([1040, 1047, 1053, 1080, 1152, 1158, 1159, 1160, 1161, 1203, 1290, 1836, 1927, 2006, 2013]); // away, shutting down, too many connections, read-only after a failover
const REFUSED = new Set([1044, 1045, 1049, 1142, 1698]);
const FULL = new Set([3, 1021, 1041, 1114, 1886]);
const UNFIT = new Set([1264, 1366, 1406, 1690]);
export const judge: Judge = (cause) => {
  if (!(cause instanceof Error)) return undefined;
  const { errno, code, fatal } = cause as { errno?: number; code?: string; fatal?: boolean }; // what mysql2 adds to its errors
  if (errno !== undefined) {
    if (AGAIN.has(errno)) return 'again';
    if (LOST.has(errno)) return 'lost';
    if (REFUSED.has(errno)) return 'refused';
    if (FULL.has(errno)) return 'full';
    if (UNFIT.has(errno)) return 'unfit';
  }
  if (code !== undefined && (NETWORK_CODES.has(code) || code.startsWith('PROTOCOL_') || code === 'POOL_CLOSED')) return 'lost';
  if (fatal === true || /closed state|Pool is closed/.test(cause.message)) return 'lost';
  return undefined;
};
