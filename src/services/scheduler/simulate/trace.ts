import { seeded } from '../random.ts';

/** One server of a trace: when it is asked for, for how long it lives, and what it takes. Times are seconds of virtual time. */
export interface Arrival {
  readonly at: number;
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly diskGiB: number;
  /** Null: to the end. */
  readonly lifetime: number | null;
  readonly zone: string | null;
}

const COLUMNS = ['at', 'vcpus', 'memory_mib', 'disk_gib', 'lifetime', 'zone'];
const NEEDED = COLUMNS.slice(0, 4);

/** Reads a trace: CSV with a head line that names its columns, in any order; `lifetime` and `zone` may lack or be empty. Throws an Error that names the
 *  line. */
export function readTrace(text: string): Arrival[] {
  const lines = text.split(/\r?\n/).filter((line) => line.trim() !== '');
  const head = (lines[0] ?? '').split(',').map((name) => name.trim().toLowerCase());
  const missing = NEEDED.filter((name) => !head.includes(name));
  if (missing.length > 0)
    throw new Error(`the trace's first line must name the columns ${NEEDED.join(', ')}; it lacks ${missing.join(', ')}`);
  const list = lines.slice(1).map((line, at): Arrival => {
    const cells = line.split(',').map((cell) => cell.trim());
    const cell = (name: string) => cells[head.indexOf(name)] ?? '';
    const number = (name: string, least: number) => {
      const value = Number(cell(name));
      if (cell(name) === '' || !Number.isFinite(value) || value < least)
        throw new Error(`line ${at + 2} of the trace: ${name} must be a number from ${least}, not "${cell(name)}"`);
      return value;
    };
    return {
      at: number('at', 0),
      vcpus: number('vcpus', 1),
      memoryMiB: number('memory_mib', 1),
      diskGiB: number('disk_gib', 0),
      lifetime: cell('lifetime') === '' ? null : number('lifetime', 0),
      zone: cell('zone') === '' ? null : cell('zone'),
    };
  });
  return list.sort((a, b) => a.at - b.at);
}

export interface Synthetic {
  readonly seed: number;
  readonly servers: number;
  /** Servers asked for in a second, on average. */
  readonly rate: number;
  /** Seconds that a server lives, on average. */
  readonly lifetime: number;
}
/** Sizes as clouds have them: many small ones, some that want memory, some that want CPUs. [weight, CPUs, MiB, GiB] */
const MIX = [
  [30, 1, 2048, 20],
  [25, 2, 4096, 40],
  [20, 4, 8192, 80],
  [10, 2, 16_384, 40],
  [8, 8, 8192, 40],
  [5, 8, 32_768, 160],
  [2, 16, 131_072, 320],
] as const;

function drawn(at: number): (typeof MIX)[number] {
  let left = at;
  for (const size of MIX) {
    left -= size[0];
    if (left < 0) return size;
  }
  return MIX[0];
}

/** A made-up trace: arrivals and lifetimes are exponential, sizes drawn from a mix; the same for the same seed. */
export function synthesize({ seed, servers, rate, lifetime }: Synthetic): Arrival[] {
  const random = seeded(seed);
  const exponential = (mean: number) => -Math.log(1 - random()) * mean;
  const whole = MIX.reduce((sum, [weight]) => sum + weight, 0);
  let now = 0;
  return Array.from({ length: servers }, () => {
    now += exponential(1 / rate);
    const [, vcpus, memoryMiB, diskGiB] = drawn(random() * whole);
    return { at: now, vcpus, memoryMiB, diskGiB, lifetime: exponential(lifetime), zone: null };
  });
}
