import { listOffers, type Offer, replaceOffers } from '../../db/tables/placement/offers.ts';
import { findProvider, type Provider, raiseGeneration } from '../../db/tables/placement/providers.ts';
import type { Call, Reply } from '../../http/call.ts';
import {
  CHANGED_MEANWHILE,
  inventoryInUse,
  placementBadRequest,
  providerGenerationStale,
  reshapedProviderNotFound,
} from '../../model/errors-placement.ts';
import { sortClasses } from '../../model/placement-names.ts';
import { wishesIn, writeClaims } from './allocations.ts';
import { empty } from './answers.ts';
import { readJson } from './bodies.ts';
import { toOffer } from './inventories.ts';
import { noSuchClass, unknownClasses } from './knowledge.ts';
import type { PlacementParts } from './parts.ts';
import { reshape } from './shapes/allocations.ts';
import { tellSchedulers } from './tell-schedulers.ts';

/** Moves inventories between providers together with what is held of them, in one transaction: first the old and new inventories stand side by side,
 *  then claims move over, then what is left empty goes.  Spec: placement api-ref, "Reshaper". */
export async function reshapeProviders(parts: PlacementParts, call: Call<Buffer>): Promise<Reply> {
  const { db, clock } = parts;
  const wish = readJson(call, reshape);
  const malformed = (why: string) => placementBadRequest({ why: `malformed reshaper data: ${why}` });
  const raced = () => providerGenerationStale({ why: `update conflict: ${CHANGED_MEANWHILE}` });
  const claims = wishesIn(wish.allocations);
  await db.transaction(async (tx) => {
    const targets: { provider: Provider; offers: Offer[] }[] = [];
    for (const [uuid, { resource_provider_generation: given, inventories }] of Object.entries(wish.inventories)) {
      const provider = await findProvider(tx, uuid);
      if (!provider) throw reshapedProviderNotFound({ uuid });
      if (provider.generation !== given)
        throw providerGenerationStale({
          why: `resource provider generation conflict for provider ${uuid}: actual: ${provider.generation}, given: ${given}`,
        });
      targets.push({ provider, offers: Object.entries(inventories).map(([name, record]) => toOffer(name, record)) });
    }
    const [unknown] = await unknownClasses(
      tx,
      targets.flatMap(({ offers }) => offers.map((offer) => offer.resourceClass)),
    );
    if (unknown !== undefined) throw malformed(noSuchClass(unknown));
    for (const { provider, offers } of targets) {
      if (offers.length === 0) continue;
      const wanted = new Set(offers.map((offer) => offer.resourceClass));
      const staying = (await listOffers(tx, provider.uuid)).filter((offer) => !wanted.has(offer.resourceClass));
      await replaceOffers(tx, db.kind, provider.uuid, [...offers, ...staying]);
      if (!(await raiseGeneration(tx, provider.uuid, provider.generation, clock.now()))) throw raced();
    }
    await writeClaims(tx, parts, claims, malformed);
    for (const { provider, offers } of targets) {
      const { used } = await replaceOffers(tx, db.kind, provider.uuid, offers);
      if (used.length > 0) throw inventoryInUse({ before: 'update conflict: ', classes: sortClasses(used), provider: provider.uuid });
      const now = await findProvider(tx, provider.uuid);
      if (!now || !(await raiseGeneration(tx, provider.uuid, now.generation, clock.now()))) throw raced();
    }
    await tellSchedulers(
      tx,
      targets.map(({ provider }) => provider.uuid),
      clock.now(),
    );
  });
  return empty();
}
