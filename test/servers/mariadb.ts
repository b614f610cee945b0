import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { findProgram } from '../requires.ts';
import { freePort, type PrivateServer, privateServer, run, serverFolder } from './private-server.ts';

/** A private MariaDB with one empty database `kilonova`. `dataDir` puts its files elsewhere, as on a small file system. */
export async function startMariadb(more: { dataDir?: string; args?: readonly string[] } = {}): Promise<PrivateServer> {
  const dir = serverFolder('mariadb');
  const data = more.dataDir ?? join(dir, 'data');
  mkdirSync(data, { recursive: true });
  const port = await freePort();
  const asRoot = process.getuid?.() === 0 ? ['--user=root'] : [];
  await run([
    findProgram('mariadb-install-db') ?? 'mariadb-install-db',
    '--no-defaults',
    ...asRoot,
    `--datadir=${data}`,
    '--auth-root-authentication-method=normal',
    '--skip-test-db',
  ]);
  const root = { host: '127.0.0.1', port, user: 'root' };
  const server = await privateServer({
    name: 'MariaDB',
    // As in a nova.conf of old: SQLAlchemy's driver and its charset, both of which mean nothing to us.
    url: `mysql+pymysql://kilonova:s%40cret@127.0.0.1:${port}/kilonova?charset=utf8`,
    dir,
    command: [
      findProgram('mariadbd') ?? 'mariadbd',
      '--no-defaults',
      ...asRoot,
      `--datadir=${data}`,
      `--port=${port}`,
      '--bind-address=127.0.0.1',
      `--socket=${join(dir, 'm.sock')}`,
      `--pid-file=${join(dir, 'm.pid')}`,
      '--skip-name-resolve',
      '--innodb-buffer-pool-size=64M',
      ...(more.args ?? []),
    ],
    ready: async () => {
      const connection = await createConnection(root);
      await connection.end();
      return true;
    },
  });
  const connection = await createConnection(root);
  await connection.query('create database kilonova character set latin1'); // the worst an operator may have given us
  await connection.query("create user kilonova@'%' identified by 's@cret'");
  await connection.query("grant all on kilonova.* to kilonova@'%'");
  await connection.end();
  return server;
}
