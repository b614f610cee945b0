import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../src/db/engine.ts';
import { migrate } from '../../src/db/migrate.ts';
import { openDatabase } from '../../src/db/open.ts';

let tables: Buffer | undefined;

/** Puts a SQLite file with all tables, and nothing in them, at a path where nothing is yet. Hundreds of houses begin with the same empty tables: they are
 *  made once for each process, and copied. */
export async function placeTables(path: string): Promise<void> {
  if (existsSync(path)) return;
  tables ??= await emptyTables();
  writeFileSync(path, tables, { mode: 0o600 });
}

/** A SQLite database at a path, with all tables. */
export async function openFresh(path: string): Promise<Database> {
  await placeTables(path);
  const db = await openDatabase({ url: path });
  await migrate(db);
  return db;
}

async function emptyTables(): Promise<Buffer> {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-tables-'));
  const path = join(dir, 'cloud.db');
  try {
    const db = await openDatabase({ url: path });
    await migrate(db);
    await db.close();
    return readFileSync(path);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
