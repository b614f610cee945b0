import { body, during, either, type Infer, leaf, list, required, requiredSince, since, until } from '../../../lib/shape.ts';
import { CLASS, integer, integerOrNull, longName, mapOf, UUID_KEY, uuid } from './common.ts';
import { inventoriesOfProvider } from './inventories.ts';

const amounts = mapOf(CLASS, leaf<number>({ type: 'integer', minimum: 1 }), { minProperties: 1 });
const asList = list(body({ resource_provider: required(body({ uuid: required(uuid) })), resources: required(amounts) }), { minItems: 1 });
const ofProvider = body({ generation: integer, resources: required(amounts) });
const some = mapOf(UUID_KEY, ofProvider, { minProperties: 1 });
const any = mapOf(UUID_KEY, ofProvider);
/** Which providers served which group; only checked. */
const mappings = mapOf('^[a-zA-Z0-9_-]{1,64}$', list(uuid, { minItems: 1 }), { minProperties: 1, additionalProperties: {} });
const consumerType = leaf<string>({ type: 'string', pattern: CLASS, minLength: 1, maxLength: 255 });

const owner = {
  project_id: requiredSince('1.8', since('1.8', longName)),
  user_id: requiredSince('1.8', since('1.8', longName)),
  consumer_generation: requiredSince('1.28', since('1.28', integerOrNull)),
  mappings: since('1.34', mappings),
  consumer_type: requiredSince('1.38', since('1.38', consumerType)),
};
export const allocationsPut = body({
  allocations: required(either(until('1.11', asList), either(during([['1.12', '1.27']], some), since('1.28', any)))),
  ...owner,
});
export type AllocationsPut = Infer<typeof allocationsPut>;
const ofConsumer = body({ allocations: required(any), ...owner });
export type ConsumerBody = Infer<typeof ofConsumer>;
export const allocationsPost = mapOf(UUID_KEY, ofConsumer, { minProperties: 1 });
export const reshape = body({
  inventories: required(mapOf(UUID_KEY, inventoriesOfProvider, { minProperties: 1 })),
  allocations: required(mapOf(UUID_KEY, ofConsumer)),
});
