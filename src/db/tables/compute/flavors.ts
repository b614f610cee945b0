import type { Selectable } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import type { Flavor } from '../../../model/server.ts';
import type { Query } from '../../engine.ts';
import { prepared } from '../../prepared.ts';
import type { FlavorsTable } from './tables.ts';

export const flavorOf = (row: Selectable<FlavorsTable>): Flavor => ({
  id: row.id,
  flavorId: row.flavorid,
  name: row.name,
  vcpus: row.vcpus,
  memoryMiB: row.memory_mib,
  rootGiB: row.root_gib,
  ephemeralGiB: row.ephemeral_gib,
  swapMiB: row.swap_mib,
  rxtxFactor: row.rxtx_factor,
  isPublic: row.is_public === 1,
  disabled: row.disabled === 1,
  description: row.description,
  extraSpecs: JSON.parse(row.extra_specs) as Record<string, string>, // written by this file alone
});

/** Columns a list can be sorted by, under the names Nova's `sort_key` has. */
export const flavorSortColumns = {
  created_at: 'created_at',
  description: 'description',
  disabled: 'disabled',
  ephemeral_gb: 'ephemeral_gib',
  flavorid: 'flavorid',
  id: 'id',
  is_public: 'is_public',
  memory_mb: 'memory_mib',
  name: 'name',
  root_gb: 'root_gib',
  rxtx_factor: 'rxtx_factor',
  swap: 'swap_mib',
  updated_at: 'updated_at',
  vcpu_weight: 'id',
  vcpus: 'vcpus',
} as const satisfies Record<string, keyof FlavorsTable>;
export type FlavorSortKey = keyof typeof flavorSortColumns;
export const flavorSortKeys = Object.keys(flavorSortColumns) as FlavorSortKey[];

export interface FlavorWish {
  /** true: public ones and those the project was given; false: private ones only; null: all. */
  readonly isPublic: boolean | null;
  readonly projectId: string | null;
  readonly includeDisabled: boolean;
  readonly minMemoryMiB: number;
  readonly minRootGiB: number;
  readonly name?: string | undefined;
  readonly sortKey: FlavorSortKey;
  readonly descending: boolean;
  readonly limit: number;
  readonly marker?: string | undefined;
}

/** A page of flavors, or undefined when the marker names none. */
export async function listFlavors(q: Query, wish: FlavorWish): Promise<Flavor[] | undefined> {
  const column = flavorSortColumns[wish.sortKey];
  // Nulls sort alike on every engine only when they are given a value.
  const empty = column === 'description' ? '' : 0;
  const direction = wish.descending ? 'desc' : 'asc';
  let rows = q
    .selectFrom('flavors')
    .selectAll()
    .where('memory_mib', '>=', wish.minMemoryMiB)
    .where('root_gib', '>=', wish.minRootGiB)
    .orderBy((eb) => eb.fn.coalesce(column, eb.val(empty)), direction)
    .orderBy('id', direction)
    .limit(wish.limit);
  if (!wish.includeDisabled) rows = rows.where('disabled', '=', 0);
  if (wish.name !== undefined) rows = rows.where('name', '=', wish.name);
  const { isPublic, projectId } = wish;
  if (isPublic === false) rows = rows.where('is_public', '=', 0);
  if (isPublic === true) {
    rows = rows.where((eb) =>
      eb.or([
        eb('is_public', '=', 1),
        eb(
          'id',
          'in',
          eb
            .selectFrom('flavor_projects')
            .select('flavor_id')
            .where('project_id', '=', projectId ?? ''),
        ),
      ]),
    );
  }
  if (wish.marker !== undefined) {
    const marker = await q.selectFrom('flavors').selectAll().where('flavorid', '=', wish.marker).executeTakeFirst();
    if (!marker) return undefined;
    const beyond = wish.descending ? '<' : '>';
    const at = marker[column] ?? empty;
    rows = rows.where((eb) =>
      eb.or([
        eb(eb.fn.coalesce(column, eb.val(empty)), beyond, at),
        eb.and([eb(eb.fn.coalesce(column, eb.val(empty)), '=', at), eb('id', beyond, marker.id)]),
      ]),
    );
  }
  return (await rows.execute()).map(flavorOf);
}

const byId = prepared((db, p: { flavorId: string }) => db.selectFrom('flavors').selectAll().where('flavorid', '=', p.flavorId));
const visibleById = prepared((db, p: { flavorId: string; projectId: string }) =>
  db
    .selectFrom('flavors')
    .selectAll()
    .where('flavorid', '=', p.flavorId)
    .where((eb) =>
      eb.or([
        eb('is_public', '=', 1),
        eb('id', 'in', eb.selectFrom('flavor_projects').select('flavor_id').where('project_id', '=', p.projectId)),
      ]),
    ),
);

/** The flavor users call `flavorId`, or undefined. With `visibleTo`, only if it is public or that project was given it. */
export async function findFlavor(q: Query, flavorId: string, visibleTo?: { projectId: string | null }): Promise<Flavor | undefined> {
  const [row] = (visibleTo ? await visibleById(q, { flavorId, projectId: visibleTo.projectId ?? '' }) : await byId(q, { flavorId })).rows;
  return row && flavorOf(row);
}

export const flavorNameExists = async (q: Query, name: string): Promise<boolean> =>
  (await q.selectFrom('flavors').select('id').where('name', '=', name).executeTakeFirst()) !== undefined;

/** Adds a flavor. Fails by a unique key when its id or name is taken: look before, and again when it fails. */
export async function insertFlavor(q: Query, flavor: Omit<Flavor, 'id'>, now: Micros): Promise<void> {
  await q
    .insertInto('flavors')
    .values({
      flavorid: flavor.flavorId,
      name: flavor.name,
      vcpus: flavor.vcpus,
      memory_mib: flavor.memoryMiB,
      root_gib: flavor.rootGiB,
      ephemeral_gib: flavor.ephemeralGiB,
      swap_mib: flavor.swapMiB,
      rxtx_factor: flavor.rxtxFactor,
      is_public: flavor.isPublic ? 1 : 0,
      disabled: flavor.disabled ? 1 : 0,
      description: flavor.description,
      extra_specs: JSON.stringify(flavor.extraSpecs),
      created_at: now,
      updated_at: null,
    })
    .execute();
}

export async function describeFlavor(q: Query, id: number, description: string | null, now: Micros): Promise<void> {
  await q.updateTable('flavors').set({ description, updated_at: now }).where('id', '=', id).execute();
}

/** Deletes a flavor and who may use it; false when there was none. Servers keep the copy they were made with. */
export async function deleteFlavor(q: Query, flavorId: string): Promise<boolean> {
  const row = await q.selectFrom('flavors').select('id').where('flavorid', '=', flavorId).executeTakeFirst();
  if (!row) return false;
  await q.deleteFrom('flavor_projects').where('flavor_id', '=', row.id).execute();
  await q.deleteFrom('flavors').where('id', '=', row.id).execute();
  return true;
}

/** Changes the extra specs of a flavor as they stand now. `change` answers the new ones, or undefined to leave them. Call it in a transaction. */
export async function changeExtraSpecs(
  tx: Query,
  flavorId: string,
  now: Micros,
  change: (specs: Readonly<Record<string, string>>) => Record<string, string> | undefined,
): Promise<'changed' | 'left' | 'no flavor'> {
  // A write first takes the row, so that two changes at once follow each other on every engine.
  const taken = await tx.updateTable('flavors').set({ updated_at: now }).where('flavorid', '=', flavorId).executeTakeFirst();
  if (taken.numUpdatedRows === 0n) return 'no flavor';
  const flavor = await findFlavor(tx, flavorId);
  const specs = flavor && change(flavor.extraSpecs);
  if (!specs) return 'left';
  await tx
    .updateTable('flavors')
    .set({ extra_specs: JSON.stringify(specs) })
    .where('flavorid', '=', flavorId)
    .execute();
  return 'changed';
}

/** Projects that may use a private flavor. */
export async function flavorProjects(q: Query, id: number): Promise<string[]> {
  const rows = await q.selectFrom('flavor_projects').select('project_id').where('flavor_id', '=', id).orderBy('project_id').execute();
  return rows.map((row) => row.project_id);
}

/** Lets a project use a flavor; false when it may already. */
export async function addFlavorProject(tx: Query, id: number, projectId: string): Promise<boolean> {
  const there = await tx
    .selectFrom('flavor_projects')
    .select('flavor_id')
    .where('flavor_id', '=', id)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  if (there) return false;
  await tx.insertInto('flavor_projects').values({ flavor_id: id, project_id: projectId }).execute();
  return true;
}

/** Takes a project's use of a flavor away; false when it had none. */
export async function removeFlavorProject(q: Query, id: number, projectId: string): Promise<boolean> {
  const gone = await q.deleteFrom('flavor_projects').where('flavor_id', '=', id).where('project_id', '=', projectId).executeTakeFirst();
  return gone.numDeletedRows > 0n;
}
