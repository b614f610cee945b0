import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { CloudError } from '../../model/errors.ts';
import { openPostgres } from './postgres.ts';

const message = (type: string, body: Buffer) => {
  const head = Buffer.alloc(5);
  head.write(type);
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
};
const welcome = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))]);
const lastWord = message('E', Buffer.from('SFATAL\0VFATAL\0C57P01\0Mterminating connection due to unexpected postmaster exit\0\0'));

test('a server that says its last word in the breath of its welcome is away, and does not take us with it', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.once('data', () => socket.end(Buffer.concat([welcome, lastWord])));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const db = openPostgres({ url: `postgresql://u@127.0.0.1:${(server.address() as AddressInfo).port}/d`, patienceMs: 200 });
  try {
    for (const ask of [
      () => db.read.selectFrom('servers').select('uuid').execute(),
      () => db.transaction((tx) => tx.deleteFrom('servers').execute()),
    ])
      await assert.rejects(ask(), (cause) => cause instanceof CloudError && cause.code === 'database.unavailable');
  } finally {
    await db.close();
    server.close();
  }
});
