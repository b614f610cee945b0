import type { PartsAsk } from '../../db/tables/placement/parts.ts';
import { badWish } from '../../model/errors-scheduler.ts';
import { partsWishOf } from '../../model/machine-parts.ts';
import type { Flavor, Server } from '../../model/server.ts';
import type { ConductorOptions } from './parts.ts';

/** What a claim takes of memory cells and devices; null: nothing. `forced`: an operator moves it there by force, and is taken at their word. Throws badWish. */
export function partsAskOf(
  { machineParts: { aliases, rule } }: Pick<ConductorOptions, 'machineParts'>,
  flavor: Flavor,
  image: Server['image'],
  forced = false,
): PartsAsk | null {
  try {
    const wish = partsWishOf(flavor, image?.properties ?? {}, aliases);
    return wish && { wish, rule: forced ? { ...rule, cells: false, devices: false } : rule };
  } catch (cause) {
    throw badWish({ why: cause instanceof Error ? cause.message : String(cause) }, { cause });
  }
}
