import type { Call, Reply } from '../../http/call.ts';
import { volumeMicroversions } from './microversions.ts';

const versions = (call: Call) => ({
  versions: [
    {
      id: 'v3.0',
      status: 'CURRENT',
      version: volumeMicroversions.max,
      min_version: volumeMicroversions.min,
      updated: '2024-09-26T00:00:00Z',
      links: [
        { rel: 'describedby', type: 'text/html', href: 'https://docs.openstack.org/' },
        { rel: 'self', href: `${call.base}/v3/` },
      ],
      'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.volume+json;version=3' }],
    },
  ],
});

/** `GET /volume/`: the versions there are, with 300.  Spec: block storage api-ref "List All API Versions". */
export const listVersions = (_parts: unknown, call: Call): Reply => ({ status: 300, body: versions(call) });
/** `GET /volume/v3/`: the same for one version, with 200. */
export const showVersion = (_parts: unknown, call: Call): Reply => ({ status: 200, body: versions(call) });
