import { typedProperties } from './image-properties.ts';
import { guestNumaOf } from './numa/constraints.ts';
import { fitNuma, workOn } from './numa/fit.ts';
import { readHostNuma } from './numa/read.ts';
import { standingFit } from './numa/stand.ts';
import type { GuestNuma, HostNuma, NumaLimits } from './numa/topology.ts';
import { withGuestStanding } from './numa/usage.ts';
import { type PciAlias, pciRequestsOf } from './pci/aliases.ts';
import { inOrder, type PciPool, type PciRequest, takeDevices } from './pci/pools.ts';

// What a server takes of its host beyond amounts: memory cells with their CPUs and pages, and devices.

/** What is asked for. */
export interface PartsWish {
  readonly numa: GuestNuma | null;
  readonly pciRequests: readonly PciRequest[] | null;
}
/** What a server holds: its cells on those of the host, and so many devices of each pool. */
export interface PartsHeld {
  readonly cells: GuestNuma | null;
  readonly devices: readonly TakenDevices[];
}
export interface TakenDevices {
  /** All that a pool says of its devices but their number. */
  readonly pool: string;
  readonly count: number;
}
/** What is left of a host; null: it tells of none. Pools are in the order in which devices are taken. */
export interface PartsLeft {
  readonly numa: HostNuma | null;
  readonly pciPools: readonly PciPool[] | null;
}
/** Which parts a claim may not exceed; others are written down where they fit, and given without where not. */
export interface PartsRule {
  readonly cells: boolean;
  readonly devices: boolean;
  /** Fill cells of hosts one after the other.  Spec: packing_host_numa_cells_allocation_strategy. */
  readonly pack: boolean;
}

/** Whether a flavor and an image have words by which parts are asked for; most have none. */
export function mayAskParts(
  { extraSpecs }: { readonly extraSpecs: Readonly<Record<string, string>> },
  properties: Readonly<Record<string, string>>,
): boolean {
  const asks = (words: object, pattern: RegExp) => Object.keys(words).some((key) => pattern.test(key));
  return asks(extraSpecs, /^(hw:|resources|trait|pci_)/) || asks(properties, /^(hw_|trait)/);
}

/** The parts a flavor and an image ask for; null: none. Throws for words nobody can read. */
export function partsWishOf(
  flavor: { readonly vcpus: number; readonly memoryMiB: number; readonly extraSpecs: Readonly<Record<string, string>> },
  properties: Readonly<Record<string, string>>,
  aliases: readonly PciAlias[],
): PartsWish | null {
  if (!mayAskParts(flavor, properties)) return null;
  const { vcpus, memoryMiB, extraSpecs } = flavor;
  const imageProperties = typedProperties(properties);
  const numa = guestNumaOf({ vcpus, memoryMiB, extraSpecs, imageProperties });
  const pciRequests = pciRequestsOf(extraSpecs, imageProperties.hw_pci_numa_affinity_policy, aliases);
  return numa || pciRequests ? { numa, pciRequests } : null;
}

/** What the agent reports of its machine, less what servers hold. */
export function partsLeft(stats: Readonly<Record<string, unknown>>, held: Iterable<PartsHeld>): PartsLeft {
  let numa = readHostNuma(stats.numa_topology);
  const { pci_device_pools: pools } = stats;
  const pciPools = Array.isArray(pools) ? (pools as PciPool[]) : null; // as agents report it
  const taken = new Map<string, number>();
  for (const { cells, devices } of held) {
    if (numa && cells) numa = withGuestStanding(numa, cells);
    for (const { pool, count } of devices) taken.set(pool, (taken.get(pool) ?? 0) + count);
  }
  if (!pciPools) return { numa, pciPools };
  const left = pciPools.flatMap((pool) => {
    const key = poolKey(pool);
    const gone = Math.min(taken.get(key) ?? 0, pool.count);
    if (gone === 0) return [pool];
    taken.set(key, (taken.get(key) ?? 0) - gone);
    return pool.count > gone ? [{ ...pool, count: pool.count - gone }] : [];
  });
  return { numa, pciPools: inOrder(left) };
}

/** Puts a wish on what is left of a host, as the filters of these parts judge it; null: it does not fit. */
export function takeParts(left: PartsLeft, wish: PartsWish, limits: NumaLimits | null, rule: PartsRule): PartsHeld | null {
  const { numa, pciPools } = left;
  const { pciRequests } = wish;
  const fit = { limits, network: null, pciRequests, pciPools, mappings: {}, pack: rule.pack };
  const cells = numa && wish.numa && standingFit(numa, wish.numa, fitNuma(numa, workOn(wish.numa), fit), fit);
  if (wish.numa && !cells && rule.cells) return null;
  if (!pciRequests?.length) return { cells, devices: [] };
  const rest = pciPools && takeDevices(pciPools, pciRequests, {}, numa && cells ? { cells: cells.cells, host: numa } : null);
  if (!rest && rule.devices) return null;
  return { cells, devices: pciPools && rest ? difference(pciPools, rest) : [] };
}

const poolKey = ({ count: _, ...tags }: PciPool) => JSON.stringify(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)));
function difference(before: readonly PciPool[], after: readonly PciPool[]): TakenDevices[] {
  const counts = new Map<string, number>();
  for (const pool of before) counts.set(poolKey(pool), (counts.get(poolKey(pool)) ?? 0) + pool.count);
  for (const pool of after) counts.set(poolKey(pool), (counts.get(poolKey(pool)) ?? 0) - pool.count);
  return [...counts].flatMap(([pool, count]) => (count > 0 ? [{ pool, count }] : []));
}

/** As the database keeps it: sets are lists, maps are lists of pairs. */
export const partsText = (held: PartsHeld): string =>
  JSON.stringify(held, (_key, value) => (value instanceof Set || value instanceof Map ? [...value] : value));
export function readParts(text: string): PartsHeld {
  const { cells, devices } = JSON.parse(text); // written by partsText
  if (!cells) return { cells, devices };
  return {
    devices,
    cells: {
      ...cells,
      cells: cells.cells.map((cell: Record<string, never>) => ({
        ...cell,
        shared: new Set(cell.shared),
        dedicated: new Set(cell.dedicated),
        pinning: new Map(cell.pinning),
        reserved: cell.reserved && new Set(cell.reserved),
      })),
    },
  };
}
