import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { createConnection } from 'mysql2/promise';
import { engineContract } from '../../test/contracts/engine.ts';
import { requires } from '../../test/requires.ts';
import { startMariadb } from '../../test/servers/mariadb.ts';
import { smallDisk } from '../../test/servers/small-disk.ts';
import { CloudError } from '../model/errors.ts';
import { migrate } from './migrate.ts';
import { openDatabase } from './open.ts';

engineContract('mariadb', requires('mariadb'), async () => {
  const server = await startMariadb();
  return {
    url: server.url,
    server,
    stop: () => server.stop(),
    async freshUrl() {
      const connection = await createConnection({ host: '127.0.0.1', port: Number(new URL(server.url).port), user: 'root' });
      await connection.query('create database fresh');
      await connection.query("grant all on fresh.* to kilonova@'%'");
      await connection.end();
      return server.url.replace('/kilonova?', '/fresh?');
    },
  };
});

test('mariadb: a full disk is databaseFull, or databaseUnavailable where InnoDB ends its server, and all is there when there is room', {
  skip: requires('mariadb', 'mount'),
}, async () => {
  const disk = smallDisk(400);
  const server = await startMariadb({ dataDir: join(disk.dir, 'data') });
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
    assert.ok(cause instanceof CloudError && /^database\.(full|unavailable)$/.test(cause.code), String(cause));
    disk.empty();
    if (cause.code === 'database.unavailable') await server.restart(); // its log could not grow: InnoDB gives up on purpose
    await write();
  } finally {
    await db.close();
    await server.stop();
    disk.remove();
  }
});
