import { sql } from 'kysely';
import type { Database } from './engine.ts';

/** A table as every engine would describe it. Keys and indexes are lists of columns, in their order, sorted among themselves. */
export interface TableDescription {
  /** Whether each column may be null. */
  readonly columns: Readonly<Record<string, { readonly nullable: boolean }>>;
  readonly primaryKey: readonly string[];
  readonly unique: readonly (readonly string[])[];
  readonly indexes: readonly (readonly string[])[];
}

interface ColumnRow {
  table_name: string;
  column_name: string;
  nullable: number;
}
interface KeyRow {
  table_name: string;
  index_name: string;
  column_name: string;
  kind: 'primary' | 'unique' | 'plain';
}

interface Table {
  readonly columns: Record<string, { nullable: boolean }>;
  readonly keys: Map<string, { kind: KeyRow['kind']; columns: string[] }>;
}

/** The tables that are there, by name, in a form that is equal on all engines. */
export async function describeSchema(db: Pick<Database, 'kind' | 'read'>): Promise<Record<string, TableDescription>> {
  const columns = (await COLUMNS[db.kind].execute(db.read)).rows;
  const keys = (await KEYS[db.kind].execute(db.read)).rows;
  const tables: Record<string, Table> = {};
  for (const row of columns) {
    const table: Table = tables[row.table_name] ?? { columns: {}, keys: new Map() };
    tables[row.table_name] = table;
    table.columns[row.column_name] = { nullable: Number(row.nullable) === 1 };
  }
  for (const row of keys) {
    const known = tables[row.table_name]?.keys;
    const key = known?.get(row.index_name) ?? { kind: row.kind, columns: [] };
    key.columns.push(row.column_name);
    known?.set(row.index_name, key);
  }
  return Object.fromEntries(
    Object.entries(tables)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, table]) => {
        const of = (kind: KeyRow['kind']) =>
          [...table.keys.values()]
            .filter((key) => key.kind === kind)
            .map((key) => key.columns)
            .sort((a, b) => (a.join() < b.join() ? -1 : 1));
        const primaryKey = of('primary')[0] ?? [];
        // SQLite tells nothing of an integer primary key's nullability; a key is never null anywhere.
        const described = Object.fromEntries(
          Object.entries(table.columns)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([column, { nullable }]) => [column, { nullable: nullable && !primaryKey.includes(column) }]),
        );
        return [name, { columns: described, primaryKey, unique: of('unique'), indexes: of('plain') }];
      }),
  );
}

const COLUMNS = {
  sqlite: sql<ColumnRow>`select m.name as table_name, c.name as column_name, 1 - c."notnull" as nullable
    from sqlite_master m, pragma_table_info(m.name) c where m.type = 'table' and m.name not like 'sqlite_%'`,
  mariadb: sql<ColumnRow>`select table_name as table_name, column_name as column_name, is_nullable = 'YES' as nullable
    from information_schema.columns where table_schema = database()`,
  postgres: sql<ColumnRow>`select table_name, column_name, (is_nullable = 'YES')::int as nullable
    from information_schema.columns where table_schema = current_schema()`,
} as const;

const KEYS = {
  sqlite: sql<KeyRow>`select * from (
    select m.name as table_name, i.name as index_name, c.name as column_name, c.seqno as place,
      case when i.origin = 'pk' then 'primary' when i."unique" then 'unique' else 'plain' end as kind
    from sqlite_master m, pragma_index_list(m.name) i, pragma_index_info(i.name) c where m.type = 'table'
    union all
    select m.name, 'rowid', c.name, 0, 'primary' from sqlite_master m, pragma_table_info(m.name) c
    where m.type = 'table' and c.pk = 1 and not exists (select 1 from pragma_index_list(m.name) i where i.origin = 'pk')
  ) order by table_name, index_name, place`,
  mariadb: sql<KeyRow>`select table_name as table_name, index_name as index_name, column_name as column_name,
      case when index_name = 'PRIMARY' then 'primary' when non_unique = 0 then 'unique' else 'plain' end as kind
    from information_schema.statistics where table_schema = database() order by table_name, index_name, seq_in_index`,
  postgres: sql<KeyRow>`select t.relname as table_name, i.relname as index_name, a.attname as column_name,
      case when x.indisprimary then 'primary' when x.indisunique then 'unique' else 'plain' end as kind
    from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
      join pg_namespace n on n.oid = t.relnamespace and n.nspname = current_schema()
      cross join lateral unnest(x.indkey) with ordinality as k(attnum, place)
      join pg_attribute a on a.attrelid = t.oid and a.attnum = k.attnum
    order by t.relname, i.relname, k.place`,
} as const;
