import type { Kysely } from 'kysely';
import type { ColumnTypes } from '../columns.ts';
import type { EngineKind } from '../engine.ts';

/** One step of the schema, forward only. `up` runs in one transaction where the engine can. MariaDB commits each DDL by itself, so a step that was
 *  cut short is run again from its beginning: tables and indexes are made "if not exists" by themselves (migrate.ts); seeds use insertIgnore, and a
 *  column is added only where `describeSchema` does not know it. */
export interface Migration {
  // biome-ignore lint/suspicious/noExplicitAny: a migration works on tables as they were, not as the schema types know them
  up(tx: Kysely<any>, t: ColumnTypes, kind: EngineKind): Promise<void>;
}
