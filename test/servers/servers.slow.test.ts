import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { requires } from '../requires.ts';
import { startMariadb } from './mariadb.ts';
import { startPostgres } from './postgres.ts';
import { startRabbitmq } from './rabbitmq.ts';

for (const [name, start] of [
  ['mariadb', startMariadb],
  ['postgres', startPostgres],
  ['rabbitmq', startRabbitmq],
] as const) {
  test(`a private ${name} starts, survives kill -9, restarts and leaves nothing`, { skip: requires(name) }, async () => {
    const server = await start();
    try {
      await server.kill();
      await server.restart();
      await server.restart();
    } finally {
      await server.stop();
    }
    assert.equal(existsSync(server.dir), false);
  });
}
