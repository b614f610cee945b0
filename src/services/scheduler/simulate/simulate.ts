import type { HostRequest } from '../../../bus/contracts/scheduler.ts';
import type { HostFacts } from '../../../db/tables/compute/hosts.ts';
import { type Amounts, capacityOf } from '../../../model/resources.ts';
import { createFastPath } from '../fast/fast-path.ts';
import type { LiveAsk } from '../filter.ts';
import { addPending, emptyColumns, freeOf, type HostColumns, putHost } from '../host-columns.ts';
import type { Host } from '../live-host.ts';
import { wishOf } from '../live-wish.ts';
import { rulesOf, type SchedulerOptions } from '../options.ts';
import type { Arrival } from './trace.ts';

export interface Machine {
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly diskGiB: number;
}
export interface Ratios {
  readonly vcpu: number;
  readonly memory: number;
  readonly disk: number;
}
export interface Simulation {
  /** One for each host, in order. */
  readonly machines: readonly Machine[];
  readonly ratios: Ratios;
  readonly options: SchedulerOptions;
  readonly trace: readonly Arrival[];
  /** Seconds of virtual time between two samples. */
  readonly every: number;
  /** Milliseconds of real time, to say how fast it decides. */
  readonly stopwatch: () => number;
}
export const classes = ['VCPU', 'MEMORY_MB', 'DISK_GB'] as const;
type PerClass = Readonly<Record<(typeof classes)[number], number>>;

/** The cloud at one moment; parts are of its whole capacity, 0 to 1. */
export interface Sample {
  readonly at: number;
  readonly servers: number;
  readonly refused: number;
  readonly used: PerClass;
  /** What the same trace would use of one host as large as all together. */
  readonly bound: PerClass;
  /** What is free on hosts that do not take even the smallest size of the trace. */
  readonly stranded: PerClass;
}
export interface Report {
  readonly hosts: number;
  readonly asked: number;
  readonly placed: number;
  readonly refused: number;
  /** Why, most frequent first: the question that left no host, and its most frequent reason. */
  readonly causes: readonly { readonly filter: string; readonly why: string; readonly count: number }[];
  /** Of these, so many would have fitted one host as large as all together. */
  readonly refusedByFragmentation: number;
  readonly virtualSeconds: number;
  readonly decisionsPerSecond: number;
  /** Means over the time. */
  readonly used: PerClass;
  readonly bound: PerClass;
  readonly stranded: PerClass;
  readonly peak: PerClass;
  readonly configHash: string;
  readonly samples: readonly Sample[];
}

/** Virtual time is apart from the hosts' liveness: all of them are up, always. */
const NOW = 1_700_000_000_000_000;

/** Runs the scheduler itself over a trace, in virtual time: each server is decided about, consumed, and given back when its life ends. */
export function simulate({ machines, ratios, options, trace, every, stopwatch }: Simulation): Report {
  const rules = rulesOf(options);
  const columns = emptyColumns();
  for (const [at, machine] of machines.entries()) putHost(columns, columns.byName, factsOf(at, machine, ratios), rules.enforced);
  const path = createFastPath(columns, rules);
  const capacity = totalOf((name) => columns.hosts.reduce((sum, { index }) => sum + columns.capacity[name][index]!, 0));
  const [pool, poolLives] = [{ ...totalOf(() => 0) }, lives()];
  const standing = lives<{ host: Host; amounts: Amounts }>();
  const causes = new Map<string, { filter: string; why: string; count: number }>();
  const samples: Sample[] = [];
  const least = leastOf(trace);
  const use = { ...totalOf(() => 0) };
  let [placed, refused, fragmented, deciding, nextSample] = [0, 0, 0, 0, 0];

  const passTo = (now: number) => {
    for (;;) {
      const next = Math.min(standing.next(), poolLives.next(), nextSample);
      if (next > now) return;
      if (next === nextSample) {
        samples.push(sample(nextSample));
        nextSample += every;
        continue;
      }
      const gone = standing.next() === next ? standing.pop() : undefined;
      if (gone) {
        addPending(columns, gone.host.index, gone.amounts, -1);
        for (const name of classes) use[name] -= gone.amounts[name];
      } else {
        const amounts = poolLives.pop()!;
        for (const name of classes) pool[name] -= amounts[name];
      }
    }
  };
  const part = (of: (name: (typeof classes)[number]) => number) =>
    totalOf((name) => (capacity[name] === 0 ? 0 : of(name) / capacity[name]));
  const sample = (at: number): Sample => ({
    at,
    servers: standing.count(),
    refused,
    used: part((name) => use[name]),
    bound: part((name) => pool[name]),
    stranded: strandedOf(columns, least, part),
  });

  for (const [at, arrival] of trace.entries()) {
    passTo(arrival.at);
    const amounts: Amounts = { VCPU: arrival.vcpus, MEMORY_MB: arrival.memoryMiB, DISK_GB: arrival.diskGiB };
    const end = arrival.lifetime === null ? Number.POSITIVE_INFINITY : arrival.at + arrival.lifetime;
    const fitsPool = classes.every((name) => pool[name] + amounts[name] <= capacity[name]);
    if (fitsPool) {
      for (const name of classes) pool[name] += amounts[name];
      poolLives.push(end, amounts);
    }
    const ask = askOf(requestOf(at, amounts, arrival.zone), rules.options);
    const from = stopwatch();
    const { hosts, reasons } = path.select(rules, ask, (options.seed + at) >>> 0);
    deciding += stopwatch() - from;
    const [first] = hosts;
    if (first) {
      placed++;
      addPending(columns, first.host.index, amounts, 1);
      for (const name of classes) use[name] += amounts[name];
      standing.push(end, { host: first.host, amounts });
      continue;
    }
    refused++;
    if (fitsPool) fragmented++;
    const last = reasons.filters.findLast(({ after }) => after === 0);
    const why = last?.reasons.toSorted((a, b) => b.hosts - a.hosts)[0]?.why.replace(/ for \d+$/, '') ?? 'there is no host';
    const filter = last?.name ?? 'none';
    const cause = causes.get(`${filter} ${why}`) ?? { filter, why, count: 0 };
    cause.count++;
    causes.set(`${filter} ${why}`, cause);
  }
  const end = trace.at(-1)?.at ?? 0;
  passTo(end);
  samples.push(sample(end));
  const mean = (of: (one: Sample) => PerClass) => totalOf((name) => samples.reduce((sum, one) => sum + of(one)[name], 0) / samples.length);
  return {
    hosts: machines.length,
    asked: trace.length,
    placed,
    refused,
    causes: [...causes.values()].sort((a, b) => b.count - a.count),
    refusedByFragmentation: fragmented,
    virtualSeconds: end,
    decisionsPerSecond: deciding === 0 ? 0 : (trace.length / deciding) * 1000,
    used: mean((one) => one.used),
    bound: mean((one) => one.bound),
    stranded: mean((one) => one.stranded),
    peak: totalOf((name) => Math.max(...samples.map((one) => one.used[name]))),
    configHash: rules.hash,
    samples,
  };
}

const totalOf = (of: (name: (typeof classes)[number]) => number) => ({
  VCPU: of('VCPU'),
  MEMORY_MB: of('MEMORY_MB'),
  DISK_GB: of('DISK_GB'),
});
const leastOf = (trace: readonly Arrival[]) => ({
  VCPU: trace.reduce((least, { vcpus }) => Math.min(least, vcpus), Infinity),
  MEMORY_MB: trace.reduce((least, { memoryMiB }) => Math.min(least, memoryMiB), Infinity),
  DISK_GB: trace.reduce((least, { diskGiB }) => Math.min(least, diskGiB), Infinity),
});
function strandedOf(columns: HostColumns, least: PerClass, part: (of: (name: (typeof classes)[number]) => number) => PerClass): PerClass {
  const sums = { ...totalOf(() => 0) };
  for (const { index } of columns.hosts) {
    if (classes.every((name) => freeOf(columns, name, index) >= least[name])) continue;
    for (const name of classes) sums[name] += Math.max(0, freeOf(columns, name, index));
  }
  return part((name) => sums[name]);
}

/** What lives until a time, soonest first: a binary heap. */
function lives<T = Amounts>() {
  const heap: { readonly end: number; readonly what: T }[] = [];
  const swap = (a: number, b: number) => {
    [heap[a], heap[b]] = [heap[b]!, heap[a]!];
  };
  return {
    count: () => heap.length,
    next: () => heap[0]?.end ?? Number.POSITIVE_INFINITY,
    push(end: number, what: T) {
      heap.push({ end, what });
      for (let at = heap.length - 1; at > 0; ) {
        const above = (at - 1) >> 1;
        if (heap[above]!.end <= heap[at]!.end) return;
        swap(at, above);
        at = above;
      }
    },
    pop(): T | undefined {
      const top = heap[0];
      const last = heap.pop();
      if (!top || !last || heap.length === 0) return top?.what;
      heap[0] = last;
      for (let at = 0; ; ) {
        const left = 2 * at + 1;
        if (left >= heap.length) break;
        const below = left + 1 < heap.length && heap[left + 1]!.end < heap[left]!.end ? left + 1 : left;
        if (heap[at]!.end <= heap[below]!.end) break;
        swap(at, below);
        at = below;
      }
      return top.what;
    },
  };
}

function requestOf(at: number, amounts: Amounts, zone: string | null): HostRequest {
  return {
    serverUuid: `00000000-0000-4000-8000-${at.toString(16).padStart(12, '0')}`,
    projectId: 'simulated',
    amounts,
    flavor: null,
    image: null,
    extraSpecs: {},
    imageProperties: {},
    availabilityZone: zone,
    forcedHost: null,
    forcedNode: null,
    requestedHost: null,
    requestedHypervisor: null,
    excludedHosts: [],
    group: null,
    schedulerHints: {},
    rebuild: false,
    limit: 1,
  };
}
const askOf = (request: HostRequest, options: LiveAsk['options']): LiveAsk => ({
  request,
  wish: wishOf(request, new Map()),
  now: NOW,
  options,
});

function factsOf(at: number, { vcpus, memoryMiB, diskGiB }: Machine, ratios: Ratios): HostFacts {
  const inventory = (total: number, ratio: number) => ({ total, reserved: 0, ratio, capacity: capacityOf(total, 0, ratio), used: 0 });
  const host = `host-${String(at).padStart(6, '0')}`;
  return {
    host,
    node: host,
    uuid: `00000000-0000-4000-9000-${at.toString(16).padStart(12, '0')}`,
    zone: 'nova',
    disabled: false,
    disabledReason: null,
    forcedDown: false,
    lastSeenAt: NOW,
    hostIp: '127.0.0.1',
    hypervisorType: 'QEMU',
    hypervisorVersion: 8_000_000,
    cpuInfo: '{"arch":"x86_64"}',
    supportedInstances: [['x86_64', 'qemu', 'hvm']],
    stats: {},
    diskFreeGiB: diskGiB,
    inventories: {
      VCPU: inventory(vcpus, ratios.vcpu),
      MEMORY_MB: inventory(memoryMiB, ratios.memory),
      DISK_GB: inventory(diskGiB, ratios.disk),
    },
  };
}
