import { after, test } from 'node:test';
import { requires } from '../requires.ts';
import { startMariadb } from '../servers/mariadb.ts';
import { standOn } from '../support/compute-database.ts';

// The stories of placement again, word for word, on MariaDB.
const reason = requires('mariadb');
if (reason) test('the stories of placement on MariaDB', { skip: reason }, () => {});
else {
  const server = await startMariadb();
  const { port, protocol, username } = new URL(server.url);
  standOn(`${protocol.replace('+pymysql', '')}//${protocol.startsWith('mysql') ? 'root' : username}@127.0.0.1:${port}`);
  await import('./providers.test.ts');
  await import('./claims.test.ts');
  await import('./candidates.test.ts');
  // Hooks run in their order: the houses of the stories close first.
  after(() => server.stop());
}
