import { type FitWish, fitNuma, permutations, workOn } from './fit.ts';
import { freeCpus, type GuestNuma, type HostNuma } from './topology.ts';

/** A fit on which a guest can stand. Nova's search (fitNuma) keeps what a cell learnt in one place while it tries the next, so that now and then it says
 *  yes with CPUs of another cell, or with none; then each choice is judged once more by itself. Null: nothing fits. */
export function standingFit(host: HostNuma, wish: GuestNuma, found: GuestNuma | null, fit: FitWish): GuestNuma | null {
  if (!found || standsOn(host, found)) return found;
  for (const cells of permutations(host.cells, wish.cells.length)) {
    const again = fitNuma({ cells }, workOn(wish), fit);
    if (again && standsOn(host, again)) return again;
  }
  return null;
}

/** Whether each cell's own CPUs are free ones of its cell of the host. */
const standsOn = (host: HostNuma, { cells }: GuestNuma): boolean =>
  cells.every((own) => {
    const cell = host.cells.find(({ id }) => id === own.id);
    const whole = own.pinning.size === own.dedicated.size;
    return cell !== undefined && whole && new Set(own.pinning.values()).union(own.reserved ?? new Set()).isSubsetOf(freeCpus(cell));
  });
