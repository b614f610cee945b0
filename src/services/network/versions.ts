import type { Call, Reply } from '../../http/call.ts';
import type { NetworkParts } from './parts.ts';

/** `GET /network/`: which versions there are.  Spec: network api-ref, "API versions". */
export const listVersions = (_parts: NetworkParts, call: Call): Reply => ({
  status: 200,
  body: { versions: [{ id: 'v2.0', status: 'CURRENT', links: [{ rel: 'self', href: `${call.base}/v2.0/` }] }] },
});

const NOUNS = [
  'networks',
  'subnets',
  'ports',
  'security-groups',
  'security-group-rules',
  'routers',
  'floatingips',
  'network-ip-availabilities',
  'extensions',
  'quotas',
  'agents',
  'availability_zones',
];

/** `GET /network/v2.0/`: which nouns it has. */
export const showVersion = (_parts: NetworkParts, call: Call): Reply => ({
  status: 200,
  body: {
    resources: NOUNS.map((collection) => ({
      links: [{ href: `${call.base}/v2.0/${collection}`, rel: 'self' }],
      name: collection.replace(/ies$/, 'y').replace(/s$/, ''),
      collection,
    })),
  },
});
