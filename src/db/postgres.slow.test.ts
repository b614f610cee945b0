import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { Client } from 'pg';
import { engineContract } from '../../test/contracts/engine.ts';
import { requires } from '../../test/requires.ts';
import { startPostgres } from '../../test/servers/postgres.ts';
import { smallDisk } from '../../test/servers/small-disk.ts';
import { CloudError } from '../model/errors.ts';
import { migrate } from './migrate.ts';
import { openDatabase } from './open.ts';

engineContract('postgres', requires('postgres'), async () => {
  const server = await startPostgres();
  return {
    url: server.url,
    server,
    stop: () => server.stop(),
    async freshUrl() {
      const client = new Client({ connectionString: server.url });
      await client.connect();
      await client.query('create database fresh');
      await client.end();
      return server.url.replace(/\/kilonova$/, '/fresh');
    },
  };
});

test('postgres: a full disk is databaseFull, and it goes on when there is room', {
  skip: requires('postgres', 'small-disk'),
}, async () => {
  const disk = smallDisk(400);
  const server = await startPostgres({ dataDir: join(disk.dir, 'data') });
  const db = await openDatabase({ url: server.url });
  try {
    await migrate(db);
    const body = 'x'.repeat(4_000_000).replaceAll('x', () => String.fromCharCode(33 + Math.floor(Math.random() * 90))); // nothing to compress
    const write = () =>
      db.transaction(async (tx) => {
        await tx.insertInto('changes').values({ seq: null, noun: 'n', key: 'k', what: 'w', project_id: null, body, at: 1 }).execute();
      });
    await write();
    disk.fill();
    let cause: unknown;
    for (let n = 0; cause === undefined && n < 50; n++)
      await write().catch((reason: unknown) => {
        cause = reason;
      });
    assert.ok(cause instanceof CloudError && cause.code === 'database.full', inspect(cause));
    disk.empty();
    await write();
  } finally {
    await db.close();
    await server.stop();
    disk.remove();
  }
});
