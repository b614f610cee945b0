import { startMariadb } from './mariadb.ts';
import { startPostgres } from './postgres.ts';

/** Private servers for stories in which nobody pulls the plug: what is committed need not reach the disk. */
export const notToDisk = {
  mariadb: () => startMariadb({ args: ['--innodb-flush-log-at-trx-commit=0', '--innodb-flush-method=nosync'] }),
  postgres: () => startPostgres({ args: ['-c', 'fsync=off', '-c', 'synchronous_commit=off', '-c', 'full_page_writes=off'] }),
};
