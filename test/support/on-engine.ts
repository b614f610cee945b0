import { after, test } from 'node:test';
import { standHousesOn } from '../core-house.ts';
import { requires } from '../requires.ts';
import { notToDisk } from '../servers/not-to-disk.ts';
import { ownDatabase, standOn } from './compute-database.ts';

/** Runs stories again, word for word, on a private server of an engine. `stories` imports their files, one after the other. */
export async function onEngine(kind: 'mariadb' | 'postgres', what: string, stories: () => Promise<void>): Promise<void> {
  const reason = requires(kind);
  if (reason) return void test(`${what} on ${kind}`, { skip: reason }, () => {});
  const server = await notToDisk[kind]();
  const { port, protocol, username } = new URL(server.url);
  standOn(`${protocol.replace('+pymysql', '')}//${protocol.startsWith('mysql') ? 'root' : username}@127.0.0.1:${port}`);
  standHousesOn(async () => (await ownDatabase()).db);
  await stories();
  // Hooks run in their order: the houses of the stories close first.
  after(() => server.stop());
}
