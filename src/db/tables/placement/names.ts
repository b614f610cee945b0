import type { Micros } from '../../../lib/clock.ts';
import { isCustomTrait, isStandardTrait } from '../../../model/placement-names.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';
import { touch, touchTree } from './touches.ts';

/** A custom trait or resource class. */
export interface CustomName {
  readonly name: string;
  readonly createdAt: Micros;
}
type NameTable = 'traits' | 'resource_classes';

export async function listNames(db: Query, table: NameTable): Promise<CustomName[]> {
  const rows = await db.selectFrom(table).select(['name', 'created_at']).orderBy('id').execute();
  return rows.map((row) => ({ name: row.name, createdAt: row.created_at }));
}
export async function findName(db: Query, table: NameTable, name: string): Promise<CustomName | undefined> {
  const row = await db.selectFrom(table).select(['name', 'created_at']).where('name', '=', name).executeTakeFirst();
  return row && { name: row.name, createdAt: row.created_at };
}
/** Which of these names are there. */
export async function knownNames(db: Query, table: NameTable, names: readonly string[]): Promise<Set<string>> {
  if (names.length === 0) return new Set();
  const found = new Set<string>();
  for (let at = 0; at < names.length; at += 500) {
    const rows = await db
      .selectFrom(table)
      .select('name')
      .where('name', 'in', names.slice(at, at + 500))
      .execute();
    for (const row of rows) found.add(row.name);
  }
  return found;
}
/** False when it is there already. */
export const insertName = (tx: Query, kind: EngineKind, table: NameTable, name: string, at: Micros): Promise<boolean> =>
  insertIgnore(tx, kind, table, { name, created_at: at }, ['name']);

/** Removes a custom trait that no provider has. */
export async function removeTrait(tx: Query, name: string): Promise<'removed' | 'used' | 'gone'> {
  const gone = await tx.deleteFrom('traits').where('name', '=', name).executeTakeFirst();
  if (gone.numDeletedRows === 0n) return 'gone';
  const user = await tx.selectFrom('provider_traits').select('trait').where('trait', '=', name).limit(1).executeTakeFirst();
  return user ? 'used' : 'removed';
}
/** Removes a custom resource class that no provider offers. */
export async function removeClass(tx: Query, name: string): Promise<'removed' | 'used' | 'gone'> {
  const gone = await tx.deleteFrom('resource_classes').where('name', '=', name).executeTakeFirst();
  if (gone.numDeletedRows === 0n) return 'gone';
  const user = await tx.selectFrom('inventories').select('resource_class').where('resource_class', '=', name).limit(1).executeTakeFirst();
  return user ? 'used' : 'removed';
}
/** Renames a custom resource class wherever it stands. False when the new name is taken. */
export async function renameClass(tx: Query, from: string, to: string): Promise<boolean> {
  if (from === to) return true;
  const twin = await tx.selectFrom('resource_classes').select('name').where('name', '=', to).executeTakeFirst();
  if (twin) return false;
  await tx.updateTable('resource_classes').set({ name: to }).where('name', '=', from).execute();
  await tx.updateTable('inventories').set({ resource_class: to }).where('resource_class', '=', from).execute();
  await tx.updateTable('allocations').set({ resource_class: to }).where('resource_class', '=', from).execute();
  await touchTree(tx);
  return true;
}

export async function listTraitsOf(db: Query, provider: string): Promise<string[]> {
  const rows = await db.selectFrom('provider_traits').select('trait').where('provider_uuid', '=', provider).orderBy('trait').execute();
  return rows.map((row) => row.trait);
}
/** Brings a provider's traits to exactly these; false when they were so already. */
export async function replaceTraits(tx: Query, kind: EngineKind, provider: string, traits: readonly string[]): Promise<boolean> {
  const old = new Set(await listTraitsOf(tx, provider));
  const wanted = new Set(traits);
  const lost = [...old].filter((name) => !wanted.has(name));
  const fresh = [...wanted].filter((name) => !old.has(name));
  if (lost.length + fresh.length === 0) return false;
  if (lost.length > 0) await tx.deleteFrom('provider_traits').where('provider_uuid', '=', provider).where('trait', 'in', lost).execute();
  for (const trait of fresh)
    await insertIgnore(tx, kind, 'provider_traits', { provider_uuid: provider, trait }, ['provider_uuid', 'trait']);
  await touchTree(tx);
  return true;
}
/** Brings those of a provider's traits that its agent tells to what it tells now; others stay. Custom ones are made where they are not there. False when
 *  they were so already. */
export async function followTraits(
  tx: Query,
  kind: EngineKind,
  provider: string,
  told: { readonly before: readonly string[]; readonly now: readonly string[]; readonly at: Micros },
): Promise<boolean> {
  const has = new Set(await listTraitsOf(tx, provider));
  const now = new Set(told.now.filter((name) => isStandardTrait(name) || isCustomTrait(name)));
  const lost = told.before.filter((name) => has.has(name) && !now.has(name));
  const fresh = [...now].filter((name) => !has.has(name));
  if (lost.length + fresh.length === 0) return false;
  for (const name of fresh) if (!isStandardTrait(name)) await insertName(tx, kind, 'traits', name, told.at);
  if (lost.length > 0) await tx.deleteFrom('provider_traits').where('provider_uuid', '=', provider).where('trait', 'in', lost).execute();
  if (fresh.length > 0)
    await tx
      .insertInto('provider_traits')
      .values(fresh.map((trait) => ({ provider_uuid: provider, trait })))
      .execute();
  await touchTree(tx);
  return true;
}
/** Standard and custom traits that some provider has. */
export async function traitsInUse(db: Query): Promise<Set<string>> {
  const rows = await db.selectFrom('provider_traits').select('trait').distinct().execute();
  return new Set(rows.map((row) => row.trait));
}

export async function listAggregatesOf(db: Query, provider: string): Promise<string[]> {
  const rows = await db
    .selectFrom('provider_aggregates')
    .select('aggregate_uuid')
    .where('provider_uuid', '=', provider)
    .orderBy('aggregate_uuid')
    .execute();
  return rows.map((row) => row.aggregate_uuid);
}
/** Brings a provider's aggregates to exactly these. */
export async function replaceAggregates(tx: Query, kind: EngineKind, provider: string, aggregates: readonly string[]): Promise<void> {
  const wanted = new Set(aggregates);
  const old = new Set(await listAggregatesOf(tx, provider));
  const lost = [...old].filter((uuid) => !wanted.has(uuid));
  if (lost.length > 0)
    await tx.deleteFrom('provider_aggregates').where('provider_uuid', '=', provider).where('aggregate_uuid', 'in', lost).execute();
  for (const uuid of wanted)
    if (!old.has(uuid))
      await insertIgnore(tx, kind, 'provider_aggregates', { provider_uuid: provider, aggregate_uuid: uuid }, [
        'provider_uuid',
        'aggregate_uuid',
      ]);
  await touch(tx, { uuid: provider });
  await touchTree(tx);
}
