import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely } from 'kysely';
import { databaseFull, databaseUnavailable } from '../../model/errors-database.ts';
import type { Database, EngineOptions, Query } from '../engine.ts';
import type { Schema } from '../schema.ts';
import { NodeSqliteDialect } from './node-sqlite.ts';

const BUSY = 5;
const FULL = 13;
const IO = 10;

/** SQLite in one file: a write connection behind a queue, and one for reading that never waits for it (WAL). */
export function openSqlite(options: EngineOptions): Database {
  const path = options.url
    .replace(/^sqlite:(\/\/\/?)?/, (_all, slashes: string | undefined) => (slashes === '///' ? '/' : ''))
    .replace(/^\/\//, '/');
  const memory = path === ':memory:';
  if (!memory) {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600));
  }
  const common = { path, synchronous: options.synchronous ?? 'NORMAL', busyTimeoutMs: 200 } as const;
  const write = new Kysely<Schema>({ dialect: new NodeSqliteDialect({ ...common, readOnly: false }) });
  let reader: Query | undefined;
  const patienceMs = options.patienceMs ?? 5000;
  return {
    kind: 'sqlite',
    get read() {
      if (memory) return write;
      // Opened late: a read-only connection cannot create the file's WAL index itself.
      reader ??= new Kysely<Schema>({ dialect: new NodeSqliteDialect({ ...common, readOnly: true }) });
      return reader;
    },
    async transaction(work) {
      const start = performance.now();
      for (;;) {
        try {
          return await write.transaction().execute(work);
        } catch (cause) {
          const code = sqliteCode(cause);
          if (code === FULL || code === IO) throw databaseFull({ why: String(cause) }, { cause });
          if (code !== BUSY) throw cause;
          // node:sqlite waits inside the call and blocks the process meanwhile; so its own wait is short and ours is between the tries.
          if (performance.now() - start > patienceMs)
            throw databaseUnavailable({ why: 'locked' }, { cause, detail: 'SQLite stayed locked' });
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      }
    },
    async close() {
      await reader?.destroy();
      await write.destroy();
    },
  };
}

function sqliteCode(cause: unknown): number | undefined {
  if (!(cause instanceof Error) || !('errcode' in cause) || typeof cause.errcode !== 'number') return undefined;
  return cause.errcode & 0xff;
}
