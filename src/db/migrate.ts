import { type Kysely, sql } from 'kysely';
import { columnTypes } from './columns.ts';
import type { Database, Query } from './engine.ts';
import { migrations } from './migrations/list.ts';

/** One step of the schema, forward only. `up` runs in one transaction where the engine can (MariaDB commits each DDL by itself, so it must be
 *  safe to repeat: use ifNotExists). */
export interface Migration {
  // biome-ignore lint/suspicious/noExplicitAny: a migration works on tables as they were, not as the schema types know them
  up(tx: Kysely<any>, t: ReturnType<typeof columnTypes>, kind: Database['kind']): Promise<void>;
}

/** Brings the tables up to date and answers the names of the steps it ran. Safe when several processes start at once. */
export async function migrate(db: Database): Promise<string[]> {
  const t = columnTypes(db.kind);
  await db.transaction(async (tx) => {
    await tx.schema
      .createTable('schema_migrations')
      .ifNotExists()
      .addColumn('name', t.string(100), (c) => c.primaryKey())
      .addColumn('at', t.big, (c) => c.notNull())
      .execute();
  });
  const ran: string[] = [];
  for (const [name, migration] of Object.entries(migrations)) {
    const fresh = await db.transaction(async (tx) => {
      if (await isApplied(tx, name)) return false;
      await lock(tx, db.kind);
      if (await isApplied(tx, name)) return false;
      await migration.up(tx as never, t, db.kind);
      await sql`insert into schema_migrations (name, at) values (${name}, 0)`.execute(tx);
      return true;
    });
    if (fresh) ran.push(name);
  }
  return ran;
}

async function isApplied(tx: Query, name: string): Promise<boolean> {
  const found = await sql<{ name: string }>`select name from schema_migrations where name = ${name}`.execute(tx);
  return found.rows.length > 0;
}

/** SQLite holds its write lock already; the others take one that only migrations take. */
async function lock(tx: Query, kind: Database['kind']): Promise<void> {
  if (kind === 'postgres') await sql`select pg_advisory_xact_lock(7261001)`.execute(tx);
  if (kind === 'mariadb') await sql`select get_lock('kilonova_migrate', 60)`.execute(tx);
}
