import type { Micros } from '../../../lib/clock.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';
import type { ResourceProvidersTable } from './tables.ts';
import { touchTree } from './touches.ts';

/** A resource provider, as the API knows it. */
export interface Provider {
  readonly uuid: string;
  readonly name: string;
  readonly generation: number;
  readonly rootUuid: string;
  readonly parentUuid: string | null;
  readonly createdAt: Micros;
  readonly updatedAt: Micros;
}

export const toProvider = (row: Omit<ResourceProvidersTable, 'id' | 'touches'>): Provider => ({
  uuid: row.uuid,
  name: row.name,
  generation: row.generation,
  rootUuid: row.root_uuid,
  parentUuid: row.parent_uuid,
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

export async function findProvider(db: Query, uuid: string): Promise<Provider | undefined> {
  const row = await db.selectFrom('resource_providers').selectAll().where('uuid', '=', uuid).executeTakeFirst();
  return row && toProvider(row);
}

/** Puts in a provider; answers which of its names was taken already, if any. */
export async function insertProvider(tx: Query, kind: EngineKind, provider: Provider): Promise<('uuid' | 'name')[]> {
  const done = await insertIgnore(tx, kind, 'resource_providers', {
    uuid: provider.uuid,
    name: provider.name,
    generation: provider.generation,
    root_uuid: provider.rootUuid,
    parent_uuid: provider.parentUuid,
    created_at: provider.createdAt,
    updated_at: provider.updatedAt,
  });
  if (done) {
    await touchTree(tx);
    return [];
  }
  const twins = await tx
    .selectFrom('resource_providers')
    .select(['uuid', 'name'])
    .where((eb) => eb.or([eb('uuid', '=', provider.uuid), eb('name', '=', provider.name)]))
    .execute();
  const taken: ('uuid' | 'name')[] = [];
  if (twins.some((twin) => twin.uuid === provider.uuid)) taken.push('uuid');
  if (twins.some((twin) => twin.name === provider.name)) taken.push('name');
  return taken.length > 0 ? taken : ['name']; // gone again meanwhile: whoever asks may try again
}

/** A new generation, when it still is the one that was read: false otherwise. */
export async function raiseGeneration(tx: Query, uuid: string, from: number, at: Micros): Promise<boolean> {
  const done = await tx
    .updateTable('resource_providers')
    .set((eb) => ({ generation: from + 1, touches: eb('touches', '+', 1), updated_at: at }))
    .where('uuid', '=', uuid)
    .where('generation', '=', from)
    .executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** Every provider of the tree that has this root. */
export async function listTree(db: Query, root: string): Promise<Provider[]> {
  const rows = await db.selectFrom('resource_providers').selectAll().where('root_uuid', '=', root).orderBy('id').execute();
  return rows.map(toProvider);
}

/** Another name, another place in the forest. `moved`: uuids of the whole subtree, itself included, that stand under another root now. */
export async function rewriteProvider(
  tx: Query,
  uuid: string,
  set: { name: string; parentUuid: string | null; rootUuid: string; moved: readonly string[]; at: Micros },
): Promise<void> {
  for (let at = 0; at < set.moved.length; at += 500)
    await tx
      .updateTable('resource_providers')
      .set({ root_uuid: set.rootUuid })
      .where('uuid', 'in', set.moved.slice(at, at + 500))
      .execute();
  await tx
    .updateTable('resource_providers')
    .set({ name: set.name, parent_uuid: set.parentUuid, updated_at: set.at })
    .where('uuid', '=', uuid)
    .execute();
  await touchTree(tx);
}

/** Whether another provider than this one bears the name. */
export async function nameIsTaken(db: Query, name: string, but: string): Promise<boolean> {
  const row = await db.selectFrom('resource_providers').select('uuid').where('name', '=', name).where('uuid', '!=', but).executeTakeFirst();
  return row !== undefined;
}

/** Takes a provider out with its inventories, traits and aggregates; what keeps it in is answered, and then nothing was done that stays:
 *  the caller's transaction must end with a throw. */
export async function removeProvider(tx: Query, uuid: string): Promise<'gone' | 'parent' | 'used' | 'removed'> {
  const child = await tx.selectFrom('resource_providers').select('uuid').where('parent_uuid', '=', uuid).limit(1).executeTakeFirst();
  if (child) return 'parent';
  // What is free goes by one conditional statement, so that a claim at the same time keeps its inventory.
  await tx.deleteFrom('inventories').where('provider_uuid', '=', uuid).where('used', '=', 0).execute();
  const left = await tx.selectFrom('inventories').select('resource_class').where('provider_uuid', '=', uuid).limit(1).executeTakeFirst();
  const held = await tx.selectFrom('allocations').select('consumer_uuid').where('provider_uuid', '=', uuid).limit(1).executeTakeFirst();
  if (left || held) return 'used';
  await tx.deleteFrom('provider_traits').where('provider_uuid', '=', uuid).execute();
  await tx.deleteFrom('provider_aggregates').where('provider_uuid', '=', uuid).execute();
  const gone = await tx.deleteFrom('resource_providers').where('uuid', '=', uuid).executeTakeFirst();
  if (gone.numDeletedRows === 0n) return 'gone';
  await touchTree(tx);
  return 'removed';
}
