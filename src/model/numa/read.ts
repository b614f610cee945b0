import type { HostNuma } from './topology.ts';

// biome-ignore lint/suspicious/noExplicitAny: what an agent reported, read field by field
type Json = any;
const numbers = (list: unknown): Set<number> => new Set(Array.isArray(list) ? list.filter((one) => typeof one === 'number') : []);
const list = (value: unknown): Json[] => (Array.isArray(value) ? value : []);

/** Memory cells as agents report them, under Nova's names: { cells: [{ id, cpuset, pcpuset, memory, siblings, mempages, ... }] }; null when there
 *  are none. Spec: Nova's NUMATopology. */
export function readHostNuma(report: unknown): HostNuma | null {
  const cells = list((report as Json)?.cells);
  if (cells.length === 0) return null;
  return {
    cells: cells.map((cell) => ({
      id: cell.id,
      shared: numbers(cell.cpuset),
      dedicated: numbers(cell.pcpuset),
      memoryMiB: cell.memory,
      cpuUsage: cell.cpu_usage ?? 0,
      memoryUsageMiB: cell.memory_usage ?? 0,
      pinned: numbers(cell.pinned_cpus),
      siblings: list(cell.siblings).map(numbers),
      pages: list(cell.mempages).map((page) => ({
        sizeKiB: page.size_kb,
        total: page.total,
        used: page.used ?? 0,
        reserved: page.reserved ?? 0,
      })),
      network: cell.network_metadata
        ? { physnets: list(cell.network_metadata.physnets), tunneled: cell.network_metadata.tunneled ?? false }
        : null,
      socket: cell.socket ?? null,
    })),
  };
}
