import type { Database, EngineOptions } from './engine.ts';

/** Opens the engine that the URL names: `sqlite:...` or a path, `mysql...://`, `mariadb://`, `postgresql://`. Heavy engines are loaded only when named. */
export async function openDatabase(options: EngineOptions): Promise<Database> {
  const scheme = /^([a-z]+)(\+[a-z]+)?:\/\//.exec(options.url)?.[1];
  if (scheme === 'mysql' || scheme === 'mariadb') return (await import('./engines/mariadb.ts')).openMariadb(options);
  if (scheme === 'postgresql' || scheme === 'postgres') return (await import('./engines/postgres.ts')).openPostgres(options);
  return (await import('./engines/sqlite.ts')).openSqlite(options);
}
