import type { Call, Reply } from '../../http/call.ts';
import { versionNotFound } from '../../model/errors-compute-api.ts';
import { computeMicroversions } from './microversions.ts';

const entry = (origin: string, id: 'v2.0' | 'v2.1') => ({
  id,
  links: [{ rel: 'self', href: `${origin}/${id === 'v2.1' ? 'v2.1' : 'v2'}/` }],
  status: id === 'v2.1' ? 'CURRENT' : 'DEPRECATED',
  version: id === 'v2.1' ? computeMicroversions.max : '',
  min_version: id === 'v2.1' ? computeMicroversions.min : '',
  updated: id === 'v2.1' ? '2013-07-23T11:33:21Z' : '2025-07-04T12:00:00Z',
});
const mediaTypes = (id: 'v2.0' | 'v2.1') => [
  { base: 'application/json', type: `application/vnd.openstack.compute+json;version=${id === 'v2.1' ? '2.1' : '2'}` },
];

/** The document of one version: what `/v2.1/` and `/v2/` answer.  Spec: compute api-ref "API Versions". */
export function computeVersion(origin: string, id: 'v2.0' | 'v2.1') {
  const short = entry(origin, id);
  return {
    version: {
      ...short,
      links: [...short.links, { rel: 'describedby', type: 'text/html', href: 'http://docs.openstack.org/' }],
      'media-types': mediaTypes(id),
    },
  };
}

/** The list of versions: what the front door's root answers, with 200. */
export const computeVersions = (origin: string) => ({ versions: [entry(origin, 'v2.0'), entry(origin, 'v2.1')] });

/** What an unversioned path answers, with 300: the same path under each version. `path` begins with a slash. */
export const computeChoices = (origin: string, path: string) => ({
  choices: (['v2.0', 'v2.1'] as const).map((id) => ({
    id,
    status: entry(origin, id).status,
    links: [{ rel: 'self', href: `${origin}/${id === 'v2.1' ? 'v2.1' : 'v2'}${path}` }],
    'media-types': mediaTypes(id),
  })),
});

/** The document of the mount a client came by. */
export const showRootVersion = (_parts: unknown, call: Call): Reply => ({
  status: 200,
  body: computeVersion(call.origin, call.legacy ? 'v2.0' : 'v2.1'),
});

/** One version by its id.  Throws versionNotFound (404). */
export function showVersion(_parts: unknown, call: Call): Reply {
  const { id } = call.params;
  if (id !== 'v2.0' && id !== 'v2.1') throw versionNotFound({});
  return { status: 200, body: computeVersion(call.origin, id) };
}
