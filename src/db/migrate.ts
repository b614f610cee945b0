import { CreateIndexNode, CreateTableNode, type KyselyPlugin, sql } from 'kysely';
import { databaseUnavailable } from '../model/errors-database.ts';
import { columnTypes } from './columns.ts';
import type { Database, Query } from './engine.ts';
import { migrations } from './migrations/list.ts';
import type { Migration } from './migrations/migration.ts';

/** Brings the tables up to date and answers the names of the steps it ran. Safe when several processes start at once: each step runs exactly once.
 *  `steps` are the project's own unless a test has others. */
export async function migrate(db: Database, steps: Readonly<Record<string, Migration>> = migrations): Promise<string[]> {
  const t = columnTypes(db.kind);
  const locked = (work: (tx: Query) => Promise<boolean>) =>
    db.transaction(async (tx) => {
      await lock(tx, db.kind);
      try {
        return await work(tx);
      } finally {
        await unlock(tx, db.kind);
      }
    });
  // Looked at first without the lock: a process that starts on current tables waits for nobody.
  let done = await applied(db.read).catch(() => undefined);
  if (!done) {
    await locked(async (tx) => {
      await tx.schema
        .createTable('schema_migrations')
        .ifNotExists()
        .addColumn('name', t.string(100), (c) => c.primaryKey())
        .addColumn('at', t.big, (c) => c.notNull())
        .execute();
      return true;
    });
    done = await applied(db.read);
  }
  const ran: string[] = [];
  for (const [name, step] of Object.entries(steps)) {
    if (done.has(name)) continue;
    const fresh = await locked(async (tx) => {
      if ((await applied(tx)).has(name)) return false;
      await step.up(tx.withPlugin(ifNotExists) as never, t, db.kind);
      await sql`insert into schema_migrations (name, at) values (${name}, ${Date.now() * 1000})`.execute(tx);
      return true;
    });
    if (fresh) ran.push(name);
  }
  return ran;
}

async function applied(query: Query): Promise<Set<string>> {
  const found = await sql<{ name: string }>`select name from schema_migrations`.execute(query);
  return new Set(found.rows.map((row) => row.name));
}

/** SQLite holds its write lock already; the others take one that only migrations take, per database. */
async function lock(tx: Query, kind: Database['kind']): Promise<void> {
  if (kind === 'postgres') {
    await sql`set local lock_timeout = 0`.execute(tx);
    await sql`select pg_advisory_xact_lock(7261001)`.execute(tx);
  }
  if (kind !== 'mariadb') return;
  for (let turn = 0; turn < 60; turn++) {
    const got = await sql<{ got: number | null }>`select get_lock(concat('kilonova_migrate.', database()), 5) as got`.execute(tx);
    if (got.rows[0]?.got === 1) return;
  }
  throw databaseUnavailable({ why: 'locked' }, { detail: 'another process migrates for more than five minutes' });
}

/** MariaDB's lock belongs to the connection, which lives on in the pool; when the connection is lost, so is the lock. */
async function unlock(tx: Query, kind: Database['kind']): Promise<void> {
  if (kind !== 'mariadb') return;
  await sql`select release_lock(concat('kilonova_migrate.', database()))`.execute(tx).catch(() => {});
}

const ifNotExists: KyselyPlugin = {
  transformQuery({ node }) {
    if (CreateTableNode.is(node) || CreateIndexNode.is(node)) return { ...node, ifNotExists: true };
    return node;
  },
  transformResult: async ({ result }) => result,
};
