import { sql } from 'kysely';
import type { EngineKind } from './engine.ts';

// Texts compare by code point, with case and trailing spaces, on every engine and whatever the database's own default is.
const COLLATION = {
  sqlite: '',
  mariadb: ' character set utf8mb4 collate utf8mb4_nopad_bin',
  postgres: ' collate "C"',
} as const;

/** The column types migrations use, alike on all engines. Booleans are smallint 0/1, times bigint microseconds, JSON is text.
 *  MariaDB takes at most 3072 bytes in one index, four for each sign: varchars of at most 767 signs together. */
export const columnTypes = (kind: EngineKind) => {
  const words = (type: string) => sql.raw(`${type}${COLLATION[kind]}`);
  return {
    /** A key that numbers itself. Use as `.addColumn('id', t.key, (c) => c.primaryKey())`. */
    key: kind === 'sqlite' ? sql`integer` : kind === 'postgres' ? sql`bigserial` : sql`bigint auto_increment`,
    big: sql`bigint`,
    int: sql`integer`,
    bool: sql`smallint`,
    real: kind === 'postgres' ? sql`double precision` : sql`double`,
    // varchar, not char: PostgreSQL pads a char with spaces, MariaDB cuts them off
    uuid: words('varchar(36)'),
    hexId: words('varchar(32)'),
    string: (length: number) => words(`varchar(${length})`),
    /** Up to 16 MiB. */
    text: words(kind === 'mariadb' ? 'longtext' : 'text'),
  } as const;
};
export type ColumnTypes = ReturnType<typeof columnTypes>;
