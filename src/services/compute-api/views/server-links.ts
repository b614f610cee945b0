import type { Call } from '../../../http/call.ts';

/** Where links begin: `self` with the version's mount, `bookmark` without. Both hold the project when the client named it in the URL. */
export interface LinkRoots {
  readonly self: string;
  readonly bookmark: string;
}

export function linkRoots(call: Pick<Call, 'params' | 'base' | 'origin'>): LinkRoots {
  const project = call.params.project_id ? `/${encodeURIComponent(call.params.project_id)}` : '';
  return { self: `${call.base}${project}`, bookmark: `${call.origin}${project}` };
}

/** A server's own address and its version-free one.  Spec: compute guide "Links and References". */
export const serverLinks = (roots: LinkRoots, uuid: string) => [
  { rel: 'self', href: `${roots.self}/servers/${uuid}` },
  { rel: 'bookmark', href: `${roots.bookmark}/servers/${uuid}` },
];
export const bookmark = (roots: LinkRoots, collection: string, id: string) => [
  { rel: 'bookmark', href: `${roots.bookmark}/${collection}/${encodeURIComponent(id)}` },
];

/** The `next` link of a full page: the same words with the last server as marker. */
export function nextPage(call: Pick<Call, 'params' | 'base' | 'origin' | 'query'>, path: string, marker: string) {
  const words = new URLSearchParams();
  for (const [key, values] of Object.entries(call.query)) if (key !== 'marker') for (const value of values) words.append(key, value);
  words.set('marker', marker);
  return [{ rel: 'next', href: `${linkRoots(call).self}/${path}?${words}` }];
}
