import type { Query } from '../../engine.ts';
import { prepared } from '../../prepared.ts';

/** Something about the provider changed that does not count as a new generation. */
export const touch = prepared((db, p: { uuid: string }) =>
  db
    .updateTable('resource_providers')
    .set((eb) => ({ touches: eb('touches', '+', 1) }))
    .where('uuid', '=', p.uuid),
);
/** A claim was made on it, which is a new generation: whoever read its inventories before must look again. */
export const touchClaimed = prepared((db, p: { uuid: string }) =>
  db
    .updateTable('resource_providers')
    .set((eb) => ({ touches: eb('touches', '+', 1), generation: eb('generation', '+', 1) }))
    .where('uuid', '=', p.uuid),
);
/** The forest itself changed: providers came, went or moved, or their traits or aggregates are others. */
export const touchTree = async (tx: Query): Promise<void> => {
  await tx
    .updateTable('placement_marks')
    .set((eb) => ({ version: eb('version', '+', 1) }))
    .where('name', '=', 'tree')
    .execute();
};
