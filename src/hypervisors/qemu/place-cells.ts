import { claimedPlaceGone, hypervisorFailed, imageUnusable } from '../../model/errors-hypervisor.ts';
import { typedProperties } from '../../model/image-properties.ts';
import { guestNumaOf } from '../../model/numa/constraints.ts';
import { pin } from '../../model/numa/pin.ts';
import { ANY_PAGES, type GuestCell, type HostCell, LARGE_PAGES, SMALL_PAGES } from '../../model/numa/topology.ts';
import type { ClaimedCell, GuestSpec } from '../driver.ts';
import type { HostCellReport } from './host-cells.ts';

/** A memory cell of a guest as it stands on this host. Plain data: it is kept in the guest's record. */
export interface PlacedCell {
  readonly cpus: readonly number[];
  readonly memoryMiB: number;
  /** The host's cell it stands on. */
  readonly hostCell: number;
  /** Pages of the host it is made of, in KiB; null: the usual small ones. */
  readonly pageKiB: number | null;
  /** Guest CPU and the host CPU that is its own; others share. */
  readonly pins: readonly (readonly [guest: number, host: number])[];
  /** The host's CPUs that its other CPUs share. */
  readonly shared: readonly number[];
  /** Host CPUs for the emulator's own threads; empty: wherever the guest's CPUs may be. */
  readonly emulator: readonly number[];
  readonly policy: GuestCell['policy'];
  readonly siblings: readonly (readonly number[])[];
}
const SMALLEST_KIB = 4;

/** The cells a guest asks for, by flavor and image; null when it asks for none. Throws imageUnusable when they contradict each other. */
export function wishedCells(spec: Pick<GuestSpec, 'uuid' | 'image' | 'vcpus' | 'memoryMiB' | 'extraSpecs' | 'imageProperties'>) {
  try {
    return guestNumaOf({ ...spec, imageProperties: typedProperties(spec.imageProperties) });
  } catch (cause) {
    throw imageUnusable({ id: spec.image?.id ?? spec.uuid, why: cause instanceof Error ? cause.message : String(cause) }, { cause });
  }
}

/** Whether a guest that stands so already needs no other place. */
export const standsAsWished = (placed: readonly PlacedCell[], spec: GuestSpec): boolean => {
  const wished = wishedCells(spec)?.cells ?? [];
  const { claimedCells: claimed } = spec;
  return (
    placed.length === wished.length &&
    wished.every((cell, at) => {
      const here = placed[at];
      return (
        here?.memoryMiB === cell.memoryMiB &&
        here.policy === cell.policy &&
        sameNumbers(here.cpus, cell.shared.union(cell.dedicated)) &&
        here.pins.length === cell.dedicated.size &&
        (!claimed || standsAsClaimed(here, claimed[at]))
      );
    })
  );
};
const standsAsClaimed = (here: PlacedCell, claimed: ClaimedCell | undefined): boolean =>
  here.hostCell === claimed?.hostCell &&
  here.pageKiB === pagesOf(claimed) &&
  sameNumbers(here.emulator, claimed.emulator) &&
  claimed.pins.every(({ guest, host }) => here.pins.some((pin) => pin[0] === guest && pin[1] === host));
const sameNumbers = (some: Iterable<number>, others: Iterable<number>) => new Set(some).symmetricDifference(new Set(others)).size === 0;

/** Puts each cell of a guest where it is claimed, else on a cell of its own of the host, beside those that stand there. Null when it asks for none.
 *  Throws claimedPlaceGone, and hypervisorFailed when they do not fit: the scheduler's view of the host was older. */
export function placeCells(spec: GuestSpec, host: readonly HostCellReport[], others: readonly PlacedCell[]): readonly PlacedCell[] | null {
  const wished = wishedCells(spec);
  if (!wished) return null;
  const free = host.map((cell) => withOthers(cell, others));
  if (spec.claimedCells) return placeAsClaimed(wished.cells, spec.claimedCells, free);
  const put = (at: number, left: readonly HostCell[]): PlacedCell[] | null => {
    const own = wished.cells[at];
    if (!own) return [];
    const reserve = wished.emulatorThreads === 'isolate' && at === 0 ? 1 : 0;
    for (const cell of left.toSorted((a, b) => b.dedicated.size - b.pinned.size - (a.dedicated.size - a.pinned.size))) {
      const here = placeOne(own, cell, reserve);
      const rest =
        here &&
        put(
          at + 1,
          left.filter((one) => one !== cell),
        );
      if (here && rest) return [here, ...rest];
    }
    return null;
  };
  const found = put(0, free);
  if (!found) throw hypervisorFailed({ why: 'the memory cells, pages and CPUs the guest asks for are not free on this host' });
  return found;
}

/** Each cell where its claim says, and nowhere else: others may be told the rest of the host at any time. */
function placeAsClaimed(wished: readonly GuestCell[], claimed: readonly ClaimedCell[], host: readonly HostCell[]): readonly PlacedCell[] {
  if (claimed.length !== wished.length)
    throw claimedPlaceGone({ why: `it is for ${claimed.length} memory cells, and the guest has ${wished.length}` });
  return wished.map((own, at) => {
    const told = claimed[at]!;
    const { hostCell: id, memoryMiB, cpus, pins, emulator } = told;
    const isOwn = memoryMiB === own.memoryMiB && sameNumbers(cpus, own.shared.union(own.dedicated));
    if (
      !isOwn ||
      !sameNumbers(
        pins.map(({ guest }) => guest),
        own.dedicated,
      )
    )
      throw claimedPlaceGone({ why: `it is for another memory cell ${at} than the guest has` });
    const cell = host.find((one) => one.id === id);
    if (!cell) throw claimedPlaceGone({ why: `there is no memory cell ${id}` });
    const taken = new Set([...pins.map((pin) => pin.host), ...emulator]);
    const list = (set: ReadonlySet<number>) => ascending(set).join(', ');
    const missing = taken.difference(cell.dedicated);
    if (missing.size > 0) throw claimedPlaceGone({ why: `memory cell ${id} has no CPUs ${list(missing)} to give away` });
    const others = taken.intersection(cell.pinned);
    if (others.size > 0) throw claimedPlaceGone({ why: `CPUs ${list(others)} are another guest's` });
    if (own.shared.size > 0 && cell.shared.size === 0) throw claimedPlaceGone({ why: `memory cell ${id} has no CPUs that guests share` });
    const pageKiB = pagesOf(told);
    if (pageKiB !== null && !freePages(own, cell).includes(pageKiB))
      throw claimedPlaceGone({ why: `memory cell ${id} has not enough free pages of ${pageKiB} KiB` });
    return placed(own, cell, { pageKiB, pins: pins.map((pin) => [pin.guest, pin.host] as const), emulator: [...emulator] });
  });
}
const pagesOf = ({ pageKiB }: ClaimedCell) => (pageKiB !== null && pageKiB > SMALLEST_KIB ? pageKiB : null);
const placed = (own: GuestCell, cell: HostCell, where: Pick<PlacedCell, 'pageKiB' | 'pins' | 'emulator'>): PlacedCell => ({
  cpus: ascending(own.shared.union(own.dedicated)),
  memoryMiB: own.memoryMiB,
  hostCell: cell.id,
  pageKiB: where.pageKiB,
  pins: where.pins,
  shared: [...cell.shared],
  emulator: where.emulator,
  policy: own.policy,
  siblings: cell.siblings.map((core) => [...core]),
});
const ascending = (cpus: ReadonlySet<number>) => [...cpus].sort((a, b) => a - b);

function placeOne(own: GuestCell, cell: HostCell, reserve: number): PlacedCell | null {
  const page = pageFor(own, cell);
  if (page === undefined) return null;
  const pinned = own.dedicated.size > 0 ? pin(cell, own, reserve) : { pinning: new Map<number, number>(), reserved: null };
  if (!pinned) return null;
  return placed(own, cell, { pageKiB: page, pins: [...pinned.pinning], emulator: [...(pinned.reserved ?? [])] });
}

/** The size of pages the cell is made of here; null: small ones, undefined: there are none that fit. */
function pageFor(own: GuestCell, cell: HostCell): number | null | undefined {
  const wish = own.pageKiB;
  if (wish === null || wish === SMALL_PAGES || wish === SMALLEST_KIB) return null;
  const large = freePages(own, cell);
  if (wish === ANY_PAGES) return large[0] ?? null;
  if (wish === LARGE_PAGES) return large[0];
  return large.includes(wish) ? wish : undefined;
}

/** Sizes of large pages of which there are enough for the cell, the largest first. */
function freePages(own: GuestCell, cell: HostCell): number[] {
  const need = own.memoryMiB * 1024;
  return cell.pages
    .filter(({ sizeKiB, total, used }) => sizeKiB > SMALLEST_KIB && need % sizeKiB === 0 && (total - used) * sizeKiB >= need)
    .map(({ sizeKiB }) => sizeKiB)
    .sort((a, b) => b - a);
}

function withOthers(cell: HostCellReport, others: readonly PlacedCell[]): HostCell {
  const here = others.filter((one) => one.hostCell === cell.id);
  return {
    id: cell.id,
    shared: new Set(cell.cpuset),
    dedicated: new Set(cell.pcpuset),
    memoryMiB: cell.memory,
    cpuUsage: 0,
    memoryUsageMiB: here.reduce((sum, one) => sum + one.memoryMiB, 0),
    pinned: new Set(here.flatMap((one) => [...one.pins.map(([, cpu]) => cpu), ...one.emulator])),
    siblings: cell.siblings.map((core) => new Set(core)),
    pages: cell.mempages.map(({ size_kb, total, reserved }) => ({
      sizeKiB: size_kb,
      total,
      reserved,
      used: here.reduce((sum, one) => sum + (one.pageKiB === size_kb ? (one.memoryMiB * 1024) / size_kb : 0), 0),
    })),
    network: null,
    socket: cell.socket,
  };
}
