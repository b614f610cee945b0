import type { Micros } from '../../../lib/clock.ts';
import { type ClaimClass, capacityOf, claimClasses } from '../../../model/resources.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

export interface Inventory {
  readonly total: number;
  readonly reserved: number;
  readonly ratio: number;
}
export type Inventories = Readonly<Record<ClaimClass, Inventory>>;

/** Writes what a provider offers; what is used of it stays. True when something changed. */
export async function setInventories(
  tx: Query,
  kind: EngineKind,
  provider: { uuid: string; name: string; at: Micros },
  inventories: Inventories,
): Promise<boolean> {
  const old = await tx.selectFrom('inventories').selectAll().where('provider_uuid', '=', provider.uuid).execute();
  const differs = claimClasses.filter((name) => {
    const [row, now] = [old.find((one) => one.resource_class === name), inventories[name]];
    return !row || row.total !== now.total || row.reserved !== now.reserved || row.allocation_ratio !== now.ratio;
  });
  if (differs.length === 0) return false;
  await insertIgnore(
    tx,
    kind,
    'resource_providers',
    {
      uuid: provider.uuid,
      name: provider.name,
      generation: 0,
      root_uuid: provider.uuid,
      parent_uuid: null,
      created_at: provider.at,
      updated_at: provider.at,
    },
    ['uuid'],
  );
  for (const name of differs) {
    const { total, reserved, ratio } = inventories[name];
    const set = { total, reserved, min_unit: 1, max_unit: total, step_size: 1, allocation_ratio: ratio };
    const capacity = capacityOf(total, reserved, ratio);
    if (old.some((row) => row.resource_class === name))
      await tx
        .updateTable('inventories')
        .set({ ...set, capacity })
        .where('provider_uuid', '=', provider.uuid)
        .where('resource_class', '=', name)
        .execute();
    else
      await insertIgnore(tx, kind, 'inventories', { provider_uuid: provider.uuid, resource_class: name, ...set, capacity, used: 0 }, [
        'provider_uuid',
        'resource_class',
      ]);
  }
  await tx
    .updateTable('resource_providers')
    .set((eb) => ({ generation: eb('generation', '+', 1), touches: eb('touches', '+', 1), updated_at: provider.at }))
    .where('uuid', '=', provider.uuid)
    .execute();
  return true;
}
