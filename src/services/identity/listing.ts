import { type Call, one, type Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';

const COMPARE: Readonly<Record<string, (value: string, wanted: string) => boolean>> = {
  contains: (value, wanted) => value.includes(wanted),
  startswith: (value, wanted) => value.startsWith(wanted),
  endswith: (value, wanted) => value.endsWith(wanted),
};

/** Whether a query word that says yes or no says yes: `enabled`, `enabled=true`, `enabled=1`; no for `0` and `false`. Undefined when it is absent. */
export function flag(call: Pick<Call, 'query'>, word: string): boolean | undefined {
  const value = one(call, word);
  return value === undefined ? undefined : !['0', 'false', 'no', 'off'].includes(value.toLowerCase());
}

/** The rows as a page: kept by exact (`name=`) and inexact (`name__contains=`) words over the named fields, cut by `limit` and `marker`, with links.
 *  Rows come in their order of creation.  Throws invalidInput for a limit or marker that is none. */
export function listReply<R extends { id: string }>(
  call: Call<unknown>,
  options: {
    readonly key: string;
    readonly rows: readonly R[];
    readonly view: (row: R) => object;
    readonly exact?: readonly (keyof R & string)[];
  },
): Reply {
  let rows = options.rows.filter((row) => fits(call, row, options.exact ?? []));
  const marker = one(call, 'marker');
  if (marker !== undefined) {
    const at = rows.findIndex((row) => row.id === marker);
    if (at < 0) throw invalidInput({ why: `There is no ${options.key} entry with the id of the marker: ${marker.slice(0, 100)}` });
    rows = rows.slice(at + 1);
  }
  const limit = one(call, 'limit');
  if (limit !== undefined && !/^\d{1,9}$/.test(limit)) throw invalidInput({ why: 'limit must be a whole number, 0 or more.' });
  const size = Number(limit ?? 0) || rows.length;
  const cut = rows.length > size;
  const page = rows.slice(0, size);
  const next = cut ? nextUrl(call, page.at(-1)?.id ?? '') : null;
  return {
    status: 200,
    body: {
      [options.key]: page.map(options.view),
      links: { self: `${call.base}${call.url}`, previous: null, next },
      ...(cut ? { truncated: true } : {}),
    },
  };
}

function fits<R>(call: Call<unknown>, row: R, exact: readonly (keyof R & string)[]): boolean {
  for (const field of exact) {
    const value = row[field];
    const wanted = one(call, field);
    if (typeof value === 'number') {
      const yes = flag(call, field);
      if (yes !== undefined && yes !== (value === 1)) return false;
    } else if (wanted !== undefined && value !== (wanted === '' && value === null ? null : wanted)) return false;
    if (typeof value !== 'string') continue;
    for (const [word, holds] of Object.entries(COMPARE)) {
      const strict = one(call, `${field}__${word}`);
      if (strict !== undefined && !holds(value, strict)) return false;
      const loose = one(call, `${field}__i${word}`);
      if (loose !== undefined && !holds(value.toLowerCase(), loose.toLowerCase())) return false;
    }
  }
  return true;
}

function nextUrl(call: Call<unknown>, marker: string): string {
  const [path = '', query = ''] = call.url.split('?');
  const words = new URLSearchParams(query);
  words.set('marker', marker);
  return `${call.base}${path}?${words}`;
}
