import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseCpus } from '../../model/numa/cpu-spec.ts';

/** A memory cell of this host, under the names Nova reports it by. Memory in MiB, pages in KiB. */
export interface HostCellReport {
  readonly id: number;
  /** CPUs that guests share, and CPUs that are given to one guest each. */
  readonly cpuset: readonly number[];
  readonly pcpuset: readonly number[];
  readonly memory: number;
  readonly siblings: readonly (readonly number[])[];
  readonly mempages: readonly { readonly size_kb: number; readonly total: number; readonly reserved: number }[];
  readonly socket: number | null;
}
/** Which CPUs are for what: null is all of them.  Spec: [compute] cpu_shared_set and cpu_dedicated_set. */
export interface CpuSets {
  readonly shared: ReadonlySet<number> | null;
  readonly dedicated: ReadonlySet<number> | null;
}
const SMALL_KIB = 4;

/** Reads the host's memory cells; one cell where the kernel tells none. With neither set given every CPU is for both, as hosts were before the sets.
 *  With only one given the other purpose has none, or what is left. `root` for tests. */
export function readHostCells(sets: CpuSets, root = '/sys/devices/system'): HostCellReport[] {
  const read = (path: string) => {
    try {
      return readFileSync(join(root, path), 'utf8').trim();
    } catch {
      return undefined;
    }
  };
  const online = parseCpus(read('cpu/online') ?? '0');
  const shared = sets.shared ?? (sets.dedicated ? online.difference(sets.dedicated) : online);
  const dedicated = sets.dedicated ?? (sets.shared ? new Set<number>() : online);
  const nodes = [...parseCpus(read('node/online') ?? '0')];
  return nodes.map((id) => {
    const cpus = parseCpus(read(`node/node${id}/cpulist`) ?? [...online].join(',')).intersection(online);
    const kib = Number(/MemTotal:\s+(\d+)/.exec(read(`node/node${id}/meminfo`) ?? '')?.[1] ?? 0);
    const cores = new Map<string, number[]>();
    for (const cpu of cpus) {
      const core = read(`cpu/cpu${cpu}/topology/thread_siblings_list`) ?? String(cpu);
      cores.set(core, [...(cores.get(core) ?? []), cpu]);
    }
    const large = hugePages(join(root, `node/node${id}/hugepages`));
    const taken = large.reduce((sum, { size_kb, total }) => sum + size_kb * total, 0);
    const socket = Number(read(`cpu/cpu${[...cpus][0]}/topology/physical_package_id`) ?? Number.NaN);
    return {
      id,
      cpuset: ascending(cpus.intersection(shared)),
      pcpuset: ascending(cpus.intersection(dedicated)),
      memory: Math.floor(kib / 1024),
      siblings: [...cores.values()],
      mempages: [{ size_kb: SMALL_KIB, total: Math.floor((kib - taken) / SMALL_KIB), reserved: 0 }, ...large],
      socket: Number.isInteger(socket) ? socket : null,
    };
  });
}

function hugePages(folder: string) {
  try {
    return readdirSync(folder)
      .map((name) => ({
        size_kb: Number(/^hugepages-(\d+)kB$/.exec(name)?.[1] ?? 0),
        total: Number(readFileSync(join(folder, name, 'nr_hugepages'), 'utf8')),
        reserved: 0,
      }))
      .filter((one) => one.size_kb > 0)
      .sort((a, b) => a.size_kb - b.size_kb);
  } catch {
    return [];
  }
}
const ascending = (cpus: ReadonlySet<number>) => [...cpus].sort((a, b) => a - b);

/** Where pages of this size are mounted on this host; undefined when they are not. */
export function hugePageMount(sizeKiB: number, mounts = readText('/proc/mounts')): string | undefined {
  const usual = Number(/^Hugepagesize:\s+(\d+) kB$/m.exec(readText('/proc/meminfo'))?.[1] ?? 2048);
  for (const line of mounts.split('\n')) {
    const [, folder, type, options = ''] = line.split(' ');
    if (type !== 'hugetlbfs' || folder === undefined) continue;
    const [, number, unit] = /(?:^|,)pagesize=(\d+)([KMG]?)/.exec(options) ?? [];
    const size = number === undefined ? usual : Number(number) * ({ K: 1, M: 1024, G: 1024 ** 2 }[unit ?? ''] ?? 1 / 1024);
    if (size === sizeKiB) return folder;
  }
  return undefined;
}
function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}
