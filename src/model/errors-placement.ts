import { type CloudError, type Kind, row } from './errors.ts';

// One row per refusal of the placement API. `comment` is the code that clients of 1.23 and later switch on; services/placement/dialect.ts puts it in.
type None = Record<string, never>;
type Why = { why: string };
const CONCURRENT = 'placement.concurrent_update';

/** Rows of this file carry the code of the API's own error document in their params. */
const coded =
  <P extends Readonly<Record<string, unknown>>>(code: string, kind: Kind, comment: string, say: (params: P) => string) =>
  (params: P): CloudError =>
    row<P & { comment: string }>(code, kind, say)({ ...params, comment });

export const placementBadRequest = row<Why>('placement.bad_request', 'invalid', (p) => p.why);
export const placementConflict = row<Why>('placement.conflict', 'conflict', (p) => p.why);
export const placementNotFound = row<Why>('placement.not_found', 'notFound', (p) => p.why);
export const badQueryValue = coded<Why>('placement.query_bad_value', 'invalid', 'placement.query.bad_value', (p) => p.why);
export const missingQueryValue = coded<Why>('placement.query_missing_value', 'invalid', 'placement.query.missing_value', (p) => p.why);
export const doubleQueryKey = coded<Why>('placement.query_duplicate_key', 'invalid', 'placement.query.duplicate_key', (p) => p.why);
export const methodNotAllowed = row<{ allow: readonly string[] }>('placement.bad_method', 'badMethod', () => '');
export const onlyJsonIsProvided = row<None>('placement.not_acceptable', 'notAcceptable', () => 'Only application/json is provided');
export const mediaTypeNotSupported = row<{ type: string }>(
  'placement.media_type',
  'unsupportedMedia',
  (p) => `The media type ${p.type} is not supported, use application/json`,
);
export const contentTypeRequired = row<None>(
  'placement.content_type_required',
  'invalid',
  () => 'content-type header required when content-length > 0',
);

export const providerNotFound = row<{ uuid: string }>(
  'placement.provider_not_found',
  'notFound',
  (p) => `No resource provider with uuid ${p.uuid} found`,
);
export const providerGenerationStale = coded<Why>('placement.provider_generation', 'conflict', CONCURRENT, (p) => p.why);
export const consumerGenerationStale = coded<{ expected: string; got: string }>(
  'placement.consumer_generation',
  'conflict',
  CONCURRENT,
  (p) => `consumer generation conflict - expected ${p.expected} but got ${p.got}`,
);
export const providerExists = coded<{ what: string }>(
  'placement.provider_exists',
  'conflict',
  'placement.duplicate_name',
  (p) => `Conflicting resource provider ${p.what} already exists.`,
);
export const providerInUse = coded<{ uuid: string }>(
  'placement.provider_in_use',
  'conflict',
  'placement.resource_provider.inuse',
  (p) => `Unable to delete resource provider ${p.uuid}: Resource provider has allocations.`,
);
export const providerIsParent = coded<{ uuid: string }>(
  'placement.provider_is_parent',
  'conflict',
  'placement.resource_provider.cannot_delete_parent',
  (p) => `Unable to delete parent resource provider ${p.uuid}: It has child resource providers.`,
);
export const reshapedProviderNotFound = coded<{ uuid: string }>(
  'placement.reshaped_provider_not_found',
  'invalid',
  'placement.resource_provider.not_found',
  (p) => `Resource provider ${p.uuid} in inventories not found: No resource provider with uuid ${p.uuid} found`,
);
export const inventoryInUse = coded<{ before: string; classes: readonly string[]; provider: string }>(
  'placement.inventory_in_use',
  'conflict',
  'placement.inventory.inuse',
  (p) => `${p.before}${inUse(p.classes, p.provider)}`,
);
/** What one names in other sentences when a class that is to go is in use. */
export const inUse = (classes: readonly string[], provider: string) =>
  `Inventory for '${classes.join(', ')}' on resource provider '${provider}' in use.`;
/** Somebody else changed the provider meanwhile. */
export const CHANGED_MEANWHILE = 'Another thread concurrently updated the resource provider data. Please retry your update';
