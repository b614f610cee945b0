import { listAggregatesOf, replaceAggregates } from '../../db/tables/placement/names.ts';
import { raiseGeneration } from '../../db/tables/placement/providers.ts';
import type { Call, Reply } from '../../http/call.ts';
import { CHANGED_MEANWHILE, providerGenerationStale } from '../../model/errors-placement.ts';
import { json } from './answers.ts';
import { readJson } from './bodies.ts';
import { aggregatesAreGuarded } from './microversions.ts';
import type { PlacementParts } from './parts.ts';
import { mustFind } from './providers.ts';
import { guardedAggregates, plainAggregates } from './shapes/providers.ts';

const view = (call: Call | Call<Buffer>, aggregates: readonly string[], generation: number) => ({
  aggregates,
  ...(aggregatesAreGuarded(call.version) ? { resource_provider_generation: generation } : {}),
});

export async function listAggregates(parts: PlacementParts, call: Call): Promise<Reply> {
  const provider = await mustFind(parts, call);
  return json(call, view(call, await listAggregatesOf(parts.db.read, provider.uuid), provider.generation), parts.clock.now());
}

/** Spec: placement api-ref, "Update resource provider aggregates". */
export async function setAggregates(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const provider = await mustFind(parts, call);
  const guarded = aggregatesAreGuarded(call.version) ? readJson(call, guardedAggregates) : undefined;
  const aggregates = guarded ? guarded.aggregates : readJson(call, plainAggregates);
  if (guarded && guarded.resource_provider_generation !== provider.generation)
    throw providerGenerationStale({
      why: "Resource provider's generation already changed. Please update the generation and try again.",
    });
  await db.transaction(async (tx) => {
    await replaceAggregates(tx, db.kind, provider.uuid, aggregates);
    if (guarded && !(await raiseGeneration(tx, provider.uuid, provider.generation, clock.now())))
      throw providerGenerationStale({ why: `Update conflict: ${CHANGED_MEANWHILE}` });
  });
  return json(call, view(call, aggregates, provider.generation + 1), clock.now());
}
