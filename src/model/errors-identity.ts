import { row } from './errors.ts';

/** 401 whose reason stays in the log: a caller who cannot log in learns nothing from it. Give the reason as `detail`. */
export const loginRefused = row<Record<string, never>>(
  'identity.login_refused',
  'unauthorized',
  () => 'The request you have made requires authentication.',
);
export const identityNotFound = row<{ what: string; id: string }>(
  'identity.not_found',
  'notFound',
  (p) => `Could not find ${p.what}: ${p.id.slice(0, 200)}.`,
);
export const tokenNotFound = row<Record<string, never>>('identity.token_not_found', 'notFound', () => 'Could not recognize the token.');
export const identityConflict = row<{ what: string; why: string }>(
  'identity.conflict',
  'conflict',
  (p) => `Conflict occurred attempting to store ${p.what} - ${p.why}.`,
);
export const immutableResource = row<{ what: string; id: string }>(
  'identity.immutable',
  'forbidden',
  (p) => `The ${p.what} ${p.id} has the option "immutable". Set the option to false first, in a request of its own.`,
);
export const builtInCatalog = row<{ what: string }>(
  'identity.built_in_catalog',
  'forbidden',
  (p) => `The ${p.what} belongs to this cloud's own catalog, which follows from its configuration, and cannot be changed here.`,
);
export const identityForbidden = row<{ why: string }>('identity.forbidden', 'forbidden', (p) => p.why);
export const scopeNotSupported = row<{ scope: string }>(
  'identity.scope_not_supported',
  'invalid',
  (p) => `This identity service has no ${p.scope}.`,
);
