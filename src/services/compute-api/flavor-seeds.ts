import type { Database } from '../../db/engine.ts';
import { findFlavor, flavorNameExists, insertFlavor } from '../../db/tables/compute/flavors.ts';
import type { Clock } from '../../lib/clock.ts';

/** Id, name, vCPUs, memory in MiB, root disk in GiB. */
const seeds = [
  ['1', 'm1.tiny', 1, 512, 1],
  ['2', 'm1.small', 1, 2048, 20],
  ['3', 'm1.medium', 2, 4096, 40],
  ['4', 'm1.large', 4, 8192, 80],
  ['5', 'm1.xlarge', 8, 16_384, 160],
  ['6', 'k1.nano', 1, 128, 1],
] as const;

/** Puts in the flavors a new cloud has; those whose id or name is there already stay as they are. Two processes may do it at once. */
export async function seedFlavors(db: Database, clock: Clock): Promise<void> {
  try {
    await insertMissing(db, clock);
  } catch {
    await insertMissing(db, clock); // the other process was first with some; now they are seen
  }
}

async function insertMissing(db: Database, clock: Clock): Promise<void> {
  await db.transaction(async (tx) => {
    for (const [flavorId, name, vcpus, memoryMiB, rootGiB] of seeds) {
      if ((await findFlavor(tx, flavorId)) || (await flavorNameExists(tx, name))) continue;
      const sizes = { vcpus, memoryMiB, rootGiB, ephemeralGiB: 0, swapMiB: 0, rxtxFactor: 1 };
      await insertFlavor(tx, { flavorId, name, ...sizes, isPublic: true, disabled: false, description: null, extraSpecs: {} }, clock.now());
    }
  });
}
