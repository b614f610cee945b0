import type { Call, Reply } from '../../http/call.ts';

// What a Glance of today says of itself with one store and no cache: 2.8 and 2.10 to 2.14 are about those.
const MINORS = [15, 9, 7, 6, 5, 4, 3, 2, 1, 0];

const list = (call: Call, status: number): Reply => ({
  status,
  body: {
    versions: MINORS.map((minor, index) => ({
      id: `v2.${minor}`,
      status: index === 0 ? 'CURRENT' : 'SUPPORTED',
      links: [{ rel: 'self', href: `${call.base}/v2/` }],
    })),
  },
});

/** The versions, as a choice to make: 300. */
export const chooseVersion = (_parts: object, call: Call): Reply => list(call, 300);
/** The same where they were asked for by name: 200. */
export const showVersions = (_parts: object, call: Call): Reply => list(call, 200);
