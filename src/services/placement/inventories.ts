import type { Query } from '../../db/engine.ts';
import { addOffer, changeOffer, listOffers, type Offer, replaceOffers, withdrawOffers } from '../../db/tables/placement/offers.ts';
import { type Provider, raiseGeneration } from '../../db/tables/placement/providers.ts';
import type { Call, Reply } from '../../http/call.ts';
import {
  CHANGED_MEANWHILE,
  inUse,
  inventoryInUse,
  methodNotAllowed,
  placementBadRequest,
  placementNotFound,
  providerGenerationStale,
} from '../../model/errors-placement.ts';
import { sortClasses } from '../../model/placement-names.ts';
import { empty, json, urlOf } from './answers.ts';
import { readJson } from './bodies.ts';
import { noSuchClass, unknownClasses } from './knowledge.ts';
import { allCanBeReserved, allInventoriesCanBeDeleted } from './microversions.ts';
import type { PlacementParts } from './parts.ts';
import { mustFind } from './providers.ts';
import { MAX_INT } from './shapes/common.ts';
import { type InventoryRecord, inventoriesOfProvider, inventoryCreate, inventoryUpdate } from './shapes/inventories.ts';
import { tellSchedulers } from './tell-schedulers.ts';

export const toOffer = (resourceClass: string, record: InventoryRecord): Offer => ({
  resourceClass,
  total: record.total,
  reserved: record.reserved ?? 0,
  minUnit: record.min_unit ?? 1,
  maxUnit: record.max_unit ?? MAX_INT,
  stepSize: record.step_size ?? 1,
  allocationRatio: record.allocation_ratio ?? 1,
});
const offerView = (offer: Offer) => ({
  total: offer.total,
  reserved: offer.reserved,
  min_unit: offer.minUnit,
  max_unit: offer.maxUnit,
  step_size: offer.stepSize,
  allocation_ratio: offer.allocationRatio,
});
const offersView = (offers: readonly Offer[], generation: number) => ({
  resource_provider_generation: generation,
  inventories: Object.fromEntries(offers.map((offer) => [offer.resourceClass, offerView(offer)])),
});

/** Throws 400 when nothing of an inventory would be left: from 1.26 on only when less than nothing would. */
function mustLeaveRoom(call: Call<Buffer>, provider: Provider, offers: readonly Offer[], doing: string): void {
  for (const offer of offers) {
    const room = (offer.total - offer.reserved) * offer.allocationRatio;
    const all = allCanBeReserved(call.version);
    if (all ? room >= 0 : room > 0) continue;
    throw placementBadRequest({
      why: `${doing} ${provider.uuid}: Invalid inventory for '${offer.resourceClass}' on resource provider '${provider.uuid}'. The reserved value is greater than ${all ? '' : 'or equal to '}total.`,
    });
  }
}
const stale = (doing: string) => providerGenerationStale({ why: doing });

/** The provider's next generation, in the transaction that changes it. Throws 409 when somebody else was there first. */
async function next(tx: Query, parts: PlacementParts, provider: Provider, doing: string): Promise<void> {
  const at = parts.clock.now();
  if (!(await raiseGeneration(tx, provider.uuid, provider.generation, at))) throw stale(doing);
  await tellSchedulers(tx, [provider.uuid], at);
}

export async function listInventories(parts: PlacementParts, call: Call): Promise<Reply> {
  const provider = await mustFind(parts, call);
  return json(call, offersView(await listOffers(parts.db.read, provider.uuid), provider.generation), provider.updatedAt);
}

export async function showInventory(parts: PlacementParts, call: Call): Promise<Reply> {
  const provider = await mustFind(parts, call);
  const name = call.params.resource_class ?? '';
  const offer = (await listOffers(parts.db.read, provider.uuid)).find((one) => one.resourceClass === name);
  if (!offer) throw placementNotFound({ why: `No inventory of class ${name} for ${provider.uuid}` });
  return json(call, withGeneration(offer, provider.generation), provider.updatedAt);
}
const withGeneration = (offer: Offer, generation: number) => ({
  ...offerView(offer),
  ...(generation ? { resource_provider_generation: generation } : {}),
});

/** Spec: placement api-ref, "Create resource provider inventory". */
export async function createInventory(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const provider = await mustFind(parts, call);
  const record = readJson(call, inventoryCreate);
  const offer = toOffer(record.resource_class, record);
  const doing = 'Unable to create inventory for resource provider';
  mustLeaveRoom(call, provider, [offer], doing);
  const [unknown] = await unknownClasses(db.read, [offer.resourceClass]);
  if (unknown !== undefined) throw placementBadRequest({ why: `${doing} ${provider.uuid}: ${noSuchClass(unknown)}` });
  await db.transaction(async (tx) => {
    if (!(await addOffer(tx, db.kind, provider.uuid, offer)))
      throw stale(`Update conflict: resource provider ${provider.uuid} has an inventory of class ${offer.resourceClass} already`);
    await next(tx, parts, provider, `Update conflict: ${CHANGED_MEANWHILE}`);
  });
  const answer = json(call, withGeneration(offer, provider.generation + 1), clock.now(), 201);
  const location = urlOf(call, `/resource_providers/${provider.uuid}/inventories/${offer.resourceClass}`);
  return { ...answer, headers: { ...answer.headers, location } };
}

/** Spec: placement api-ref, "Update resource provider inventory". */
export async function updateInventory(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const provider = await mustFind(parts, call);
  const name = call.params.resource_class ?? '';
  const record = readJson(call, inventoryUpdate);
  if (record.resource_provider_generation !== provider.generation) throw stale('resource provider generation conflict');
  const offer = toOffer(name, record);
  const doing = 'Unable to update inventory for resource provider';
  mustLeaveRoom(call, provider, [offer], doing);
  const [unknown] = await unknownClasses(db.read, [name]);
  if (unknown !== undefined) throw placementNotFound({ why: noSuchClass(unknown) });
  await db.transaction(async (tx) => {
    if (!(await changeOffer(tx, provider.uuid, offer)))
      throw placementBadRequest({
        why: `No inventory record with resource class for resource provider ${provider.uuid}: No inventory of class ${name} found.`,
      });
    await next(tx, parts, provider, `update conflict: ${CHANGED_MEANWHILE}`);
  });
  return json(call, withGeneration(offer, provider.generation + 1), clock.now());
}

/** Brings a provider's inventories to exactly those of the body.  Spec: placement api-ref, "Update resource provider inventories". */
export async function setInventoriesOf(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const provider = await mustFind(parts, call);
  const wish = readJson(call, inventoriesOfProvider);
  if (wish.resource_provider_generation !== provider.generation) throw stale('resource provider generation conflict');
  const offers = Object.entries(wish.inventories).map(([name, record]) => toOffer(name, record));
  mustLeaveRoom(call, provider, offers, 'Unable to update inventory for resource provider');
  const [unknown] = await unknownClasses(
    db.read,
    offers.map((offer) => offer.resourceClass),
  );
  if (unknown !== undefined)
    throw placementBadRequest({
      why: `Unknown resource class in inventory for resource provider ${provider.uuid}: ${noSuchClass(unknown)}`,
    });
  await db.transaction(async (tx) => {
    const { used } = await replaceOffers(tx, db.kind, provider.uuid, offers);
    if (used.length > 0) throw inventoryInUse({ before: 'update conflict: ', classes: sortClasses(used), provider: provider.uuid });
    await next(tx, parts, provider, `update conflict: ${CHANGED_MEANWHILE}`);
  });
  return json(call, offersView(offers, provider.generation + 1), clock.now());
}

/** Spec: placement api-ref, "Delete resource provider inventories" (405 before 1.5). */
export async function deleteInventories(parts: PlacementParts, call: Call): Promise<Reply> {
  if (!allInventoriesCanBeDeleted(call.version)) throw methodNotAllowed({ allow: ['GET', 'POST', 'PUT'] });
  const { db } = parts;
  const provider = await mustFind(parts, call);
  await db.transaction(async (tx) => {
    const { used } = await replaceOffers(tx, db.kind, provider.uuid, []);
    if (used.length > 0) throw inventoryInUse({ before: '', classes: sortClasses(used), provider: provider.uuid });
    await next(
      tx,
      parts,
      provider,
      `Unable to delete inventory for resource provider ${provider.uuid} because the inventory was updated by another process. Please retry your request.`,
    );
  });
  return empty();
}

/** Spec: placement api-ref, "Delete resource provider inventory". */
export async function deleteInventory(parts: PlacementParts, call: Call): Promise<Reply> {
  const { db } = parts;
  const provider = await mustFind(parts, call);
  const name = call.params.resource_class ?? '';
  const doing = `Unable to delete inventory of class ${name}`;
  const [unknown] = await unknownClasses(db.read, [name]);
  if (unknown !== undefined) throw placementNotFound({ why: `No inventory of class ${name} found for delete: ${noSuchClass(name)}` });
  await db.transaction(async (tx) => {
    const { used, gone } = await withdrawOffers(tx, provider.uuid, [name]);
    if (used.length > 0) throw stale(`${doing}: ${inUse(used, provider.uuid)}`);
    if (gone === 0)
      throw placementNotFound({
        why: `No inventory of class ${name} found for delete: No inventory of class ${name} found for delete`,
      });
    await next(tx, parts, provider, `${doing}: ${CHANGED_MEANWHILE}`);
  });
  return empty();
}
