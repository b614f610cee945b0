import { FILTER_COLUMNS, type ImageFilter, NUMBER_COLUMNS, SORT_COLUMNS, type SortColumn } from '../../db/tables/image/list-images.ts';
import type { Call } from '../../http/call.ts';
import { one } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { MEMBER_STATUSES, VISIBILITIES } from '../../model/image.ts';

const DEFAULT_LIMIT = 25;
const MAX_LIMIT = 1000;
const COLUMN_OF: Readonly<Record<string, string>> = { id: 'uuid' };
/** Filters whose value may be a list: `in:a,b`. */
const LISTS = new Set(['name', 'status', 'container_format', 'disk_format', 'id']);
const SETTINGS = new Set(['limit', 'marker', 'sort_key', 'sort_dir', 'sort', 'visibility', 'member_status', 'tag', 'os_hidden']);

export interface ListWish {
  readonly filter: ImageFilter;
  readonly sort: readonly { readonly column: SortColumn; readonly descending: boolean }[];
  readonly limit: number;
  readonly marker: string | undefined;
}

/** What a list asks for. Unknown words are held against custom properties. Throws 400 for values that cannot be meant. */
export function readListQuery(call: Pick<Call, 'query'>): ListWish {
  const texts: ImageFilter['texts'][number][] = [];
  const numbers: ImageFilter['numbers'][number][] = [];
  const times: ImageFilter['times'][number][] = [];
  const properties: [string, string][] = [];
  for (const [word, values] of Object.entries(call.query)) {
    if (SETTINGS.has(word)) continue;
    const value = values.at(-1) ?? '';
    const column = COLUMN_OF[word] ?? word;
    const text = FILTER_COLUMNS.find((known) => known === column);
    const number = NUMBER_COLUMNS.find((known) => known === column);
    if (word === 'size_min' || word === 'size_max')
      numbers.push({ column: 'size', op: word === 'size_min' ? '>=' : '<=', value: whole(word, value) });
    else if (word === 'created_at' || word === 'updated_at') times.push(readTime(word, value));
    else if (word === 'protected') numbers.push({ column: 'protected', op: '=', value: readFlag(word, value) ? 1 : 0 });
    else if (number) numbers.push({ column: number, op: '=', value: whole(word, value, word.startsWith('min_') ? 9 : 15) });
    else if (text) texts.push({ column: text, values: LISTS.has(word) && value.startsWith('in:') ? readList(value.slice(3)) : [value] });
    else properties.push([word, value]);
  }
  return {
    filter: {
      texts,
      numbers,
      times,
      properties,
      tags: call.query.tag ?? [],
      hidden: readFlag('os_hidden', one(call, 'os_hidden') ?? 'false'),
      visibility: readChoice('visibility', one(call, 'visibility'), [...VISIBILITIES, 'all'] as const),
      memberStatus: readChoice('member_status', one(call, 'member_status'), [...MEMBER_STATUSES, 'all'] as const) ?? 'accepted',
    },
    sort: readSort(call),
    limit: readLimit(one(call, 'limit')),
    marker: one(call, 'marker'),
  };
}

function readLimit(text: string | undefined): number {
  if (text === undefined) return DEFAULT_LIMIT;
  if (!/^[+-]?\d{1,12}$/.test(text)) throw bad('limit param must be an integer');
  if (Number(text) < 0) throw bad('limit param must be positive');
  return Math.min(Number(text), MAX_LIMIT);
}

function readSort({ query }: Pick<Call, 'query'>): ListWish['sort'] {
  const keys = query.sort_key ?? [];
  const dirs = query.sort_dir ?? [];
  const words = query.sort;
  let pairs: [string, string][];
  if (words) {
    if (keys.length > 0 || dirs.length > 0) throw bad("Old and new sorting syntax can't be combined");
    pairs = words
      .join(',')
      .split(',')
      .map((word) => {
        const [key = '', dir = 'desc'] = word.trim().split(':');
        return [key.trim(), dir.trim()];
      });
  } else {
    if (dirs.length > 1 && dirs.length !== Math.max(keys.length, 1))
      throw bad('Number of sort dirs does not match the number of sort keys');
    pairs = (keys.length > 0 ? keys : ['created_at']).map((key, index) => [key, dirs[index] ?? dirs[0] ?? 'desc']);
  }
  const sort = pairs.map(([key, dir]) => {
    const column = SORT_COLUMNS.find((known) => known === (COLUMN_OF[key] ?? key));
    if (!column)
      throw bad(
        `Invalid sort key: ${key.slice(0, 100)}. It must be one of the following: ${SORT_COLUMNS.join(', ').replace('uuid', 'id')}.`,
      );
    if (dir !== 'asc' && dir !== 'desc')
      throw bad(`Invalid sort direction: ${dir.slice(0, 100)}. It must be one of the following: asc, desc.`);
    return { column, descending: dir === 'desc' };
  });
  // Rows alike in all that was asked for need an order too, or paging would lose some.
  const last = sort.at(-1)?.descending ?? true;
  for (const column of ['created_at', 'uuid'] as const)
    if (!sort.some((key) => key.column === column)) sort.push({ column, descending: last });
  return sort;
}

const SECOND = 1_000_000;

function readTime(column: 'created_at' | 'updated_at', value: string): ImageFilter['times'][number] {
  const match = /^(?:(gte|gt|lte|lt|eq|neq):)?(.+)$/.exec(value);
  const op = match?.[1] ?? 'eq';
  const text = match?.[2] ?? '';
  const form = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/.exec(text);
  const at = form ? Date.parse(`${form[1]}T${form[2] ?? '00:00'}${form[3] ?? 'Z'}`) * 1000 : Number.NaN;
  if (Number.isNaN(at)) throw bad(`Invalid time value '${text.slice(0, 100)}' for ${column}`);
  const range = (from: number | null, before: number | null, not = false) => ({ column, from, before, not });
  // Images are shown with whole seconds, so one second is the smallest step a user can mean.
  if (op === 'gt') return range(at + SECOND, null);
  if (op === 'gte') return range(at, null);
  if (op === 'lt') return range(null, at);
  if (op === 'lte') return range(null, at + SECOND);
  return range(at, at + SECOND, op === 'neq');
}

/** `a,b,"c,d"`: quotes keep commas. */
function readList(text: string): string[] {
  const items: string[] = [];
  const rest = text.replaceAll(/"((?:[^"\\]|\\.)*)"(?:,|$)|([^",]+)(?:,|$)/g, (_all, quoted?: string, plain?: string) => {
    items.push(quoted === undefined ? (plain ?? '') : quoted.replaceAll(/\\(.)/g, '$1'));
    return '';
  });
  if (rest !== '' || items.length === 0 || items.length > 500) throw bad(`Invalid filter value ${text.slice(0, 100)}.`);
  return items;
}

function whole(word: string, value: string, digits = 15): number {
  if (!/^\d+$/.test(value) || value.length > digits)
    throw bad(`Unable to filter using the specified value for ${word}: it is not a whole number of 0 or more.`);
  return Number(value);
}

function readFlag(word: string, value: string): boolean {
  const text = value.toLowerCase();
  if (text === 'true') return true;
  if (text === 'false') return false;
  throw bad(`Invalid value '${value.slice(0, 100)}' for '${word}': it is not true or false.`);
}

function readChoice<T extends string>(word: string, value: string | undefined, among: readonly T[]): T | undefined {
  if (value === undefined) return undefined;
  const found = among.find((known) => known === value);
  if (!found) throw bad(`Invalid ${word} value: ${value.slice(0, 100)}. It must be one of the following: ${among.join(', ')}.`);
  return found;
}

const bad = (why: string) => invalidInput({ why });
