import { readFileSync } from 'node:fs';
import type { GuestDiagnostics } from '../driver.ts';
import type { LiveGuest } from './live-guests.ts';
import { bootVolume } from './slots.ts';

const MiB = 1024 ** 2;
/** USER_HZ is 100 on every Linux of this century. */
const NANOSECONDS_PER_TICK = 10_000_000;

interface BlockStats {
  readonly device?: string;
  readonly stats: Readonly<Record<string, number>>;
}

/** What QEMU and the kernel know of a guest; for one that is off: what its record says. User networks count nothing, so of cards only
 *  the addresses are told. */
export async function readDiagnostics({ record, qmp }: LiveGuest, acceleration: 'kvm' | 'tcg'): Promise<GuestDiagnostics> {
  const { spec, process, power } = record;
  const ask = async <T>(command: string): Promise<T | undefined> =>
    qmp ? ((await qmp.command(command).catch(() => undefined)) as T) : undefined; // QEMU's own forms
  const cpus = await ask<{ 'cpu-index': number; 'thread-id': number }[]>('query-cpus-fast');
  const memory = await ask<{ 'base-memory': number; 'plugged-memory'?: number }>('query-memory-size-summary');
  const balloon = await ask<{ actual: number }>('query-balloon');
  const blocks = await ask<BlockStats[]>('query-blockstats');
  const names = diskNames(record);
  return {
    state: power,
    driver: 'qemu',
    hypervisor: acceleration === 'kvm' ? 'kvm' : 'qemu',
    hypervisorOs: 'linux',
    uptime: process ? secondsSince(process.startTime) : null,
    configDrive: spec.configDrive !== null,
    memoryMaxMiB: memory ? Math.round((memory['base-memory'] + (memory['plugged-memory'] ?? 0)) / MiB) : spec.memoryMiB,
    memoryUsedMiB: balloon ? Math.round(balloon.actual / MiB) : null,
    cpus: (cpus ?? []).map((cpu) => ({
      id: cpu['cpu-index'],
      time: process ? threadTime(process.pid, cpu['thread-id']) : null,
      utilisation: null,
    })),
    nics: spec.nics.map(({ mac }) => ({ mac, ...NOTHING_COUNTED })),
    disks: (blocks ?? []).flatMap(({ device, stats }) => {
      const name = names.get(device ?? '');
      if (name === undefined) return [];
      const count = (key: string) => stats[key] ?? 0;
      return {
        device: name,
        readBytes: count('rd_bytes'),
        readRequests: count('rd_operations'),
        writeBytes: count('wr_bytes'),
        writeRequests: count('wr_operations'),
        errors: count('failed_rd_operations') + count('failed_wr_operations'),
      };
    }),
  };
}

const NOTHING_COUNTED = {
  rxOctets: null,
  rxErrors: null,
  rxDrop: null,
  rxPackets: null,
  rxRate: null,
  txOctets: null,
  txErrors: null,
  txDrop: null,
  txPackets: null,
  txRate: null,
} as const;

/** QEMU's name of each drive, and what the guest probably calls it: in the order of its places. */
function diskNames({ spec, disks, slots }: LiveGuest['record']): Map<string, string> {
  const boot = bootVolume(spec);
  const volumes = slots
    .filter((slot) => slot.kind === 'volume')
    .map((slot): [string, string] => [
      `vol${slot.slot}`,
      spec.volumes.find((one) => one.volumeId === slot.id)?.device.replace(/^\/dev\//, '') ?? '',
    ]);
  const own = disks.flatMap((disk, index) => (disk.readOnly ? [] : [`disk${index}`]));
  const letters = 'abcdefghijklmnopqrstuvwxyz';
  const first = boot ? ['volboot', ...own] : own;
  const named = first.map((drive, at): [string, string] => [
    drive,
    `${(spec.imageProperties.hw_disk_bus ?? 'virtio') === 'virtio' ? 'vd' : 'sd'}${letters[at]}`,
  ]);
  return new Map([...named, ...volumes]);
}

function threadTime(pid: number, tid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/task/${tid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' '); // the name in brackets may hold anything
    return (Number(fields[11]) + Number(fields[12])) * NANOSECONDS_PER_TICK;
  } catch {
    return null;
  }
}
function secondsSince(ticks: number): number | null {
  try {
    return Math.max(0, Math.floor(Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) - ticks / 100));
  } catch {
    return null;
  }
}
