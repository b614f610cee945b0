import type { Database, EngineOptions } from './engine.ts';

/** Opens the engine that the URL names: `sqlite:...` or a path, `mysql...://`, `mariadb://`, `postgresql://`. Heavy engines are loaded only when named.
 *  Throws a plain Error for a URL of another kind. */
export async function openDatabase(options: EngineOptions): Promise<Database> {
  const scheme = /^([a-z]+)(\+[a-z]+)?:\/\//.exec(options.url)?.[1];
  if (scheme === 'mysql' || scheme === 'mariadb') return (await import('./engines/mariadb.ts')).openMariadb(options);
  if (scheme === 'postgresql' || scheme === 'postgres') return (await import('./engines/postgres.ts')).openPostgres(options);
  if (scheme !== undefined && scheme !== 'sqlite')
    throw new Error(`${scheme}:// names no database that is served. Served: sqlite:///FILE, mysql://..., postgresql://...`);
  return (await import('./engines/sqlite.ts')).openSqlite(options);
}
