import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { bootId } from './kvm-probe.ts';

/** A process for sure: numbers are used again, but not together with the same start time in the same boot. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks since boot. */
  readonly startTime: number;
  readonly bootId: string;
}

/** Who has this number now; undefined when nobody lives there (a zombie does not). */
export function identify(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name in brackets may hold anything
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return { pid, startTime: Number(fields[19]), bootId: bootId() };
  } catch {
    return undefined;
  }
}

export function isAlive(process: ProcessIdentity): boolean {
  const now = identify(process.pid);
  return now?.startTime === process.startTime && now.bootId === process.bootId;
}

/** Waits until the process has ended; false when it still lives after `ms` or the signal says to hurry. */
export async function ended(process: ProcessIdentity, ms: number, signal?: AbortSignal): Promise<boolean> {
  const until = Date.now() + ms;
  for (;;) {
    if (!isAlive(process)) return true;
    if (signal?.aborted || Date.now() >= until) return false;
    await pause(10);
  }
}

/** Kills exactly this process, and nobody who got its number later. */
export function killProcess(identity: ProcessIdentity): void {
  try {
    if (isAlive(identity)) process.kill(identity.pid, 'SIGKILL');
  } catch {} // it ended in between
}

/** Emulators that run with a pid file in this folder, found in the process table: the guest's uuid and the process. */
export function findEmulators(instances: string): { uuid: string; process: ProcessIdentity }[] {
  const found: { uuid: string; process: ProcessIdentity }[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const args = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const pidFile = args[args.indexOf('-pidfile') + 1] ?? '';
      const uuid = args[args.indexOf('-uuid') + 1] ?? '';
      const identity = pidFile === `${instances}/${uuid}/qemu.pid` ? identify(Number(name)) : undefined;
      if (identity) found.push({ uuid, process: identity });
    } catch {} // ended in between, or not ours to read
  }
  return found;
}
