import { after, test } from 'node:test';
import { requires } from '../requires.ts';
import { startPostgres } from '../servers/postgres.ts';
import { standOn } from '../support/compute-database.ts';

// The stories of the compute API again, word for word, on PostgreSQL.
const reason = requires('postgres');
if (reason) test('the stories of the compute API on PostgreSQL', { skip: reason }, () => {});
else {
  const server = await startPostgres();
  const { port, protocol, username } = new URL(server.url);
  standOn(`${protocol.replace('+pymysql', '')}//${protocol.startsWith('mysql') ? 'root' : username}@127.0.0.1:${port}`);
  await import('./flavors.test.ts');
  await import('./keypairs.test.ts');
  await import('./hosts.test.ts');
  await import('./os-hosts.test.ts');
  await import('./aggregates.test.ts');
  await import('./server-groups.test.ts');
  await import('./usage.test.ts');
  await import('./notices.test.ts');
  await import('./hostile.test.ts');
  await import('./tags.test.ts');
  await import('./consoles.test.ts');
  // Hooks run in their order: the houses of the stories close first.
  after(() => server.stop());
}
