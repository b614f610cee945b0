import type { Query } from '../../db/engine.ts';
import { writeChange } from '../../db/tables/compute/changes.ts';
import { findFlavor, flavorProjects } from '../../db/tables/compute/flavors.ts';
import { flavorPayload, notice } from '../../model/notices.ts';
import type { Flavor } from '../../model/server.ts';
import { type ComputeParts, publisherOf } from './parts.ts';

/** Writes what a flavor is now into the change feed, in the transaction that changed it. */
export async function tellFlavor(parts: ComputeParts, tx: Query, flavorId: string, what: 'created' | 'updated'): Promise<void> {
  const flavor = await findFlavor(tx, flavorId);
  if (!flavor) return; // the change has met nothing
  await write(parts, tx, flavor, what, await flavorProjects(tx, flavor.id));
}

/** The same of a flavor that is gone; `flavor` as it was. */
export const tellFlavorGone = (parts: ComputeParts, tx: Query, flavor: Flavor) => write(parts, tx, flavor, 'deleted', null);

const EVENTS = { created: 'flavor.create', updated: 'flavor.update', deleted: 'flavor.delete' } as const;
const write = (parts: ComputeParts, tx: Query, flavor: Flavor, what: keyof typeof EVENTS, projects: readonly string[] | null) =>
  writeChange(tx, {
    noun: 'flavor',
    key: String(flavor.id), // users' own ids may be longer than the column
    what,
    projectId: null,
    body: { flavorId: flavor.flavorId, notice: notice(publisherOf(parts), EVENTS[what], flavorPayload(flavor, projects)) },
    at: parts.clock.now(),
  });
