import { createHash } from 'node:crypto';
import type { Filter } from './filter.ts';
import { defaultFilters, filters, notLive } from './filters/list.ts';
import type { Weighing } from './weigher.ts';
import { weighers } from './weighers/list.ts';

/** What filters and weighers read of the config.  Spec: [filter_scheduler] and [metrics], the options of these names. */
export interface FilterOptions {
  /** Seconds. */
  readonly serviceDownTime: number;
  readonly defaultZone: string;
  readonly imageDefaultArchitecture: string | null;
  readonly maxIoOpsPerHost: number;
  readonly maxInstancesPerHost: number;
  readonly isolatedHosts: readonly string[];
  readonly isolatedImages: readonly string[];
  readonly restrictIsolatedHosts: boolean;
  readonly isolationNamespace: string | null;
  readonly isolationSeparator: string;
  /** name=ratio */
  readonly metricsWeights: readonly string[];
  readonly metricsRequired: boolean;
  readonly metricsUnavailable: number;
  /** property=weight */
  readonly imagePropsWeights: readonly string[];
}
export const filterDefaults: FilterOptions = {
  serviceDownTime: 60,
  defaultZone: 'nova',
  imageDefaultArchitecture: null,
  maxIoOpsPerHost: 8,
  maxInstancesPerHost: 50,
  isolatedHosts: [],
  isolatedImages: [],
  restrictIsolatedHosts: true,
  isolationNamespace: null,
  isolationSeparator: '.',
  metricsWeights: [],
  metricsRequired: true,
  metricsUnavailable: -10_000,
  imagePropsWeights: [],
};

export interface SchedulerOptions {
  /** Name of this process; must differ between processes. */
  readonly name: string;
  /** Host name under which it is listed as nova-scheduler. */
  readonly host: string;
  /** Spec: [filter_scheduler] enabled_filters. */
  readonly enabledFilters: readonly string[];
  /** Filters beyond the built-in ones, by name.  Spec: [filter_scheduler] available_filters. */
  readonly availableFilters: Readonly<Record<string, Filter>>;
  /** Multipliers by option name: { ram_weight_multiplier: 1 }. */
  readonly weights: Readonly<Record<string, number>>;
  /** One of so many best hosts is taken at random.  Spec: host_subset_size. */
  readonly hostSubsetSize: number;
  /** Hosts of equal weight in random order.  Spec: shuffle_best_same_weighed_hosts. */
  readonly shuffleBest: boolean;
  /** Spec: service_down_time, seconds. */
  readonly serviceDownTime: number;
  /** A choice that never shows in the database counts for so long. */
  readonly pendingMs: number;
  /** Where the row of seeds begins; tests fix it. */
  readonly seed: number;
}
export const schedulerDefaults: Omit<SchedulerOptions, 'name' | 'host' | 'seed'> = {
  enabledFilters: defaultFilters,
  availableFilters: {},
  weights: {},
  hostSubsetSize: 1,
  shuffleBest: false,
  serviceDownTime: 60,
  pendingMs: 60_000,
};

/** What decides, settled from the options. */
export interface Rules {
  readonly filters: readonly Filter[];
  readonly weighers: readonly Weighing[];
  readonly subset: number;
  readonly shuffle: boolean;
  readonly serviceDownTime: number;
  /** Changes when any of this changes; kept with each decision. */
  readonly hash: string;
}

/** Throws for a filter that nobody has, naming those there are. */
export function rulesOf(options: SchedulerOptions): Rules {
  const known: Readonly<Record<string, Filter>> = { ...filters, ...options.availableFilters };
  const chosen = options.enabledFilters.map((name) => {
    const filter = known[name];
    const lacking = notLive[name];
    if (!filter && lacking) throw new Error(`enabled_filters names ${name}, which cannot judge here yet: ${lacking.lacks}`);
    if (!filter) throw new Error(`enabled_filters names ${name}, which is not there; there are ${Object.keys(known).join(', ')}`);
    return filter;
  });
  const weighing = weighers.map((weigher) => ({ weigher, multiplier: options.weights[weigher.option] ?? weigher.multiplier }));
  const text = JSON.stringify([
    options.enabledFilters,
    weighing.map((one) => [one.weigher.name, one.multiplier]),
    options.hostSubsetSize,
    options.shuffleBest,
    options.serviceDownTime,
  ]);
  return {
    filters: chosen,
    weighers: weighing,
    subset: options.hostSubsetSize,
    shuffle: options.shuffleBest,
    serviceDownTime: options.serviceDownTime,
    hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
  };
}
