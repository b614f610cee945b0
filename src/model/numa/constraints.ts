import { pythonInt } from '../python.ts';
import { parseCpus } from './cpu-spec.ts';
import { ANY_PAGES, type CpuPolicy, type GuestCell, type GuestNuma, LARGE_PAGES, SMALL_PAGES, type ThreadPolicy } from './topology.ts';

export interface NumaSource {
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly extraSpecs: Readonly<Record<string, string>>;
  /** Values as their types are. */
  readonly imageProperties: Readonly<Record<string, unknown>>;
}

/** The memory cells a flavor and an image ask for; null when neither asks for any. Throws when they contradict each other or themselves.
 *  Spec: Nova's numa_get_constraints. */
export function guestNumaOf(source: NumaSource): GuestNuma | null {
  const { vcpus, extraSpecs } = source;
  const all = new Set(Array.from({ length: vcpus }, (_, cpu) => cpu));
  const emulatorThreads = oneOf(extraSpecs['hw:emulator_threads_policy'] || null, ['isolate', 'share'], 'hw:emulator_threads_policy');
  const realtime = realtimeCpus(source, all, emulatorThreads);
  let dedicated = dedicatedMask(source, all);
  let policy = cpuPolicy(source);
  let threads = threadPolicy(source);
  const [asShared, asDedicated] = [resources(source, 'VCPU'), resources(source, 'PCPU')];
  if (policy && (asShared || asDedicated)) throw new Error('resources:VCPU or resources:PCPU and hw:cpu_policy exclude each other');
  if (asShared && asDedicated) throw new Error('resources:VCPU and resources:PCPU exclude each other');
  if (asDedicated) {
    const needed = vcpus + (emulatorThreads === 'isolate' ? 1 : 0);
    if (asDedicated !== needed) throw new Error(`resources:PCPU must be ${needed} for this flavor`);
    policy = 'dedicated';
  }
  if (asShared) policy = 'shared';
  const trait = hyperthreading(source);
  if (threads && trait) throw new Error('the trait HW_CPU_HYPERTHREADING and hw:cpu_thread_policy exclude each other');
  if (trait === 'forbidden') threads = 'isolate';
  if (trait === 'required') threads = 'require';
  if (policy === null || policy === 'shared') {
    if (threads) throw new Error('hw:cpu_thread_policy is for dedicated CPUs');
    if (emulatorThreads === 'isolate') throw new Error('hw:emulator_threads_policy isolate is for dedicated CPUs');
    if (dedicated) throw new Error('hw:cpu_dedicated_mask is for hw:cpu_policy mixed');
    if (realtime) throw new Error('hw:cpu_realtime is for dedicated CPUs');
  } else if (policy === 'dedicated') {
    if (dedicated) throw new Error('hw:cpu_dedicated_mask is for hw:cpu_policy mixed');
  } else {
    if ((realtime === null) === (dedicated === null))
      throw new Error('hw:cpu_policy mixed needs either hw:cpu_dedicated_mask or hw:cpu_realtime');
    dedicated ??= realtime;
  }
  const nodes = nodeCount(source);
  const pageKiB = pageSize(source);
  checkLockedMemory(source);
  if (policy === 'dedicated') dedicated = all;
  if (
    !nodes &&
    !pageKiB &&
    !extraSpecs['hw:pmem']?.split(',').some((label) => label.trim()) &&
    policy !== 'dedicated' &&
    policy !== 'mixed'
  )
    return null;
  const own = dedicated ?? new Set<number>();
  const cells = cut(source, nodes || 1, all).map(
    ({ cpus, memoryMiB }, id): GuestCell => ({
      id,
      shared: cpus.difference(own),
      dedicated: cpus.intersection(own),
      memoryMiB,
      pageKiB,
      policy,
      threads,
      pinning: new Map(),
      reserved: null,
    }),
  );
  return { cells, emulatorThreads };
}

/** The guest cut into cells: even ones, or as both lists say. */
function cut(source: NumaSource, nodes: number, all: ReadonlySet<number>): { cpus: Set<number>; memoryMiB: number }[] {
  const cpus = listed(source, 'hw:numa_cpus', 'hw_numa_cpus', parseCpus, (item) =>
    Array.isArray(item) ? new Set(item as number[]) : null,
  );
  const memory = listed(source, 'hw:numa_mem', 'hw_numa_mem', pythonInt, (item) => (typeof item === 'number' ? item : null));
  const { vcpus, memoryMiB } = source;
  if (!cpus && !memory) {
    if (vcpus % nodes > 0 || memoryMiB % nodes > 0) throw new Error(`CPUs and memory cannot be cut into ${nodes} equal cells`);
    const each = vcpus / nodes;
    return Array.from({ length: nodes }, (_, at) => ({
      cpus: new Set(Array.from({ length: each }, (_unused, cpu) => at * each + cpu)),
      memoryMiB: memoryMiB / nodes,
    }));
  }
  if (cpus?.length !== nodes || memory?.length !== nodes) throw new Error('CPUs and memory of each cell must be given together');
  const left = new Set(all);
  for (const cpu of cpus.flatMap((set) => [...set])) if (!left.delete(cpu)) throw new Error(`CPU ${cpu} is out of range or given twice`);
  if (left.size > 0) throw new Error(`CPUs ${[...left].join(', ')} are given to no cell`);
  const sum = memory.reduce((a, b) => a + b, 0);
  if (sum !== memoryMiB) throw new Error(`the cells have ${sum} MiB, the flavor ${memoryMiB}`);
  return cpus.map((set, at) => ({ cpus: set, memoryMiB: memory[at]! }));
}
const MOST_CELLS = 128;
function listed<T>(
  { extraSpecs, imageProperties }: NumaSource,
  spec: string,
  property: string,
  parse: (text: string) => T,
  read: (item: unknown) => T | null,
): T[] | null {
  const list: T[] = [];
  for (let at = 0; at < MOST_CELLS && extraSpecs[`${spec}.${at}`] !== undefined; at++) list.push(parse(extraSpecs[`${spec}.${at}`]!));
  const given = imageProperties[property];
  const image = Array.isArray(given) ? given.map(read) : null;
  if (list.length === 0) return image?.every((item) => item !== null) ? image : null;
  if (image) throw new Error(`the image may not set ${property} where the flavor does`);
  return list;
}

function oneOf<T extends string>(value: unknown, words: readonly T[], name: string): T | null {
  if (value === null || value === undefined || value === '') return null;
  const word = words.find((one) => one === value);
  if (!word) throw new Error(`${name} is ${String(value)}; it may be ${words.join(', ')}`);
  return word;
}
function cpuPolicy({ extraSpecs, imageProperties }: NumaSource): CpuPolicy | null {
  const words = ['dedicated', 'shared', 'mixed'] as const;
  const flavor = oneOf(extraSpecs['hw:cpu_policy'], words, 'hw:cpu_policy');
  const image = oneOf(imageProperties.hw_cpu_policy, words, 'hw_cpu_policy');
  if ((flavor === 'mixed' && image === 'dedicated') || (flavor === 'shared' && image !== null && image !== 'shared'))
    throw new Error(`the image asks for ${image} CPUs, the flavor for ${flavor} ones`);
  return flavor ?? image;
}
function threadPolicy({ extraSpecs, imageProperties }: NumaSource): ThreadPolicy | null {
  const words = ['prefer', 'isolate', 'require'] as const;
  const flavor = oneOf(extraSpecs['hw:cpu_thread_policy'], words, 'hw:cpu_thread_policy');
  const image = oneOf(imageProperties.hw_cpu_thread_policy, words, 'hw_cpu_thread_policy');
  if (flavor === null || flavor === 'prefer') return flavor ?? image;
  if (image && image !== flavor) throw new Error(`the image asks for threads ${image}, the flavor for ${flavor}`);
  return flavor;
}
export const truth = (value: unknown) =>
  value === true ||
  ['1', 't', 'true', 'on', 'y', 'yes'].includes(
    String(value ?? '')
      .trim()
      .toLowerCase(),
  );

const maskOf = (mask: string, vcpus: number) => parseCpus(mask.trim().startsWith('^') ? `0-${vcpus - 1},${mask}` : mask);
function realtimeCpus({ vcpus, extraSpecs, imageProperties }: NumaSource, all: ReadonlySet<number>, emulator: string | null) {
  if (!truth(extraSpecs['hw:cpu_realtime'])) return null;
  const mask = imageProperties.hw_cpu_realtime_mask || extraSpecs['hw:cpu_realtime_mask'];
  const cpus = typeof mask === 'string' && mask ? maskOf(mask, vcpus) : new Set(all);
  if (cpus.size === 0 || !cpus.isSubsetOf(all)) throw new Error('hw:cpu_realtime_mask names none, or others, of the CPUs of the flavor');
  if (cpus.size === all.size && !emulator) throw new Error('with hw:cpu_realtime some CPU, or the emulator by its policy, must stay out');
  return cpus;
}
function dedicatedMask({ vcpus, extraSpecs }: NumaSource, all: ReadonlySet<number>): Set<number> | null {
  const mask = extraSpecs['hw:cpu_dedicated_mask'];
  if (!mask) return null;
  const cpus = maskOf(mask, vcpus);
  if (cpus.size === 0 || all.isSubsetOf(cpus) || !cpus.isSubsetOf(all))
    throw new Error('hw:cpu_dedicated_mask must name some of the CPUs of the flavor, not all');
  return cpus;
}
function resources({ extraSpecs }: NumaSource, name: string): number {
  let sum = 0;
  for (const [key, value] of Object.entries(extraSpecs))
    if (new RegExp(`^resources([1-9]\\d*)?:${name}`).test(key) && /^\s*[+-]?\d+\s*$/.test(value)) sum += Number(value);
  return sum;
}
function hyperthreading({ extraSpecs, imageProperties }: NumaSource): string | null {
  for (const [key, value] of Object.entries(extraSpecs)) if (/^trait([1-9]\d*)?:HW_CPU_HYPERTHREADING/.test(key)) return value;
  const required = imageProperties.traits_required;
  return Array.isArray(required) && required.includes('HW_CPU_HYPERTHREADING') ? 'required' : null;
}
function nodeCount({ extraSpecs, imageProperties }: NumaSource): number | null {
  const [flavor, image] = [extraSpecs['hw:numa_nodes'], imageProperties.hw_numa_nodes];
  if (flavor && image) throw new Error('the image may not set hw_numa_nodes where the flavor does');
  const nodes = flavor || image;
  if (nodes === undefined || nodes === null || nodes === '') return null;
  if (!/^\d+$/.test(String(nodes)) || Number(nodes) < 1)
    throw new Error(`hw:numa_nodes is ${String(nodes)}; it must be a whole number above 0`);
  return Number(nodes);
}

const powers: Readonly<Record<string, number>> = { '': 0, K: 1, M: 2, G: 3, T: 4 };
function pageSize({ extraSpecs, imageProperties }: NumaSource): number | null {
  const [flavor, image] = [extraSpecs['hw:mem_page_size'], imageProperties.hw_mem_page_size];
  if (!flavor && image) throw new Error('the image may not set hw_mem_page_size where the flavor does not');
  if (!flavor) return null;
  const size = readPageSize(flavor);
  if (image && size !== ANY_PAGES && size !== LARGE_PAGES) throw new Error(`the image may not change hw:mem_page_size ${flavor}`);
  return image ? readPageSize(String(image)) : size;
}
function readPageSize(text: string): number {
  const words: Readonly<Record<string, number>> = { any: ANY_PAGES, large: LARGE_PAGES, small: SMALL_PAGES };
  if (Object.hasOwn(words, text)) return words[text]!;
  if (/^\d+$/.test(text)) return Number(text);
  const parts = /^(\d+(?:\.\d+)?)([KMGT]?)(i?)(B|b|bit)?$/.exec(text);
  if (!parts?.[4]) throw new Error(`hw:mem_page_size ${text} is no size of pages`);
  const bytes = Number(parts[1]) * 1024 ** powers[parts[2] ?? '']! * (parts[4] === 'B' ? 1 : 1 / 8);
  return Math.trunc(Math.ceil(bytes) / 1024);
}
function checkLockedMemory({ extraSpecs, imageProperties }: NumaSource): void {
  const [flavor, image] = [extraSpecs['hw:locked_memory'], imageProperties.hw_locked_memory];
  if (flavor !== undefined && typeof image === 'boolean' && truth(flavor) !== image)
    throw new Error('flavor and image disagree about locked memory');
  if ((flavor === undefined ? image === true : truth(flavor)) && !extraSpecs['hw:mem_page_size'] && !imageProperties.hw_mem_page_size)
    throw new Error('hw:locked_memory needs hw:mem_page_size');
}
