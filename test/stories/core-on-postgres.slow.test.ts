import { after, test } from 'node:test';
import { standHousesOn } from '../core-house.ts';
import { requires } from '../requires.ts';
import { startPostgres } from '../servers/postgres.ts';
import { ownDatabase, standOn } from '../support/compute-database.ts';

// The stories of conductor, scheduler and agent again, word for word, on PostgreSQL.
const reason = requires('postgres');
if (reason) test('the core on postgres', { skip: reason }, () => {});
else {
  const server = await startPostgres();
  const { port, protocol, username } = new URL(server.url);
  standOn(`${protocol.replace('+pymysql', '')}//${protocol.startsWith('mysql') ? 'root' : username}@127.0.0.1:${port}`);
  standHousesOn(async () => (await ownDatabase()).db);
  await import('./build-a-server.test.ts');
  await import('./build-fails.test.ts');
  await import('./parallel-placing.test.ts');
  await import('./agent-restarts.test.ts');
  await import('./vanished-jobs.test.ts');
  await import('./usage-audit.test.ts');
  await import('./notifications.test.ts');
  await import('../scheduler/live-hosts.test.ts');
  await import('../scheduler/legacy-claim.test.ts');
  await import('../scheduler/machine-parts.test.ts');
  await import('../compute-api/acts/acts.test.ts');
  await import('../compute-api/acts/deletes.test.ts');
  await import('../compute-api/acts/locks.test.ts');
  await import('../compute-api/acts/rebuild.test.ts');
  await import('../compute-api/acts/rescue.test.ts');
  await import('../compute-api/acts/snapshots.test.ts');
  await import('../compute-api/acts/soft-delete.test.ts');
  await import('../compute-api/acts/guest-facts.test.ts');
  await import('../compute-api/acts/consoles.test.ts');
  await import('../compute-api/moves/resize.test.ts');
  await import('../compute-api/moves/machine-parts.test.ts');
  await import('../compute-api/moves/live-migrate.test.ts');
  await import('../compute-api/moves/evacuate.test.ts');
  await import('../compute-api/moves/shelve.test.ts');
  await import('../compute-api/moves/states.test.ts');
  await import('../compute-api/moves/moves-fail.test.ts');
  // Hooks run in their order: the houses of the stories close first.
  after(() => server.stop());
}
