import { type RawBuilder, sql } from 'kysely';
import type { Database } from '../../db/engine.ts';
import type { Call } from '../../http/call.ts';
import { one } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { badNetworkInput } from '../../model/errors-network.ts';

/** How one attribute of the API stands in its table, for filters and sorting. */
export type Column = { readonly column: string; readonly kind: 'text' | 'bool' | 'int' };
export const textColumn = (column: string): Column => ({ column, kind: 'text' });
export const boolColumn = (column: string): Column => ({ column, kind: 'bool' });
export const intColumn = (column: string): Column => ({ column, kind: 'int' });
/** Filters every noun has, and their columns. */
export const commonColumns = {
  id: textColumn('uuid'),
  name: textColumn('name'),
  description: textColumn('description'),
  project_id: textColumn('project_id'),
  tenant_id: textColumn('project_id'),
  revision_number: intColumn('revision'),
} as const;

export interface Listing {
  readonly table: string;
  /** `ports`: for the answer's key and the links. */
  readonly plural: string;
  readonly columns: Readonly<Record<string, Column>>;
  /** Filters that are no plain column. */
  readonly special?: Readonly<Record<string, (values: readonly string[], kind: Database['kind']) => RawBuilder<boolean>>>;
  readonly hasTags: boolean;
}
type Condition = RawBuilder<boolean>;
interface Row {
  readonly id: number;
  readonly uuid: string;
}
const WORDS = new Set(['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir']);
const TAG_WORDS = new Set(['tags', 'tags-any', 'not-tags', 'not-tags-any']);

/** Whether a text column holds this text, case and all, on each engine. */
export const holds = (kind: Database['kind'], column: string, text: string): Condition => {
  const ref = sql.ref(column);
  if (kind === 'postgres') return sql<boolean>`strpos(${ref}, ${text}) > 0`;
  if (kind === 'mariadb') return sql<boolean>`locate(binary ${text}, ${ref}) > 0`;
  return sql<boolean>`instr(${ref}, ${text}) > 0`;
};

/** Reads the rows a listing asks for: filters (a word repeated means "any of"), sorting, and pages by marker. `visible` is what the caller may see at all.
 *  Spec: network api-ref, "Filtering and Column Selection", "Sorting", "Pagination". */
export async function listRows<R extends Row>(
  db: Database,
  call: Call,
  listing: Listing,
  visible: readonly Condition[],
): Promise<{ rows: R[]; links: { rel: string; href: string }[] | undefined }> {
  const conditions = [...visible, ...filters(db.kind, call, listing)];
  const where = (all: readonly Condition[]) => (all.length ? sql`where ${sql.join(all, sql` and `)}` : sql``);
  const table = sql.table(listing.table);
  const reverse = ['true', '1'].includes((one(call, 'page_reverse') ?? '').toLowerCase());
  const order = ordering(call, listing).map((key) => ({ ...key, down: key.down !== reverse }));
  const limit = readLimit(call);
  const marker = one(call, 'marker');
  if (marker) {
    const found = await sql<R>`select * from ${table} ${where([...visible, sql<boolean>`uuid = ${marker}`])} limit 1`.execute(db.read);
    const row = found.rows[0];
    if (!row) throw badNetworkInput({ why: `Invalid input for operation: marker ${marker.slice(0, 100)} is not found.` });
    conditions.push(after(order, row as unknown as Record<string, unknown>)); // read by column name
  }
  const by = sql.join(order.map((key) => sql`${sortable(key)} ${key.down ? sql`desc` : sql`asc`}`));
  const cut = limit === undefined ? sql`` : sql`limit ${sql.lit(limit + 1)}`;
  const found = await sql<R>`select * from ${table} ${where(conditions)} order by ${by} ${cut}`.execute(db.read);
  const rows = limit === undefined ? found.rows : found.rows.slice(0, limit);
  if (reverse) rows.reverse();
  return {
    rows,
    links: limit === undefined ? undefined : links(call, listing, rows, found.rows.length > limit, reverse, marker !== undefined),
  };
}

function filters(kind: Database['kind'], call: Call, listing: Listing): Condition[] {
  const conditions: Condition[] = [];
  for (const [word, values] of Object.entries(call.query)) {
    if (WORDS.has(word)) continue;
    const special = listing.special && Object.hasOwn(listing.special, word) ? listing.special[word] : undefined;
    if (special) conditions.push(special(values, kind));
    else if (listing.hasTags && TAG_WORDS.has(word)) conditions.push(tagFilter(kind, word, values));
    else if (word === 'changed_since') conditions.push(sql<boolean>`updated_at >= ${readTime(values[0] ?? '')}`);
    else {
      const column = Object.hasOwn(listing.columns, word) ? listing.columns[word] : undefined;
      if (!column) throw invalidInput({ why: `Invalid input for operation: ['${word.slice(0, 50)}'] is invalid attribute for filtering.` });
      conditions.push(plainFilter(column, word, values));
    }
  }
  return conditions;
}

function plainFilter({ column, kind }: Column, word: string, values: readonly string[]): Condition {
  const ref = sql.ref(column);
  if (kind === 'text') {
    const known = values.slice(0, 5000);
    const empty = known.includes('') ? sql` or ${ref} is null` : sql``;
    return sql<boolean>`(${ref} in (${sql.join(known)})${empty})`;
  }
  const numbers = values.map((value) => {
    const low = value.toLowerCase();
    if (kind === 'bool' && (low === 'true' || low === '1')) return 1;
    if (kind === 'bool' && (low === 'false' || low === '0')) return 0;
    if (kind === 'int' && /^-?\d{1,15}$/.test(value)) return Number(value);
    throw invalidInput({
      why: `Invalid input for ${word}. Reason: '${value.slice(0, 50)}' is not ${kind === 'bool' ? 'a boolean' : 'an integer'}.`,
    });
  });
  return sql<boolean>`${ref} in (${sql.join(numbers)})`;
}

function tagFilter(kind: Database['kind'], word: string, values: readonly string[]): Condition {
  const tags = values.flatMap((value) => value.split(',')).filter((value) => value !== '');
  if (tags.length === 0) return sql<boolean>`1 = 1`;
  const each = tags.map((tag) => holds(kind, 'tags', JSON.stringify(tag)));
  const joined = sql<boolean>`(${sql.join(each, word.endsWith('-any') ? sql` or ` : sql` and `)})`;
  return word.startsWith('not-') ? sql<boolean>`not ${joined}` : joined;
}

function readTime(value: string): number {
  const at = Date.parse(/[zZ]|[+-]\d{2}:?\d{2}$/.test(value) ? value : `${value}Z`);
  if (Number.isNaN(at)) throw invalidInput({ why: `Invalid input for changed_since. Reason: '${value.slice(0, 50)}' is not a date.` });
  return at * 1000;
}

type SortKey = Column & { readonly down: boolean };
function ordering(call: Call, listing: Listing): SortKey[] {
  const keys = call.query.sort_key ?? [];
  const dirs = call.query.sort_dir ?? [];
  if (dirs.length > 0 && dirs.length !== keys.length) throw invalidInput({ why: 'The number of sort_keys and sort_dirs must be same' });
  const order = keys.map((word, at) => {
    const column = Object.hasOwn(listing.columns, word) ? listing.columns[word] : undefined;
    const dir = dirs[at] ?? 'asc';
    if (!column) throw invalidInput({ why: `${word.slice(0, 50)} is invalid attribute for sort_keys` });
    if (dir !== 'asc' && dir !== 'desc') throw invalidInput({ why: "sort_dir must be one of 'asc' and 'desc'" });
    return { ...column, down: dir === 'desc' };
  });
  return [...order, { column: 'id', kind: 'int', down: false }];
}

// Engines disagree on where nulls stand; so they stand as '' or 0.
const sortable = (key: Column) =>
  key.column === 'id' ? sql.ref('id') : sql`coalesce(${sql.ref(key.column)}, ${key.kind === 'text' ? sql.lit('') : sql.lit(0)})`;
function after(order: readonly SortKey[], row: Readonly<Record<string, unknown>>): Condition {
  const [key, ...rest] = order;
  if (!key) return sql<boolean>`1 = 0`;
  const value = row[key.column] ?? (key.kind === 'text' ? '' : 0);
  const beyond = key.down ? sql`<` : sql`>`;
  return sql<boolean>`(${sortable(key)} ${beyond} ${value} or (${sortable(key)} = ${value} and ${after(rest, row)}))`;
}

function readLimit(call: Call): number | undefined {
  const asked = one(call, 'limit');
  if (asked === undefined) return undefined;
  if (!/^\d{1,9}$/.test(asked))
    throw badNetworkInput({ why: `Bad limit request: limit must be an integer 0 or greater, not '${asked.slice(0, 50)}'.` });
  const limit = Number(asked);
  return limit === 0 ? undefined : limit;
}

function links(call: Call, listing: Listing, rows: readonly Row[], more: boolean, reverse: boolean, marked: boolean) {
  const first = rows[0];
  const last = rows.at(-1);
  const href = (marker: string, back: boolean) => {
    const words = new URLSearchParams();
    for (const [word, values] of Object.entries(call.query))
      if (word !== 'marker' && word !== 'page_reverse') for (const value of values) words.append(word, value);
    words.set('marker', marker);
    if (back) words.set('page_reverse', 'True');
    return `${call.base}/v2.0/${listing.plural.replaceAll('_', '-')}?${words}`;
  };
  return [
    ...(last && (reverse ? marked : more) ? [{ rel: 'next', href: href(last.uuid, false) }] : []),
    ...(first && (reverse ? more : marked) ? [{ rel: 'previous', href: href(first.uuid, true) }] : []),
  ];
}

/** Only the asked fields of a view. */
export function selectFields<V extends object>(call: Call, view: V): Partial<V> {
  const asked = call.query.fields;
  if (!asked || asked.length === 0) return view;
  const names = new Set(asked.flatMap((value) => value.split(',')));
  return Object.fromEntries(Object.entries(view).filter(([key]) => names.has(key))) as Partial<V>; // a subset of its entries
}

/** The whole answer to a listing. */
export const listAnswer = (call: Call, listing: Listing, views: readonly object[], links: object[] | undefined) => ({
  status: 200,
  body: {
    [listing.plural]: views.map((view) => selectFields(call, view)),
    ...(links && links.length > 0 ? { [`${listing.plural}_links`]: links } : {}),
  },
});
