import type { Database, EngineOptions } from '../engine.ts';

export function openMariadb(_options: EngineOptions): Database {
  throw new Error('MariaDB is not built in yet');
}
