import { body, type Infer, leaf, required } from '../../../lib/shape.ts';
import { CLASS, integer, mapOf, ratio, upTo } from './common.ts';

const fields = {
  total: required(upTo(1)),
  reserved: upTo(0),
  min_unit: upTo(1),
  max_unit: upTo(1),
  step_size: upTo(1),
  allocation_ratio: ratio,
};
export const inventoryRecord = body({ resource_provider_generation: integer, ...fields });
export type InventoryRecord = Infer<typeof inventoryRecord>;
export const inventoryUpdate = body({ resource_provider_generation: required(integer), ...fields });
export const inventoryCreate = body({
  resource_provider_generation: integer,
  resource_class: required(leaf<string>({ type: 'string', pattern: CLASS })),
  ...fields,
});
export const inventoriesOfProvider = body({
  resource_provider_generation: required(integer),
  // Names of another form are let through here: they are refused as unknown classes, or not at all, as upstream does.
  inventories: required(mapOf(CLASS, inventoryRecord, { additionalProperties: {} })),
});
