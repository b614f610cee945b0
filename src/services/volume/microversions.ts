import type { Microversions } from '../../http/negotiate.ts';
import { atLeast, type Version } from '../../lib/shape.ts';

const NEWEST = 70;
/** Microversions of the block storage API.  Spec: Cinder's REST API version history. */
export const volumeMicroversions: Microversions = {
  service: 'volume',
  min: '3.0',
  max: `3.${NEWEST}`,
  all: Array.from({ length: NEWEST + 1 }, (_none, minor): Version => `3.${minor}`),
};

// What the API does differently from some version on. Handlers ask these names; no handler compares versions.
const since = (from: Version) => (version: Version) => atLeast(version, from);
/** Uploads to images may say who sees the image. */
export const uploadsNameVisibility = since('3.1');
/** Lists filter by a part of a name (`name~`). */
export const filtersByPart = since('3.34');
/** Volumes of running servers can grow. */
export const extendsInUse = since('3.42');
/** Lists tell how many there are. */
export const listsCount = since('3.45');
/** Attachments may be made without naming a server. */
export const attachmentsNameMode = since('3.54');
/** Snapshots of attached volumes need no force, and none may be refused. */
export const snapshotsNeedNoForce = since('3.66');
