import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import type { Database } from '../../src/db/engine.ts';
import { migrate } from '../../src/db/migrate.ts';
import { openDatabase } from '../../src/db/open.ts';
import { openFresh } from './fresh-database.ts';

/** Where houses of this process stand, when not on SQLite: a server's URL as a user who may make databases, without a database's name. */
let server: string | undefined;
let made = 0;
/** PostgreSQL copies a database with all tables in a tenth of the time that making them takes. */
let template: Promise<string> | undefined;
export const standOn = (url: string): void => {
  server = url;
};

/** An empty database of its own. `drop` closes it and removes it. */
export async function ownDatabase(): Promise<{ db: Database; drop(): Promise<void> }> {
  if (server === undefined) {
    const dir = mkdtempSync(join(tmpdir(), 'kilonova-compute-'));
    const db = await openFresh(join(dir, 'cloud.db'));
    return {
      db,
      async drop() {
        await db.close();
        rmSync(dir, { recursive: true, force: true });
      },
    };
  }
  const name = `house_${++made}`;
  if (server.startsWith('mysql')) {
    const connection = await createConnection(server);
    await connection.query(`create database ${name}`);
    await connection.end();
  } else {
    template ??= makeTemplate(server);
    await onPostgres(server, `create database ${name} template ${await template}`);
  }
  const db = await openDatabase({ url: `${server}/${name}`, poolSize: 4 });
  return { db, drop: () => db.close() }; // the whole server is thrown away in the end
}

async function makeTemplate(url: string): Promise<string> {
  await onPostgres(url, 'create database house_template');
  const db = await openDatabase({ url: `${url}/house_template`, poolSize: 1 });
  await migrate(db);
  await db.close();
  return 'house_template';
}

async function onPostgres(url: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: `${url}/postgres` });
  await client.connect();
  await client.query(statement);
  await client.end();
}
