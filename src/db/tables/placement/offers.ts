import { capacityOf } from '../../../model/resources.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';
import type { InventoriesTable } from './tables.ts';

/** What a provider offers of one resource class. */
export interface Offer {
  readonly resourceClass: string;
  readonly total: number;
  readonly reserved: number;
  readonly minUnit: number;
  readonly maxUnit: number;
  readonly stepSize: number;
  readonly allocationRatio: number;
}
const columnsOf = (offer: Offer) => ({
  total: offer.total,
  reserved: offer.reserved,
  min_unit: offer.minUnit,
  max_unit: offer.maxUnit,
  step_size: offer.stepSize,
  allocation_ratio: offer.allocationRatio,
  capacity: capacityOf(offer.total, offer.reserved, offer.allocationRatio),
});
export const toOffer = (row: InventoriesTable): Offer => ({
  resourceClass: row.resource_class,
  total: row.total,
  reserved: row.reserved,
  minUnit: row.min_unit,
  maxUnit: row.max_unit,
  stepSize: row.step_size,
  allocationRatio: row.allocation_ratio,
});

export async function listOffers(db: Query, provider: string): Promise<(Offer & { used: number })[]> {
  const rows = await db.selectFrom('inventories').selectAll().where('provider_uuid', '=', provider).orderBy('resource_class').execute();
  return rows.map((row) => ({ ...toOffer(row), used: row.used }));
}

/** False when the provider offers this class already. */
export const addOffer = (tx: Query, kind: EngineKind, provider: string, offer: Offer): Promise<boolean> =>
  insertIgnore(tx, kind, 'inventories', { provider_uuid: provider, resource_class: offer.resourceClass, ...columnsOf(offer), used: 0 }, [
    'provider_uuid',
    'resource_class',
  ]);

/** False when the provider does not offer this class. What is used of it stays, even above the new capacity. */
export async function changeOffer(tx: Query, provider: string, offer: Offer): Promise<boolean> {
  const done = await tx
    .updateTable('inventories')
    .set(columnsOf(offer))
    .where('provider_uuid', '=', provider)
    .where('resource_class', '=', offer.resourceClass)
    .executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** Takes offers back that nobody uses, each by one conditional statement. Answers those in use: the caller's transaction must then end with a throw. */
export async function withdrawOffers(tx: Query, provider: string, classes: readonly string[]): Promise<{ used: string[]; gone: number }> {
  const used: string[] = [];
  let gone = 0;
  for (const name of classes) {
    const done = await tx
      .deleteFrom('inventories')
      .where('provider_uuid', '=', provider)
      .where('resource_class', '=', name)
      .where('used', '=', 0)
      .executeTakeFirst();
    if (done.numDeletedRows > 0n) gone++;
    else {
      const row = await tx
        .selectFrom('inventories')
        .select('used')
        .where('provider_uuid', '=', provider)
        .where('resource_class', '=', name)
        .executeTakeFirst();
      if (row) used.push(name);
    }
  }
  return { used, gone };
}

/** Brings a provider's offers to exactly these. */
export async function replaceOffers(tx: Query, kind: EngineKind, provider: string, offers: readonly Offer[]): Promise<{ used: string[] }> {
  const old = new Set((await listOffers(tx, provider)).map((offer) => offer.resourceClass));
  const wanted = new Set(offers.map((offer) => offer.resourceClass));
  const { used } = await withdrawOffers(
    tx,
    provider,
    [...old].filter((name) => !wanted.has(name)),
  );
  if (used.length > 0) return { used };
  for (const offer of offers) if (!(await changeOffer(tx, provider, offer))) await addOffer(tx, kind, provider, offer);
  return { used: [] };
}
