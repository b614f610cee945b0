import type { GuestSpec } from '../driver.ts';
import { cpuTopology } from './cpu-topology.ts';
import type { PlacedCell } from './place-cells.ts';
import { flagOf } from './wishes.ts';

export interface PlacedMemory {
  readonly cells: readonly PlacedCell[];
  /** Whether each stays on its cell of the host: where there is one only, nothing is to be said. */
  readonly binds: boolean;
  /** Folder of the host's pages by size in KiB. */
  readonly pageFolders: Readonly<Record<string, string>>;
}

/** CPUs and memory in QEMU's words. Each cell has memory of its own behind it, made of the pages it asked for. */
export function memoryArgs(spec: GuestSpec, memory: PlacedMemory | null): string[] {
  const topology = cpuTopology(spec);
  const smp = topology
    ? `${spec.vcpus},sockets=${topology.sockets},cores=${topology.cores},threads=${topology.threads}`
    : String(spec.vcpus);
  const locked = flagOf(spec, 'hw:locked_memory', 'hw_locked_memory') ? ['-overcommit', 'mem-lock=on'] : [];
  const cells = (memory?.cells ?? []).flatMap((cell, at) => {
    const folder = cell.pageKiB === null ? undefined : memory?.pageFolders[cell.pageKiB];
    const where = memory?.binds ? `,host-nodes=${cell.hostCell},policy=bind` : '';
    const kind = folder ? `memory-backend-file,mem-path=${folder.replaceAll(',', ',,')},share=on,prealloc=on` : 'memory-backend-ram';
    return [
      ...['-object', `${kind},id=cell${at},size=${cell.memoryMiB}M${where}`],
      ...['-numa', `node,nodeid=${at},memdev=cell${at}${cell.cpus.map((cpu) => `,cpus=${cpu}`).join('')}`],
    ];
  });
  return ['-m', String(spec.memoryMiB), '-smp', smp, ...locked, ...cells];
}
