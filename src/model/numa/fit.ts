import { type PciPool, type PciRequest, supportsRequests } from '../pci/pools.ts';
import { pin } from './pin.ts';
import {
  ANY_PAGES,
  freeCpus,
  type GuestCell,
  type GuestNuma,
  type HostCell,
  type HostNuma,
  isShared,
  LARGE_PAGES,
  type NetworkWish,
  type NumaLimits,
  SMALL_PAGES,
} from './topology.ts';

export interface FitWish {
  readonly limits: NumaLimits | null;
  readonly network: NetworkWish | null;
  readonly pciRequests: readonly PciRequest[] | null;
  readonly pciPools: readonly PciPool[] | null;
  /** Which providers serve which group of the request. */
  readonly mappings: Readonly<Record<string, readonly string[]>>;
  /** Fill cells that are used already, instead of the emptiest.  Spec: packing_host_numa_cells_allocation_strategy. */
  readonly pack: boolean;
}

/** Puts the guest's cells on cells of the host, or answers null. `guest` is worked on in place: like Nova, a cell that was put somewhere keeps its
 *  number and page size while further ways are tried.  Spec: Nova's numa_fit_instance_to_host. */
export function fitNuma(host: HostNuma, guest: Work, wish: FitWish): GuestNuma | null {
  if (host.cells.length < guest.cells.length) return null;
  const cells = host.cells.length > guest.cells.length ? inOrder(host.cells, guest, wish) : host.cells;
  const [fits, fails] = [new Set<string>(), new Set<string>()];
  for (const chosen of permutations(cells, guest.cells.length)) {
    const placed = chosen.every((cell, at) => {
      const own = guest.cells[at]!;
      const pair = `${cell.id} ${own.id}`;
      if (fails.has(pair)) return false;
      if (!fits.has(pair)) {
        const got = fitCell(cell, own, wish.limits, guest.emulatorThreads === 'isolate' && at === 0 ? 1 : 0);
        if (got.cell) guest.cells[at] = got.cell;
        if (!got.ok) {
          fails.add(pair);
          return false;
        }
        fits.add(pair);
      }
      guest.cells[at] = { ...guest.cells[at]!, id: cell.id };
      return true;
    });
    if (!placed) continue;
    const { pciRequests, pciPools, network } = wish;
    if (pciRequests?.length && pciPools && !supportsRequests(pciPools, pciRequests, wish.mappings, { cells: guest.cells, host })) continue;
    if (network && !networksFit(host, chosen, network)) continue;
    return { cells: guest.cells.slice(), emulatorThreads: guest.emulatorThreads };
  }
  return null;
}
/** A guest's cells while ways are tried. */
export interface Work {
  readonly cells: GuestCell[];
  readonly emulatorThreads: GuestNuma['emulatorThreads'];
}
export const workOn = (guest: GuestNuma): Work => ({ cells: guest.cells.slice(), emulatorThreads: guest.emulatorThreads });

/** Which cells of the host to try first, when it has more than are needed: those with much left (or little, when packing), and those with devices only
 *  for who asks for devices. */
function inOrder(cells: readonly HostCell[], guest: Work, { pack, pciPools, pciRequests }: FitWish): HostCell[] {
  const by = (list: readonly HostCell[], value: (cell: HostCell) => number, falling: boolean) =>
    list.toSorted((a, b) => (falling ? value(b) - value(a) : value(a) - value(b)));
  let order = by(cells, (cell) => cell.memoryMiB - cell.memoryUsageMiB, !pack);
  order =
    guest.cells[0] && isShared(guest.cells[0]) ? by(order, (cell) => cell.cpuUsage, pack) : by(order, (cell) => freeCpus(cell).size, !pack);
  if (!pciPools) return order;
  const devices = new Map<unknown, number>();
  for (const pool of pciPools) devices.set(pool.numa_node, (devices.get(pool.numa_node) ?? 0) + pool.count);
  return by(order, (cell) => devices.get(cell.id) ?? 0, Boolean(pciRequests?.length));
}

/** Choices of so many of a list, in each order. */
export function* permutations<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  if (size === 0) return yield [];
  for (const [at, item] of list.entries()) for (const rest of permutations(list.toSpliced(at, 1), size - 1)) yield [item, ...rest];
}

/** `cell`: what was learnt of the guest's cell, also when it does not fit. */
interface Fit {
  readonly ok: boolean;
  readonly cell?: GuestCell;
}
const misfit: Fit = { ok: false };
function fitCell(host: HostCell, guest: GuestCell, limits: NumaLimits | null, reserve: number): Fit {
  const owns = guest.policy === 'dedicated' || guest.policy === 'mixed';
  const shares = guest.policy !== 'dedicated';
  let cell = guest;
  if (guest.pageKiB) {
    const size = pageFor(host, guest);
    if (size === null) return misfit;
    cell = { ...guest, pageKiB: size };
  } else if (host.pages.length > 0) {
    const smallest = Math.min(...host.pages.map((page) => page.sizeKiB));
    if (!pagesFit(host, smallest, guest.memoryMiB, owns)) return misfit;
  } else if ((owns ? host.memoryMiB - host.memoryUsageMiB : host.memoryMiB) < guest.memoryMiB) return misfit;
  const failed: Fit = { ok: false, cell };
  if (owns && guest.dedicated.size + reserve > host.dedicated.size) return failed;
  if (shares && guest.shared.size > host.shared.size) return failed;
  if (owns) {
    if (guest.dedicated.size + reserve > freeCpus(host).size) return failed;
    const pinned = pin(host, guest, reserve);
    if (!pinned) return failed;
    cell = { ...cell, ...pinned, pinning: new Map([...cell.pinning, ...pinned.pinning]), id: host.id };
  }
  if (shares && limits) {
    if (host.cpuUsage + guest.shared.size > host.shared.size * limits.cpuRatio) return { ok: false, cell };
    if (host.memoryUsageMiB + guest.memoryMiB > host.memoryMiB * limits.ramRatio) return { ok: false, cell };
  }
  return { ok: true, cell: { ...cell, id: host.id } };
}

/** The page size the guest's cell gets on this host's cell; null when it gets none. */
function pageFor(host: HostCell, guest: GuestCell): number | null {
  const sizes = host.pages.map((page) => page.sizeKiB).sort((a, b) => b - a);
  const asked: Readonly<Record<number, number[]>> = {
    [SMALL_PAGES]: sizes.slice(-1),
    [LARGE_PAGES]: sizes.slice(0, -1),
    [ANY_PAGES]: sizes,
  };
  const choice = asked[guest.pageKiB ?? 0] ?? [guest.pageKiB ?? 0];
  return choice.find((size) => pagesFit(host, size, guest.memoryMiB, true)) ?? null;
}
function pagesFit(host: HostCell, sizeKiB: number, memoryMiB: number, onlyFree: boolean): boolean {
  const pages = host.pages.find((page) => page.sizeKiB === sizeKiB);
  if (!pages) return false;
  const count = onlyFree ? pages.total - pages.used - pages.reserved : pages.total;
  return memoryMiB * 1024 <= count * sizeKiB && (memoryMiB * 1024) % sizeKiB === 0;
}

/** A network that hangs on cells of this host must hang on one that was chosen. */
function networksFit({ cells }: HostNuma, chosen: readonly HostCell[], wish: NetworkWish): boolean {
  const near = new Set(chosen.flatMap((cell) => cell.network?.physnets ?? []));
  for (const name of wish.physnets) if (!near.has(name) && cells.some((cell) => cell.network?.physnets.includes(name))) return false;
  return !wish.tunneled || chosen.some((cell) => cell.network?.tunneled) || !cells.some((cell) => cell.network?.tunneled);
}
