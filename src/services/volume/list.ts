import { type RawBuilder, sql } from 'kysely';
import { type Call, one } from '../../http/call.ts';
import { volumeInput } from '../../model/errors-volume.ts';
import { flagIn, isAdmin, projectOf, readFlag } from './find.ts';
import { filtersByPart, listsCount } from './microversions.ts';
import type { VolumeParts } from './parts.ts';

type Condition = RawBuilder<boolean>;
/** A filter word with its column; kinds: text, flag (0/1), number. */
export type Filters = Readonly<Record<string, readonly [column: string, kind: 'text' | 'flag' | 'number']>>;
export interface Listing {
  readonly table: 'volumes' | 'volume_snapshots' | 'volume_attachments' | 'volume_messages';
  readonly filters: Filters;
  readonly sorts: Readonly<Record<string, string>>;
  /** Path for the link to the next page: 'volumes/detail'. */
  readonly path: string;
  /** Whether rows carry metadata to filter by. */
  readonly metadata?: boolean;
}
const MAX = 1000;
const WORDS = new Set(['limit', 'marker', 'offset', 'sort', 'sort_key', 'sort_dir', 'all_tenants', 'with_count']);

/** The rows a list asks for: whose, filters, sorting, pages by marker or offset; one row more than a page tells whether there is another. Words that
 *  are no filter are passed over, as Cinder does.  Spec: block storage api-ref, "List accessible volumes". */
export async function listRows<R extends { id: number; uuid: string }>(
  { db }: VolumeParts,
  call: Call,
  listing: Listing,
): Promise<{ rows: R[]; links: object[] | undefined; count: number | undefined }> {
  const admin = isAdmin(call);
  const all = admin && flagIn(call, 'all_tenants');
  const visible: Condition[] = all ? [] : [sql<boolean>`project_id = ${projectOf(call)}`];
  const project = one(call, 'project_id');
  if (all && project !== undefined) visible.push(sql<boolean>`project_id = ${project}`);
  const filters = conditionsOf(call, listing, db.kind);
  const table = sql.table(listing.table);
  const where = (conditions: readonly Condition[]) => (conditions.length > 0 ? sql`where ${sql.join(conditions, sql` and `)}` : sql``);
  const order = orderOf(call, listing);
  const paged: Condition[] = [];
  const marker = one(call, 'marker');
  if (marker !== undefined) {
    const found = await sql<R>`select * from ${table} ${where([...visible, sql<boolean>`uuid = ${marker}`])}`.execute(db.read);
    const row = found.rows[0];
    if (!row) throw volumeInput({ why: `marker [${marker.slice(0, 100)}] not found` });
    paged.push(after(order, row as unknown as Record<string, unknown>)); // read by column name
  }
  const limit = Math.min(whole(call, 'limit') ?? MAX, MAX);
  const offset = whole(call, 'offset') ?? 0;
  const by = sql.join(order.map((key) => sql`${sortable(key)} ${key.down ? sql`desc` : sql`asc`}`));
  const found =
    await sql<R>`select * from ${table} ${where([...visible, ...filters, ...paged])} order by ${by} limit ${sql.lit(limit + 1)} offset ${sql.lit(offset)}`.execute(
      db.read,
    );
  const rows = found.rows.slice(0, limit);
  const last = rows.at(-1);
  const more = found.rows.length > limit && last !== undefined;
  const count = listsCount(call.version) && flagIn(call, 'with_count') ? await countOf() : undefined;
  return { rows, links: more ? [{ rel: 'next', href: nextPage(call, listing, last.uuid) }] : undefined, count };

  async function countOf(): Promise<number> {
    const counted = await sql<{ count: number }>`select count(*) as count from ${table} ${where([...visible, ...filters])}`.execute(
      db.read,
    );
    return Number(counted.rows[0]?.count ?? 0);
  }
}

function whole(call: Call, word: 'limit' | 'offset'): number | undefined {
  const given = one(call, word);
  if (given === undefined) return undefined;
  if (!/^\d{1,9}$/.test(given)) throw volumeInput({ why: `${word} must be an integer not less than 0, not '${given.slice(0, 50)}'` });
  return Number(given);
}

function conditionsOf(call: Call, listing: Listing, kind: 'sqlite' | 'mariadb' | 'postgres'): Condition[] {
  const holds = (column: string, text: string): Condition => {
    const ref = sql.ref(column);
    if (kind === 'postgres') return sql<boolean>`strpos(${ref}, ${text}) > 0`;
    return kind === 'mariadb' ? sql<boolean>`locate(binary ${text}, ${ref}) > 0` : sql<boolean>`instr(${ref}, ${text}) > 0`;
  };
  const conditions: Condition[] = [];
  for (const [asked, values] of Object.entries(call.query)) {
    if (WORDS.has(asked)) continue;
    const value = values.at(-1) ?? '';
    const part = asked.endsWith('~') && filtersByPart(call.version);
    const word = part ? asked.slice(0, -1) : asked;
    if (word === 'metadata' && listing.metadata) {
      for (const [key, text] of Object.entries(readDict(value)))
        conditions.push(holds('metadata', JSON.stringify({ [key]: text }).slice(1, -1)));
      continue;
    }
    const known = Object.hasOwn(listing.filters, word) ? listing.filters[word] : undefined;
    if (!known) continue;
    const [column, type] = known;
    const ref = sql.ref(column);
    if (type === 'flag') conditions.push(sql<boolean>`${ref} = ${readFlag(word, value) ? 1 : 0}`);
    else if (type === 'number') conditions.push(/^\d{1,9}$/.test(value) ? sql<boolean>`${ref} = ${Number(value)}` : sql<boolean>`1 = 0`);
    else if (part) conditions.push(holds(column, value));
    else conditions.push(sql<boolean>`${ref} = ${value}`);
  }
  return conditions;
}

/** A dictionary as clients write it into a query: Python's form, or JSON. */
function readDict(text: string): Record<string, string> {
  const words = [...text.matchAll(/u?(['"])((?:\\.|(?!\1).)*)\1\s*:\s*u?(['"])((?:\\.|(?!\3).)*)\3/g)];
  if (words.length === 0 && !/^\s*\{\s*\}\s*$/.test(text)) throw volumeInput({ why: `'${text.slice(0, 100)}' is not a dictionary` });
  return Object.fromEntries(
    words.map(([, , key = '', , value = '']) => [key.replaceAll(/\\(.)/g, '$1'), value.replaceAll(/\\(.)/g, '$1')]),
  );
}

interface SortKey {
  readonly column: string;
  readonly down: boolean;
}
function orderOf(call: Call, listing: Listing): SortKey[] {
  const sort = one(call, 'sort');
  const key = one(call, 'sort_key');
  const wishes =
    sort !== undefined
      ? sort.split(',').map((word) => word.trim().split(':'))
      : key !== undefined
        ? [[key, one(call, 'sort_dir') ?? 'desc']]
        : [['created_at', 'desc']];
  const keys = wishes.map(([word = '', dir = 'desc']) => {
    const column = Object.hasOwn(listing.sorts, word) ? listing.sorts[word] : undefined;
    if (column === undefined)
      throw volumeInput({ why: `Sort key ${word.slice(0, 50)} is not valid. It is one of ${Object.keys(listing.sorts).join(', ')}` });
    if (dir !== 'asc' && dir !== 'desc') throw volumeInput({ why: `Unknown sort direction, must be 'desc' or 'asc'` });
    return { column, down: dir === 'desc' };
  });
  return [...keys, { column: 'id', down: keys[0]?.down ?? true }];
}
const NUMBERS = new Set(['id', 'size', 'bootable', 'created_at', 'updated_at']);
// Engines disagree on where nulls stand; so they stand as '' or 0.
const sortable = ({ column }: SortKey) =>
  column === 'id' ? sql.ref('id') : sql`coalesce(${sql.ref(column)}, ${NUMBERS.has(column) ? sql.lit(0) : sql.lit('')})`;
function after(order: readonly SortKey[], row: Readonly<Record<string, unknown>>): Condition {
  const [key, ...rest] = order;
  if (!key) return sql<boolean>`1 = 0`;
  const value = row[key.column] ?? (NUMBERS.has(key.column) ? 0 : '');
  const beyond = key.down ? sql`<` : sql`>`;
  return sql<boolean>`(${sortable(key)} ${beyond} ${value} or (${sortable(key)} = ${value} and ${after(rest, row)}))`;
}

function nextPage(call: Call, listing: Listing, marker: string): string {
  const words = new URLSearchParams();
  for (const [word, values] of Object.entries(call.query))
    if (word !== 'marker' && word !== 'offset') for (const value of values) words.append(word, value);
  words.set('marker', marker);
  const project = call.params.project_id;
  return `${call.base}/v3/${project === undefined ? '' : `${project}/`}${listing.path}?${words}`;
}

export const TIMES = { created_at: 'created_at', updated_at: 'updated_at' } as const;
