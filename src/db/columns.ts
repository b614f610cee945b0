import { sql } from 'kysely';
import type { EngineKind } from './engine.ts';

/** The column types migrations use, alike on all engines. Booleans are smallint 0/1, times bigint microseconds, JSON is text. */
export const columnTypes = (kind: EngineKind) =>
  ({
    /** A key that numbers itself. Use as `.addColumn('id', t.key, c => t.asKey(c))`. */
    key: kind === 'sqlite' ? sql`integer` : kind === 'postgres' ? sql`bigserial` : sql`bigint auto_increment`,
    big: sql`bigint`,
    int: sql`integer`,
    bool: sql`smallint`,
    real: kind === 'postgres' ? sql`double precision` : sql`double`,
    uuid: sql`char(36)`,
    hexId: sql`char(32)`,
    string: (length: number) => sql.raw(`varchar(${length})`),
    /** Up to 16 MiB. */
    text: kind === 'mariadb' ? sql`longtext` : sql`text`,
  }) as const;
export type ColumnTypes = ReturnType<typeof columnTypes>;
