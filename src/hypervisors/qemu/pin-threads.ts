import { existsSync, readdirSync } from 'node:fs';
import type { PlacedCell } from './place-cells.ts';
import { runProgram } from './programs.ts';
import type { Qmp } from './qmp.ts';

/** Which CPUs of the host each CPU of a guest may run on, and which its emulator's other threads; `emulator` null: wherever they like.
 *  `shared` is where guests without CPUs of their own run; null: anywhere.  Pure. */
export function pinPlan(cells: readonly PlacedCell[] | null, shared: readonly number[] | null) {
  const cpus = new Map<number, readonly number[]>();
  for (const cell of cells ?? []) {
    const own = new Map(cell.pins);
    const others = cell.shared.length > 0 ? cell.shared : null;
    for (const cpu of cell.cpus) {
      const pin = own.get(cpu);
      const where = pin === undefined ? others : [pin];
      if (where) cpus.set(cpu, where);
    }
  }
  const set = new Set((cells ?? []).flatMap((cell) => cell.emulator));
  const pinned = (cells ?? []).some((cell) => cell.pins.length > 0);
  const all = new Set([...cpus.values()].flat());
  const emulator = set.size > 0 ? set : pinned ? all : shared ? new Set(shared) : null;
  return { cpus, emulator: emulator && [...emulator].sort((a, b) => a - b), others: cells ? null : shared };
}

/** Puts the threads of a guest that has just been started where they belong. Safe twice. Throws hypervisorFailed. */
export async function pinThreads(qmp: Qmp, pid: number, plan: ReturnType<typeof pinPlan>): Promise<void> {
  if (plan.cpus.size === 0 && plan.emulator === null) return;
  const told = (await qmp.command('query-cpus-fast')) as { 'cpu-index': number; 'thread-id': number }[]; // QEMU's own form
  const ofCpus = new Map(told.map((one) => [one['thread-id'], one['cpu-index']]));
  for (const name of readdirSync(`/proc/${pid}/task`)) {
    const cpu = ofCpus.get(Number(name));
    const where = cpu === undefined ? plan.emulator : (plan.cpus.get(cpu) ?? plan.others);
    if (!where) continue;
    await runProgram('taskset', tasksetArgs(where, Number(name))).catch((cause) => {
      if (existsSync(`/proc/${pid}/task/${name}`)) throw cause; // else it has ended in between: helpers of QEMU come and go
    });
  }
}
/** Arguments of taskset. */
export const tasksetArgs = (cpus: readonly number[], thread: number) => ['-c', '-p', cpus.join(','), String(thread)];
