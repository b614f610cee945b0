import { body, leaf, list, required, since } from '../../../lib/shape.ts';
import { CUSTOM, integer, longName, text, uuid, uuidOrNull } from './common.ts';

const providerName = leaf<string>({ type: 'string', maxLength: 200 });
export const providerCreate = body({ name: required(providerName), uuid, parent_provider_uuid: since('1.14', uuidOrNull) });
export const providerUpdate = body({ name: required(providerName), parent_provider_uuid: since('1.14', uuidOrNull) });
export const providerQuery = body({
  name: text,
  uuid,
  member_of: since('1.3', text),
  resources: since('1.4', text),
  in_tree: since('1.14', uuid),
  required: since('1.18', text),
});

const aggregateList = list(uuid, { uniqueItems: true });
export const plainAggregates = aggregateList;
export const guardedAggregates = body({ aggregates: required(aggregateList), resource_provider_generation: required(integer) });

export const className = leaf<string>({ type: 'string', pattern: CUSTOM, maxLength: 255 });
export const classBody = body({ name: required(className) });

export const customTrait = leaf<string>({ type: 'string', minLength: 1, maxLength: 255, pattern: CUSTOM });
export const traitsOfProvider = body({ traits: required(list(longName)), resource_provider_generation: required(integer) });
export const traitQuery = body({ name: text, associated: text });

const usageName = longName;
export const usageQuery = body({
  project_id: required(usageName),
  user_id: usageName,
  consumer_type: since('1.38', leaf<string>({ type: 'string', pattern: '^[A-Z0-9_]+$|^all|^unknown$', minLength: 1, maxLength: 255 })),
});
