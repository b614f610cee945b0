import type { Call, Reply, RouteTable } from '../../http/call.ts';
import type { Parts } from './parts.ts';

/** The version of Keystone's API whose behaviour this is: 3.14 is the newest number upstream has given. */
const versionView = (base: string) => ({
  id: 'v3.14',
  status: 'stable',
  updated: '2020-04-07T00:00:00Z',
  links: [{ rel: 'self', href: `${base}/v3/` }],
  'media-types': [{ base: 'application/json', type: 'application/vnd.openstack.identity-v3+json' }],
});

const listVersions = (_parts: Parts, call: Call): Reply => ({
  status: 300,
  body: { versions: { values: [versionView(call.base)] } },
  headers: { location: `${call.base}/v3/` },
});
const showVersion = (_parts: Parts, call: Call): Reply => ({ status: 200, body: { version: versionView(call.base) } });

export const versionRoutes: RouteTable<Parts> = {
  'GET /': { run: listVersions, auth: 'none' },
  'GET /v3': { run: showVersion, auth: 'none' },
};
