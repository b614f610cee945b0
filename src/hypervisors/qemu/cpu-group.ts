import { accessSync, constants, readFileSync, rmdirSync, statSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { GuestSpec } from '../driver.ts';
import { numberOf, unusable } from './wishes.ts';

/** Where this process may make groups of processes whose CPU time the kernel shares out, and in which of its two forms. */
export interface CpuGroups {
  readonly folder: string;
  readonly version: 1 | 2;
}
/** What a flavor says of a guest's CPU time.  Spec: quota:cpu_shares, quota:cpu_period, quota:cpu_quota. */
export interface CpuLimits {
  readonly shares: number | null;
  /** Microseconds, for each CPU of the guest; quota null: no limit. */
  readonly periodUs: number;
  readonly quotaUs: number | null;
}
const PREFIX = 'kilonova-';
const USUAL_PERIOD_US = 100_000;
/** Shares as the first form counts them, and the weights that stand for them in the second. */
const [LEAST_SHARES, MOST_SHARES, MOST_WEIGHT] = [2, 262_144, 10_000];

/** Looks for a place to make groups in; null when there is none that this user may write to. `root`, `self` for tests. */
export function findCpuGroups(root = '/sys/fs/cgroup', self = '/proc/self/cgroup'): CpuGroups | null {
  let lines: string[];
  try {
    lines = readFileSync(self, 'utf8').trim().split('\n');
  } catch {
    return null;
  }
  for (const line of lines) {
    const [, controllers = '', path = '/'] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (controllers.split(',').includes('cpu')) {
      const folder = join(root, controllers, path);
      if (writable(folder)) return { folder, version: 1 };
    }
    if (controllers === '' && hasCpu(join(root, path))) return { folder: join(root, path), version: 2 };
  }
  return null;
}
const hasCpu = (folder: string) => {
  try {
    return /\bcpu\b/.test(readFileSync(join(folder, 'cgroup.subtree_control'), 'utf8')) && writable(folder);
  } catch {
    return false;
  }
};
function writable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return statSync(folder).isDirectory();
  } catch {
    return false;
  }
}

/** Null: the flavor says nothing. Throws imageUnusable. */
export function cpuLimits(spec: GuestSpec): CpuLimits | null {
  const shares = numberOf(spec, 'quota:cpu_shares', null) ?? null;
  const period = numberOf(spec, 'quota:cpu_period', null) ?? null;
  const quota = spec.extraSpecs['quota:cpu_quota'];
  const unlimited = quota === undefined || /^-\d+$/.test(quota);
  const quotaUs = unlimited ? null : (numberOf(spec, 'quota:cpu_quota', null) ?? null);
  if (shares === null && period === null && quota === undefined) return null;
  if (shares !== null && (shares < LEAST_SHARES || shares > MOST_SHARES))
    throw unusable(spec, `quota:cpu_shares=${shares} is not between ${LEAST_SHARES} and ${MOST_SHARES}`);
  if (period !== null && (period < 1000 || period > 1_000_000))
    throw unusable(spec, `quota:cpu_period=${period} is not between 1000 and 1000000`);
  if (quotaUs !== null && quotaUs < 1000) throw unusable(spec, `quota:cpu_quota=${quotaUs} is less than 1000`);
  return { shares, periodUs: period ?? USUAL_PERIOD_US, quotaUs };
}

/** What is written into which file of a group. The kernel counts the whole process, the flavor each CPU. Pure. */
export function groupFiles(
  { version }: Pick<CpuGroups, 'version'>,
  { shares, periodUs, quotaUs }: CpuLimits,
  vcpus: number,
): [string, string][] {
  const quota = quotaUs === null ? null : quotaUs * vcpus;
  if (version === 1)
    return [
      ...(shares === null ? [] : ([['cpu.shares', String(shares)]] as [string, string][])),
      ['cpu.cfs_period_us', String(periodUs)],
      ['cpu.cfs_quota_us', String(quota ?? -1)],
    ];
  const weight = shares === null ? null : 1 + Math.floor(((shares - LEAST_SHARES) * (MOST_WEIGHT - 1)) / (MOST_SHARES - LEAST_SHARES));
  return [
    ...(weight === null ? [] : ([['cpu.weight', String(weight)]] as [string, string][])),
    ['cpu.max', `${quota ?? 'max'} ${periodUs}`],
  ];
}

/** Puts a process that has just been started into a group of its own, as far as its flavor says anything. Safe twice. Throws hypervisorFailed. */
export async function joinCpuGroup(groups: CpuGroups | null, spec: GuestSpec, pid: number): Promise<void> {
  const limits = cpuLimits(spec);
  if (!limits) return;
  if (!groups)
    throw hypervisorFailed({ why: 'this host cannot limit the CPU time of guests (quota:cpu_*): its control groups are not ours' });
  const folder = join(groups.folder, PREFIX + spec.uuid);
  try {
    await mkdir(folder, { recursive: true });
    for (const [name, text] of groupFiles(groups, limits, spec.vcpus)) await writeFile(join(folder, name), text);
    await writeFile(join(folder, 'cgroup.procs'), String(pid));
  } catch (cause) {
    throw hypervisorFailed({ why: 'the CPU time of the guest could not be limited' }, { cause, detail: String(cause) });
  }
}

/** Takes the group of a guest away; false while some process is still in it: one that was killed leaves a moment later. */
export function dropCpuGroup(groups: CpuGroups | null, uuid: string): boolean {
  if (!groups) return true;
  try {
    rmdirSync(join(groups.folder, PREFIX + uuid));
    return true;
  } catch (cause) {
    return (cause as { code?: unknown }).code !== 'EBUSY'; // errors of node's fs carry a code
  }
}
