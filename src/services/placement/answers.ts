import type { Call, Reply } from '../../http/call.ts';
import type { Micros } from '../../lib/clock.ts';
import { answersAreDated } from './microversions.ts';
import type { PlacementParts } from './parts.ts';

/** When something was last changed, as headers: from 1.15 on, and nothing may be kept without asking again. */
export const dated = (call: Call, at: Micros): Record<string, string> =>
  answersAreDated(call.version) ? { 'last-modified': new Date(at / 1000).toUTCString(), 'cache-control': 'no-cache' } : {};

/** An answer with a JSON body that was changed at `at`. */
export const json = (call: Call, body: object, at: Micros, status = 200): Reply => ({
  status,
  raw: JSON.stringify(body),
  headers: { 'content-type': 'application/json', ...dated(call, at) },
});
/** An answer without a body, which has no content type either. */
export const empty = (status: 201 | 204 = 204, headers: Record<string, string> = {}): Reply => ({
  status,
  headers: { ...headers, 'content-type': '' },
});

/** Where something of this API is, as links say it. */
export const pathTo = (parts: PlacementParts, call: Call, path: string): string =>
  `${parts.linkMount ? call.base.slice(call.origin.length) : ''}${path}`;
/** Where it is from anywhere, for Location. */
export const urlOf = (call: Call, path: string): string => `${call.base}${path}`;

export const newest = (times: readonly Micros[], otherwise: Micros): Micros =>
  times.length === 0 ? otherwise : times.reduce((a, b) => (b > a ? b : a));
