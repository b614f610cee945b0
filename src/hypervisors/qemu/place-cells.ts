import { hypervisorFailed, imageUnusable } from '../../model/errors-hypervisor.ts';
import { typedProperties } from '../../model/image-properties.ts';
import { guestNumaOf } from '../../model/numa/constraints.ts';
import { pin } from '../../model/numa/pin.ts';
import { ANY_PAGES, type GuestCell, type HostCell, LARGE_PAGES, SMALL_PAGES } from '../../model/numa/topology.ts';
import type { GuestSpec } from '../driver.ts';
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
  return (
    placed.length === wished.length &&
    wished.every((cell, at) => {
      const here = placed[at];
      return (
        here?.memoryMiB === cell.memoryMiB &&
        here.policy === cell.policy &&
        new Set(here.cpus).symmetricDifference(cell.shared.union(cell.dedicated)).size === 0 &&
        here.pins.length === cell.dedicated.size
      );
    })
  );
};

/** Puts each cell of a guest on a cell of its own of the host, beside those that stand there. Null when it asks for none. Throws hypervisorFailed when
 *  they do not fit: the scheduler's view of the host was older. */
export function placeCells(spec: GuestSpec, host: readonly HostCellReport[], others: readonly PlacedCell[]): readonly PlacedCell[] | null {
  const wished = wishedCells(spec);
  if (!wished) return null;
  const free = host.map((cell) => withOthers(cell, others));
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
  const placed = put(0, free);
  if (!placed) throw hypervisorFailed({ why: 'the memory cells, pages and CPUs the guest asks for are not free on this host' });
  return placed;
}

function placeOne(own: GuestCell, cell: HostCell, reserve: number): PlacedCell | null {
  const page = pageFor(own, cell);
  if (page === undefined) return null;
  const pinned = own.dedicated.size > 0 ? pin(cell, own, reserve) : { pinning: new Map<number, number>(), reserved: null };
  if (!pinned) return null;
  return {
    cpus: [...own.shared.union(own.dedicated)].sort((a, b) => a - b),
    memoryMiB: own.memoryMiB,
    hostCell: cell.id,
    pageKiB: page,
    pins: [...pinned.pinning],
    shared: [...cell.shared],
    emulator: [...(pinned.reserved ?? [])],
    policy: own.policy,
    siblings: cell.siblings.map((core) => [...core]),
  };
}

/** The size of pages the cell is made of here; null: small ones, undefined: there are none that fit. */
function pageFor(own: GuestCell, cell: HostCell): number | null | undefined {
  const wish = own.pageKiB;
  if (wish === null || wish === SMALL_PAGES || wish === SMALLEST_KIB) return null;
  const need = own.memoryMiB * 1024;
  const large = cell.pages
    .filter(({ sizeKiB, total, used }) => sizeKiB > SMALLEST_KIB && need % sizeKiB === 0 && (total - used) * sizeKiB >= need)
    .map(({ sizeKiB }) => sizeKiB)
    .sort((a, b) => b - a);
  if (wish === ANY_PAGES) return large[0] ?? null;
  if (wish === LARGE_PAGES) return large[0];
  return large.includes(wish) ? wish : undefined;
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
