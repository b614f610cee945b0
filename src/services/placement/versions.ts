import type { Call, Reply } from '../../http/call.ts';
import { json } from './answers.ts';
import { placementVersions } from './microversions.ts';
import type { PlacementParts } from './parts.ts';

/** `GET /placement/`: which microversions there are. */
export const showVersions = (parts: PlacementParts, call: Call): Reply => {
  const { min, max } = placementVersions;
  const version = { id: `v${min}`, max_version: max, min_version: min, status: 'CURRENT', links: [{ rel: 'self', href: '' }] };
  return json(call, { versions: [version] }, parts.clock.now());
};
