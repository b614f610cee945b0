import type { BuildCommand } from '../../bus/contracts/compute-agent.ts';
import { partsHeldBy } from '../../db/tables/placement/parts.ts';
import { mayAskParts } from '../../model/machine-parts.ts';
import type { Flavor } from '../../model/server.ts';
import type { Run } from './run-job.ts';

export type ClaimedCells = BuildCommand['guest']['claimedCells'];

/** Where the claim of a server has put its guest's memory cells; null when no claim is sure of it, and then the host chooses. `holder`: who has the claim
 *  on the host that is to be told, while a server moves (moving.ts). */
export async function claimedCells(
  { parts: { db, options }, server }: Pick<Run, 'parts' | 'server'>,
  { flavor = server.flavor, holder = server.uuid }: { readonly flavor?: Flavor; readonly holder?: string } = {},
): Promise<ClaimedCells> {
  // Where claims may be exceeded, guests stand on cells of which no claim tells: only the host knows then what is free.
  if (!options.machineParts.rule.cells || !mayAskParts(flavor, server.image?.properties ?? {})) return null;
  const held = await partsHeldBy(db.read, holder);
  if (!held?.cells) return null;
  return held.cells.cells.map((cell) => ({
    cpus: ascending(cell.shared.union(cell.dedicated)),
    memoryMiB: cell.memoryMiB,
    hostCell: cell.id,
    pageKiB: cell.pageKiB,
    pins: [...cell.pinning].map(([guest, host]) => ({ guest, host })),
    emulator: ascending(cell.reserved ?? new Set<number>()),
  }));
}
const ascending = (cpus: ReadonlySet<number>) => [...cpus].sort((a, b) => a - b);
