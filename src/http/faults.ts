import type { Kind } from '../model/errors.ts';

const STATUS: Readonly<Record<Kind, number>> = {
  invalid: 400,
  unauthorized: 401,
  forbidden: 403,
  notFound: 404,
  badMethod: 405,
  notAcceptable: 406,
  conflict: 409,
  gone: 410,
  staleGeneration: 412,
  tooLarge: 413,
  unsupportedMedia: 415,
  tooMany: 429,
  internal: 500,
  notImplemented: 501,
  badGateway: 502,
  unavailable: 503,
};

/** The HTTP status of a kind of error: the only place where the two meet. */
export const statusOf = (kind: Kind): number => STATUS[kind];
