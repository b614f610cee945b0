import { closeSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Kysely } from 'kysely';
import { databaseUnavailable } from '../../model/errors-database.ts';
import type { Database, EngineOptions, Query } from '../engine.ts';
import type { Schema } from '../schema.ts';
import { NodeSqliteDialect } from './node-sqlite.ts';
import { together } from './together.ts';
import type { Judge } from './trouble.ts';

/** SQLite in one file: a write connection behind a queue, and one for reading that never waits for it (WAL). */
export function openSqlite(options: EngineOptions): Database {
  const path = options.url
    .replace(/^sqlite:(\/\/\/?)?/, (_all, slashes: string | undefined) => (slashes === '///' ? '/' : ''))
    .replace(/^\/\//, '/');
  const memory = path === ':memory:';
  if (!memory) makeFile(path);
  const common = { path, synchronous: options.synchronous ?? 'NORMAL', judge } as const;
  const write = new Kysely<Schema>({ dialect: new NodeSqliteDialect({ ...common, readOnly: false }) });
  let reader: Query | undefined;
  return {
    kind: 'sqlite',
    get read() {
      if (memory) return write;
      // Opened late: a read-only connection cannot create the file's WAL index itself.
      reader ??= new Kysely<Schema>({ dialect: new NodeSqliteDialect({ ...common, readOnly: true }) });
      return reader;
    },
    transaction: together({
      kysely: write,
      judge,
      patienceMs: options.patienceMs ?? 5000,
      ...(memory ? {} : { before: watchFile(path) }),
    }),
    async close() {
      await reader?.destroy();
      await write.destroy();
    },
  };
}

function makeFile(path: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600));
  } catch (cause) {
    throw databaseUnavailable(
      { why: 'refused' },
      { cause, detail: `the database file ${path} cannot be opened for writing: ${String(cause)}` },
    );
  }
}

const LOOK_EVERY_MS = 1000;
/** SQLite goes on writing into a file that was deleted or replaced, and all of it is lost; so look now and then whether it is still ours. */
function watchFile(path: string): () => void {
  const inode = statSync(path).ino;
  let looked = performance.now();
  return () => {
    const now = performance.now();
    if (now - looked < LOOK_EVERY_MS) return;
    if (statSync(path, { throwIfNoEntry: false })?.ino !== inode)
      throw databaseUnavailable(
        { why: 'refused' },
        { detail: `the database file ${path} was deleted or replaced while it was open; restart after putting it back` },
      );
    looked = now;
  };
}

const BUSY = 5;
const LOCKED = 6;
const FULL = 13;
const IO = 10;
const IO_NO_ROOM = new Set([4874, 778, 3338]); // growing the WAL index, writing, cutting: what a full disk gives where it is not FULL
const REFUSED = new Set([8, 11, 14, 26]); // read-only, corrupt, cannot open, not a database
const TOO_BIG = 18;
/** Reads the errors of node:sqlite. */
export const judge: Judge = (cause) => {
  if (!(cause instanceof Error) || !('errcode' in cause) || typeof cause.errcode !== 'number') return undefined;
  const code = cause.errcode & 0xff;
  if (code === BUSY || code === LOCKED) return 'again';
  if (code === FULL || IO_NO_ROOM.has(cause.errcode)) return 'full';
  if (code === IO || REFUSED.has(code)) return 'refused';
  if (code === TOO_BIG) return 'unfit';
  return undefined;
};
