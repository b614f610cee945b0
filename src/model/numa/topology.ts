/** Memory cells of hosts and of guests.  Spec: Nova's NUMATopology and InstanceNUMATopology. Memory in MiB, pages in KiB. */
export interface HostCell {
  readonly id: number;
  /** CPUs that guests share. */
  readonly shared: ReadonlySet<number>;
  /** CPUs that are given to one guest each. */
  readonly dedicated: ReadonlySet<number>;
  readonly memoryMiB: number;
  readonly cpuUsage: number;
  readonly memoryUsageMiB: number;
  readonly pinned: ReadonlySet<number>;
  /** Threads of each core. */
  readonly siblings: readonly ReadonlySet<number>[];
  readonly pages: readonly HostPages[];
  readonly network: { readonly physnets: readonly string[]; readonly tunneled: boolean } | null;
  readonly socket: number | null;
}
export interface HostPages {
  readonly sizeKiB: number;
  readonly total: number;
  readonly used: number;
  readonly reserved: number;
}
export interface HostNuma {
  readonly cells: readonly HostCell[];
}

export type CpuPolicy = 'dedicated' | 'shared' | 'mixed';
export type ThreadPolicy = 'prefer' | 'isolate' | 'require';
/** A cell of a guest. `id` is its own number until it is put on a cell of a host, then that one's. */
export interface GuestCell {
  readonly id: number;
  readonly shared: ReadonlySet<number>;
  readonly dedicated: ReadonlySet<number>;
  readonly memoryMiB: number;
  /** KiB, or one of the words below. */
  readonly pageKiB: number | null;
  readonly policy: CpuPolicy | null;
  readonly threads: ThreadPolicy | null;
  /** Guest CPU to host CPU. */
  readonly pinning: ReadonlyMap<number, number>;
  /** Host CPUs for the emulator's own threads. */
  readonly reserved: ReadonlySet<number> | null;
}
export interface GuestNuma {
  readonly cells: readonly GuestCell[];
  readonly emulatorThreads: 'isolate' | 'share' | null;
}
/** Page sizes by word. */
export const SMALL_PAGES = -1;
export const LARGE_PAGES = -2;
export const ANY_PAGES = -3;

/** What a fit may not exceed. */
export interface NumaLimits {
  readonly cpuRatio: number;
  readonly ramRatio: number;
}
/** Networks the guest needs near by. */
export interface NetworkWish {
  readonly physnets: readonly string[];
  readonly tunneled: boolean;
}

export const freeCpus = (cell: HostCell): Set<number> => cell.dedicated.difference(cell.pinned);
export const hasThreads = ({ cells }: HostNuma) => cells.some(({ siblings }) => siblings.some((core) => core.size > 1));
export const isShared = (cell: GuestCell) => cell.policy === null || cell.policy === 'shared';
