import { type Call, one } from '../../http/call.ts';

/** `/project` when the client named its project in the URL, else nothing: links keep the form the client uses. */
const project = (call: Pick<Call, 'params'>) => (call.params.project_id ? `/${encodeURIComponent(call.params.project_id)}` : '');

/** A resource's own address and its version-free one.  Spec: compute guide "Links and References". */
export const linksTo = (call: Pick<Call, 'params' | 'base' | 'origin'>, collection: string, id: string) => [
  { rel: 'self', href: `${call.base}${project(call)}/${collection}/${encodeURIComponent(id)}` },
  { rel: 'bookmark', href: `${call.origin}${project(call)}/${collection}/${encodeURIComponent(id)}` },
];

/** `{ <name>_links: [next] }` when the page is full, else nothing. `path` is the list's own: 'flavors/detail'. */
export function nextLink(
  call: Pick<Call, 'params' | 'base' | 'query'>,
  name: string,
  path: string,
  page: { full: boolean; marker: string | undefined },
): Record<string, { rel: 'next'; href: string }[]> {
  if (!page.full || page.marker === undefined) return {};
  const words = new URLSearchParams();
  for (const [key, values] of Object.entries(call.query)) if (key !== 'marker') for (const value of values) words.append(key, value);
  words.set('marker', page.marker);
  return { [`${name}_links`]: [{ rel: 'next', href: `${call.base}${project(call)}/${path}?${words}` }] };
}

/** How many rows the page may have: the query's `limit`, never above `max`. A shape has made sure that it is a number. */
export function pageLimit(call: Pick<Call, 'query'>, max: number): number {
  const asked = one(call, 'limit');
  return asked === undefined ? max : Math.min(Number(asked), max);
}
