import { after, test } from 'node:test';
import { requires } from '../requires.ts';
import { startPostgres } from '../servers/postgres.ts';
import { standOn } from '../support/compute-database.ts';

// The stories of the block storage service again, word for word, on PostgreSQL.
const reason = requires('postgres');
if (reason) test('block storage on PostgreSQL', { skip: reason }, () => {});
else {
  const server = await startPostgres();
  const { port, protocol, username } = new URL(server.url);
  standOn(`${protocol.replace('+pymysql', '')}//${protocol.startsWith('mysql') ? 'root' : username}@127.0.0.1:${port}`);
  await import('./volume.test.ts');
  // Hooks run in their order: the houses of the stories close first.
  after(() => server.stop());
}
