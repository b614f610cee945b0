import { after, test } from 'node:test';
import { standHousesOn } from '../core-house.ts';
import { requires } from '../requires.ts';
import { startMariadb } from '../servers/mariadb.ts';
import { startPostgres } from '../servers/postgres.ts';
import { ownDatabase, standOn } from './compute-database.ts';

// Nobody pulls the plug in these stories: what is committed need not reach the disk.
const start = {
  mariadb: () => startMariadb({ args: ['--innodb-flush-log-at-trx-commit=0', '--innodb-flush-method=nosync'] }),
  postgres: () => startPostgres({ args: ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off'] }),
};

/** Runs stories again, word for word, on a private server of an engine. `stories` imports their files, one after the other. */
export async function onEngine(kind: 'mariadb' | 'postgres', what: string, stories: () => Promise<void>): Promise<void> {
  const reason = requires(kind);
  if (reason) return void test(`${what} on ${kind}`, { skip: reason }, () => {});
  const server = await start[kind]();
  const { port, protocol, username } = new URL(server.url);
  standOn(`${protocol.replace('+pymysql', '')}//${protocol.startsWith('mysql') ? 'root' : username}@127.0.0.1:${port}`);
  standHousesOn(async () => (await ownDatabase()).db);
  await stories();
  // Hooks run in their order: the houses of the stories close first.
  after(() => server.stop());
}
