import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestSpec } from '../driver.ts';
import { type CpuGroups, dropCpuGroup, joinCpuGroup } from './cpu-group.ts';
import { type Firmware, type FirmwareFiles, firmwareOf, makeNvram } from './firmware.ts';
import type { GuestPaths } from './guest-paths.ts';
import type { HostCellReport } from './host-cells.ts';
import type { PlacedMemory } from './memory-args.ts';
import { pinPlan, pinThreads } from './pin-threads.ts';
import { type PlacedCell, placeCells, standsAsWished } from './place-cells.ts';
import type { Qmp } from './qmp.ts';
import { machineOf } from './slots.ts';
import { removeSecrets, type SecretOf, writeSecrets } from './volume-secrets.ts';

/** What this host has for guests that ask for more than a plain machine. */
export interface HostMachine {
  readonly firmware: () => FirmwareFiles;
  readonly cells: () => readonly HostCellReport[];
  /** Whether memory is bound to the host's cell it stands on. */
  readonly binds: boolean;
  readonly pageFolder: (sizeKiB: number) => string | undefined;
  /** Null: the CPU time of guests cannot be limited here. */
  readonly cpuGroups: CpuGroups | null;
  /** CPUs of guests that have none of their own; null: any. */
  readonly sharedCpus: readonly number[] | null;
  /** Seconds between two looks at a guest's memory; 0: guests have no balloon.  Spec: mem_stats_period_seconds. */
  readonly memoryStatsSeconds: number;
}
/** The machine of a guest that is being started. */
export interface MachinePlan {
  readonly firmware: Firmware | null;
  readonly cells: readonly PlacedCell[] | null;
  readonly memory: PlacedMemory | null;
  readonly balloon: boolean;
}

/** What machines take of their host besides files and processes. `standing`: cells of the guests that are known here, by uuid. */
export function createGuestMachines(
  host: HostMachine,
  secretOf: SecretOf,
  standing: () => Iterable<readonly [uuid: string, cells: readonly PlacedCell[] | null]>,
) {
  /** Cells of guests that are being started: taken before anything is awaited. */
  const placing = new Map<string, readonly PlacedCell[]>();
  /** Guests that ended, whose groups of processes cannot be taken away yet. */
  const leaving = new Set<string>();

  /** Cells stay where they are while the guest is this host's and nothing else is claimed for it. */
  const placeOf = (spec: GuestSpec, known: readonly PlacedCell[] | null) => {
    if (known && standsAsWished(known, spec)) return known;
    const others = new Map<string, readonly PlacedCell[]>();
    for (const [uuid, cells] of standing()) others.set(uuid, cells ?? []);
    for (const [uuid, cells] of placing) others.set(uuid, cells);
    others.delete(spec.uuid);
    return placeCells(spec, host.cells(), [...others.values()].flat());
  };
  const memoryOf = (cells: readonly PlacedCell[] | null): PlacedMemory | null => {
    if (!cells) return null;
    const folders: Record<string, string> = {};
    for (const { pageKiB } of cells) {
      if (pageKiB === null) continue;
      const folder = host.pageFolder(pageKiB);
      if (folder === undefined) throw hypervisorFailed({ why: `pages of ${pageKiB} KiB are not mounted on this host (hugetlbfs)` });
      folders[pageKiB] = folder;
    }
    return { cells, binds: host.binds && host.cells().length > 1, pageFolders: folders };
  };
  const leave = (uuid: string) => {
    if (dropCpuGroup(host.cpuGroups, uuid)) leaving.delete(uuid);
    else leaving.add(uuid);
  };

  return {
    /** Decides it and holds its place until `done`. `known`: where its cells stood. Throws imageUnusable, claimedPlaceGone, hypervisorFailed. */
    plan(spec: GuestSpec, known: readonly PlacedCell[] | null): MachinePlan {
      const cells = placeOf(spec, known);
      const memory = memoryOf(cells);
      const firmware = firmwareOf(spec, machineOf(spec), host.firmware());
      if (cells) placing.set(spec.uuid, cells);
      return { firmware, cells, memory, balloon: host.memoryStatsSeconds > 0 };
    },
    /** Lays ready what the emulator reads when it starts. Throws noDiskSpace and what the block storage service threw. */
    async layReady(spec: GuestSpec, { firmware }: MachinePlan, paths: GuestPaths): Promise<void> {
      await makeNvram(paths, firmware);
      await writeSecrets(spec, paths, secretOf);
    },
    /** Puts a process that has just come up where it belongs. Throws hypervisorFailed. */
    async settle(spec: GuestSpec, { cells }: MachinePlan, pid: number, qmp: Qmp): Promise<void> {
      leaving.delete(spec.uuid);
      await joinCpuGroup(host.cpuGroups, spec, pid);
      await pinThreads(qmp, pid, pinPlan(cells, host.sharedCpus));
    },
    /** Begins to ask a guest that runs for its memory's numbers. */
    async askMemory({ balloon }: MachinePlan, qmp: Qmp): Promise<void> {
      const period = { path: '/machine/peripheral/balloon0', property: 'guest-stats-polling-interval', value: host.memoryStatsSeconds };
      if (balloon) await qmp.command('qom-set', period).catch(() => undefined); // numbers only
    },
    /** The start is over, one way or the other. */
    async done(uuid: string, paths: GuestPaths): Promise<void> {
      placing.delete(uuid);
      await removeSecrets(paths);
    },
    /** Its process ended. */
    left: leave,
    /** Takes away what could not be taken away yet. */
    tidy(): void {
      for (const uuid of leaving) leave(uuid);
    },
  };
}
