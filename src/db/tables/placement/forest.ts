import { sql } from 'kysely';
import type { Query } from '../../engine.ts';
import type { InventoriesTable, ResourceProvidersTable } from './tables.ts';

/** Tells whether anything about any provider changed, at the cost of one statement. `tree` stays while only numbers change. */
export interface ForestMark {
  readonly tree: string;
  readonly touches: number;
}
export async function readForestMark(db: Query): Promise<ForestMark> {
  const row = await db
    .selectFrom('resource_providers')
    .select((eb) => [
      eb.selectFrom('placement_marks').select('version').where('name', '=', 'tree').as('version'),
      sql<number | string>`count(*)`.as('count'),
      sql<number | string | null>`sum(id)`.as('ids'),
      sql<number | string | null>`max(created_at)`.as('newest'),
      sql<number | string | null>`sum(touches)`.as('touches'),
    ])
    .executeTakeFirstOrThrow();
  return { tree: [row.version, row.count, row.ids, row.newest].map(Number).join('.'), touches: Number(row.touches ?? 0) };
}

export type ForestProvider = ResourceProvidersTable & { readonly id: number; readonly touches: number };
export interface ForestRows {
  readonly providers: readonly ForestProvider[];
  readonly inventories: readonly InventoriesTable[];
  readonly traits: readonly { readonly provider_uuid: string; readonly trait: string }[];
  readonly aggregates: readonly { readonly provider_uuid: string; readonly aggregate_uuid: string }[];
}

/** Everything there is about providers. */
export async function readForest(db: Query): Promise<ForestRows> {
  const [providers, inventories, traits, aggregates] = await Promise.all([
    db.selectFrom('resource_providers').selectAll().orderBy('id').execute(),
    db.selectFrom('inventories').selectAll().orderBy('resource_class').execute(),
    db.selectFrom('provider_traits').selectAll().orderBy('trait').execute(),
    db.selectFrom('provider_aggregates').selectAll().execute(),
  ]);
  return { providers: providers as ForestProvider[], inventories, traits, aggregates };
}

const BUCKET = 128;
/** The sum of touches of each run of ids: tells which part of the forest to look at, without reading every provider. */
export async function readTouchSums(db: Query): Promise<Map<number, number>> {
  const bucket = sql<number | string>`id - id % ${sql.lit(BUCKET)}`;
  const rows = await db
    .selectFrom('resource_providers')
    .select([bucket.as('bucket'), sql<number | string>`sum(touches)`.as('touches')])
    .groupBy(bucket)
    .execute();
  return new Map(rows.map((row) => [Number(row.bucket), Number(row.touches)]));
}
/** Providers of one run with their count of touches. */
export const readTouches = (db: Query, bucket: number): Promise<{ uuid: string; touches: number }[]> =>
  db
    .selectFrom('resource_providers')
    .select(['uuid', 'touches'])
    .where('id', '>=', bucket)
    .where('id', '<', bucket + BUCKET)
    .execute();

/** Some providers with their inventories. */
export async function readSome(db: Query, uuids: readonly string[]): Promise<Pick<ForestRows, 'providers' | 'inventories'>> {
  const providers: ForestProvider[] = [];
  const inventories: InventoriesTable[] = [];
  for (let from = 0; from < uuids.length; from += 500) {
    const part = uuids.slice(from, from + 500);
    providers.push(...((await db.selectFrom('resource_providers').selectAll().where('uuid', 'in', part).execute()) as ForestProvider[]));
    inventories.push(
      ...(await db.selectFrom('inventories').selectAll().where('provider_uuid', 'in', part).orderBy('resource_class').execute()),
    );
  }
  return { providers, inventories };
}
