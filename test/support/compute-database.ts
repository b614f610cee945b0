import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';
import type { Database } from '../../src/db/engine.ts';
import { openDatabase } from '../../src/db/open.ts';
import { openFresh } from './fresh-database.ts';

/** Where houses of this process stand, when not on SQLite: a server's URL as a user who may make databases, without a database's name. */
let server: string | undefined;
let made = 0;
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
    const client = new Client({ connectionString: `${server}/postgres` });
    await client.connect();
    await client.query(`create database ${name}`);
    await client.end();
  }
  const db = await openDatabase({ url: `${server}/${name}`, poolSize: 4 });
  return { db, drop: () => db.close() }; // the whole server is thrown away in the end
}
