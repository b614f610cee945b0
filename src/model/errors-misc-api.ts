import { row } from './errors.ts';

// What is left of APIs that upstream took away.
type Nothing = Record<string, never>;
export const apiRemoved = row<Nothing>(
  'api.removed',
  'gone',
  () => 'This resource is no longer available. It was taken out of the Compute API; no forwarding address is given.',
);
export const consoleTypeRemoved = row<{ type: string }>('console.type_removed', 'invalid', (p) => `Invalid console type ${p.type}`);

// Tags of servers
export const serverHasNoTag = row<{ id: string; tag: string }>(
  'server_tag.not_found',
  'notFound',
  (p) => `Server ${p.id} has no tag '${p.tag.slice(0, 100)}'`,
);
export const tagInvalid = row<{ tag: string }>(
  'server_tag.invalid',
  'invalid',
  (p) => `Tag '${p.tag.slice(0, 100)}' is invalid. A tag has 1 to 60 characters, none of them '/' or ','.`,
);
export const tooManyTags = row<{ limit: number }>(
  'server_tag.too_many',
  'invalid',
  (p) => `The number of tags exceeded the per-server limit ${p.limit}`,
);

// Proxies to other services
export const imageGone = row<Nothing>('image_proxy.not_found', 'notFound', () => 'Image not found.');
export const imageMetadataMissing = row<Nothing>('image_proxy.no_metadata', 'notFound', () => 'Invalid metadata key');
export const noBareMetalService = row<Nothing>(
  'bare_metal.no_service',
  'notImplemented',
  () => 'The requested functionality is not supported: this cloud has no bare metal service.',
);
export const noBareMetalHere = row<{ command: string }>(
  'bare_metal.not_here',
  'invalid',
  (p) => `Command not supported. Please use Ironic command ${p.command} to perform this action.`,
);

// Consoles
export const consoleTypeUnavailable = row<{ type: string }>(
  'console.type_unavailable',
  'invalid',
  (p) => `Unavailable console type ${p.type.slice(0, 50)}.`,
);
export const consoleTypeInvalid = row<{ type: string }>(
  'console.type_invalid',
  'invalid',
  (p) => `Invalid console type ${p.type.slice(0, 50)}`,
);
export const consoleNotSupported = row<{ protocol: string; driver: string }>(
  'console.not_supported',
  'notImplemented',
  (p) => `The requested functionality is not supported: the ${p.driver} driver of this host has no ${p.protocol} consoles.`,
);
export const consoleTokenUnknown = row<Nothing>('console.token_unknown', 'notFound', () => 'Token not found');
export const rdpTokensAreGone = row<Nothing>(
  'console.rdp_tokens_gone',
  'invalid',
  () => 'Before microversion 2.31 only tokens of rdp-html5 consoles could be looked up, and those are gone. Ask with 2.31 or later.',
);
