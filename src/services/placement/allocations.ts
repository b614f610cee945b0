import type { Query } from '../../db/engine.ts';
import { type Allocation, listAllocations } from '../../db/tables/placement/allocation-reads.ts';
import { type ConsumerWish, type Held, type Refusal, replaceClaims } from '../../db/tables/placement/allocation-writes.ts';
import { releaseClaim } from '../../db/tables/placement/claims.ts';
import type { Call, Reply } from '../../http/call.ts';
import { answerAt, from } from '../../lib/answer.ts';
import { isUuid } from '../../lib/ids.ts';
import type { CloudError } from '../../model/errors.ts';
import {
  CHANGED_MEANWHILE,
  consumerGenerationStale,
  placementBadRequest,
  placementConflict,
  placementNotFound,
  providerGenerationStale,
} from '../../model/errors-placement.ts';
import { empty, json, newest } from './answers.ts';
import { readJson } from './bodies.ts';
import { noSuchClass, unknownClasses } from './knowledge.ts';
import { allocationsAreObjects } from './microversions.ts';
import type { PlacementParts } from './parts.ts';
import { dashed, mustFind } from './providers.ts';
import { type AllocationsPut, allocationsPost, allocationsPut, type ConsumerBody } from './shapes/allocations.ts';
import { tellSchedulers } from './tell-schedulers.ts';

/** Owner of what was written before owners had to be named. */
const NOBODY = '00000000-0000-0000-0000-000000000000';

const latest = (parts: PlacementParts, rows: readonly Allocation[]) =>
  newest(
    rows.map((row) => row.consumer.createdAt),
    parts.clock.now(),
  );

/** Spec: placement api-ref, "List allocations": a consumer that nobody knows has none. */
export async function showAllocations(parts: PlacementParts, call: Call): Promise<Reply> {
  const rows = await listAllocations(parts.db.read, { consumer: call.params.consumer_uuid ?? '' });
  const allocations: Record<string, { generation: number; resources: Record<string, number> }> = {};
  for (const row of rows) {
    const held = allocations[row.provider] ?? { generation: row.providerGeneration, resources: {} };
    held.resources[row.resourceClass] = row.used;
    allocations[row.provider] = held;
  }
  const consumer = rows[0]?.consumer;
  const view = {
    allocations,
    ...(consumer
      ? {
          project_id: from('1.12', consumer.projectId),
          user_id: from('1.12', consumer.userId),
          consumer_generation: from('1.28', consumer.generation),
          consumer_type: from('1.38', consumer.type ?? 'unknown'),
        }
      : {}),
  };
  return json(call, answerAt(call.version, view) as object, latest(parts, rows));
}

export async function showProviderAllocations(parts: PlacementParts, call: Call): Promise<Reply> {
  const provider = await mustFind(parts, call);
  const rows = await listAllocations(parts.db.read, { provider: provider.uuid });
  const allocations: Record<string, { resources: Record<string, number>; consumer_generation: unknown }> = {};
  for (const row of rows) {
    const held = allocations[row.consumer.uuid] ?? { resources: {}, consumer_generation: from('1.28', row.consumer.generation) };
    held.resources[row.resourceClass] = row.used;
    allocations[row.consumer.uuid] = held;
  }
  const view = answerAt(call.version, { allocations, resource_provider_generation: provider.generation });
  return json(call, view as object, latest(parts, rows));
}

type Objects = ConsumerBody['allocations'];
function heldIn(allocations: AllocationsPut['allocations'], asObjects: boolean): Held[] {
  const pairs = asObjects
    ? Object.entries(allocations as Objects).map(([provider, { resources }]) => ({ provider, resources }))
    : (allocations as { resource_provider: { uuid: string }; resources: Record<string, number> }[]).map((one) => ({
        provider: one.resource_provider.uuid,
        resources: one.resources,
      }));
  const last = new Map(pairs.map((pair) => [pair.provider, pair.resources])); // of a provider named twice the last one counts
  return [...last].flatMap(([provider, resources]) =>
    Object.entries(resources).map(([resourceClass, amount]) => ({ provider, resourceClass, amount })),
  );
}

/** A consumer's part of a body as what it shall hold. */
export const toWish = (uuid: string, wish: Omit<AllocationsPut, 'allocations'>, held: Held[]): ConsumerWish => ({
  uuid,
  projectId: wish.project_id ?? NOBODY,
  userId: wish.project_id === undefined ? NOBODY : (wish.user_id ?? NOBODY),
  type: wish.consumer_type,
  generation: wish.consumer_generation,
  held,
});
export const wishesIn = (consumers: Record<string, ConsumerBody>): ConsumerWish[] =>
  Object.entries(consumers).map(([uuid, wish]) => toWish(uuid, wish, heldIn(wish.allocations, true)));

/** Why nothing was written, as this API says it. */
export function refusalError(refusal: Refusal): CloudError {
  switch (refusal.why) {
    case 'generation':
      return consumerGenerationStale({ expected: String(refusal.expected), got: refusal.got === null ? 'None' : String(refusal.got) });
    case 'raced':
      return providerGenerationStale({ why: `Inventory and/or allocations changed while attempting to allocate: ${CHANGED_MEANWHILE}` });
    case 'provider':
      return placementBadRequest({ why: `Allocation for resource provider '${refusal.provider}' that does not exist.` });
    default: {
      const what = `'${refusal.resourceClass}' on resource provider '${refusal.provider}'`;
      const sentences = {
        'no-inventory': `Inventory for ${what} invalid.`,
        constraints: `Unable to create allocation for ${what}. The requested amount would violate inventory constraints.`,
        capacity: `Unable to create allocation for ${what}. The requested amount would exceed the capacity.`,
      };
      return placementConflict({ why: `Unable to allocate inventory: ${sentences[refusal.why]}` });
    }
  }
}

/** All of it or nothing, in the transaction. Throws what `refusalError` says; 400 for a class that nobody knows. */
export async function writeClaims(
  tx: Query,
  { db, clock }: PlacementParts,
  wishes: readonly ConsumerWish[],
  unknownClass: (why: string) => CloudError,
): Promise<void> {
  const at = clock.now();
  const refused = await replaceClaims(tx, db.kind, wishes, at);
  // A name that no class has is told from one that the provider does not offer.
  const [unknown] = refused?.why === 'no-inventory' ? await unknownClasses(tx, classesOf(wishes)) : [];
  if (unknown !== undefined) throw unknownClass(noSuchClass(unknown));
  if (refused) throw refusalError(refused);
  await tellSchedulers(
    tx,
    wishes.flatMap((wish) => wish.held.map((one) => one.provider)),
    at,
  );
}
const classesOf = (wishes: readonly ConsumerWish[]) => wishes.flatMap((wish) => wish.held.map((one) => one.resourceClass));

/** Spec: placement api-ref, "Update allocations". */
export async function putAllocations(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const given = call.params.consumer_uuid ?? '';
  if (!isUuid(given)) throw placementBadRequest({ why: `Malformed consumer_uuid: ${given}` });
  const uuid = dashed(given);
  const wish = readJson(call, allocationsPut);
  const held = heldIn(wish.allocations, allocationsAreObjects(call.version));
  await parts.db.transaction((tx) =>
    writeClaims(tx, parts, [toWish(uuid, wish, held)], (why) =>
      placementBadRequest({ why: `Unable to allocate inventory for consumer ${uuid}: ${why}` }),
    ),
  );
  return empty();
}

/** Several consumers at once.  Spec: placement api-ref, "Manage allocations". */
export async function postAllocations(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const wishes = wishesIn(readJson(call, allocationsPost));
  await parts.db.transaction((tx) =>
    writeClaims(tx, parts, wishes, (why) => placementBadRequest({ why: `Unable to allocate inventory ${why}` })),
  );
  return empty();
}

export async function deleteAllocations({ db, clock }: PlacementParts, call: Call): Promise<Reply> {
  const consumer = call.params.consumer_uuid ?? '';
  await db.transaction(async (tx) => {
    const held = await listAllocations(tx, { consumer });
    if (held.length === 0) throw placementNotFound({ why: `No allocations for consumer '${consumer}'` });
    await releaseClaim(tx, consumer);
    await tellSchedulers(
      tx,
      held.map((row) => row.provider),
      clock.now(),
    );
  });
  return empty();
}
