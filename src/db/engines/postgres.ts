import type { Database, EngineOptions } from '../engine.ts';

export function openPostgres(_options: EngineOptions): Database {
  throw new Error('PostgreSQL is not built in yet');
}
