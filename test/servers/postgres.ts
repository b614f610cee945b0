import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { findProgram } from '../requires.ts';
import { freePort, type PrivateServer, privateServer, run, serverFolder } from './private-server.ts';

/** A private PostgreSQL with one empty database `kilonova`. It refuses to run as root, so then it runs as Debian's user postgres. */
export async function startPostgres(more: { dataDir?: string; args?: readonly string[] } = {}): Promise<PrivateServer> {
  const dir = serverFolder('postgres');
  const data = more.dataDir ?? join(dir, 'data');
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const port = await freePort();
  const root = process.getuid?.() === 0;
  if (root) await run(['chown', 'postgres', data]);
  await run(['chmod', '700', data]);
  const as = root ? [findProgram('setpriv') ?? 'setpriv', '--reuid=postgres', '--regid=postgres', '--init-groups'] : [];
  const program = (name: string) => findProgram(name) ?? name;
  await run([...as, program('initdb'), '-D', data, '-U', 'kilonova', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8', '--no-sync']);
  const url = (database: string) => `postgresql://kilonova:secret@127.0.0.1:${port}/${database}`;
  const server = await privateServer({
    name: 'PostgreSQL',
    url: url('kilonova'),
    dir,
    command: [
      ...as,
      ...(root ? ['--pdeathsig', 'KILL'] : []),
      program('postgres'),
      ...['-D', data, '-p', String(port), '-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories='],
      ...(more.args ?? []),
    ],
    endSignal: 'SIGINT', // fast shutdown; SIGTERM waits for every client
    ready: async () => {
      const client = new Client({ connectionString: url('postgres') });
      client.on('error', () => {});
      try {
        await client.connect();
        return true;
      } finally {
        await client.end();
      }
    },
  });
  const client = new Client({ connectionString: url('postgres') });
  await client.connect();
  await client.query('create database kilonova');
  await client.end();
  return server;
}
