import { createHash } from 'node:crypto';
import { enforcedClasses } from '../../model/legacy-claim.ts';
import type { PciAlias } from '../../model/pci/aliases.ts';
import type { ClaimClass } from '../../model/resources.ts';
import type { Filter } from './filter.ts';
import { defaultFilters, filters } from './filters/list.ts';
import { type PrefilterOptions, prefilterDefaults, prefiltersOf } from './prefilters.ts';
import type { Weigher, Weighing } from './weigher.ts';
import { type LeastCost, leastCostNames, leastCostWeigher } from './weighers/least-cost-weigher.ts';
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
  /** Fill cells of hosts one after the other.  Spec: [compute] packing_host_numa_cells_allocation_strategy. */
  readonly packNumaCells: boolean;
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
  packNumaCells: false,
};

export interface SchedulerOptions {
  /** Name of this process; must differ between processes. */
  readonly name: string;
  /** Host name under which it is listed as nova-scheduler. */
  readonly host: string;
  /** Spec: [filter_scheduler] enabled_filters. */
  readonly enabledFilters: readonly string[];
  /** Which built-in filters there are: Nova's words for all of them, or class paths.  Spec: [filter_scheduler] available_filters. Modules by their
   *  path are loaded by `loadPlugins`. */
  readonly available: readonly string[];
  /** Filters beyond the built-in ones, by name. */
  readonly availableFilters: Readonly<Record<string, Filter>>;
  /** Spec: [filter_scheduler] weight_classes. */
  readonly weightClasses: readonly string[];
  readonly availableWeighers: readonly Weigher[];
  /** Where decisions leave what is needed to make them again after a restart; null: nowhere. */
  readonly journalFile: string | null;
  /** Spec: scheduler_driver of older releases. */
  readonly driver: string;
  /** Spec: least_cost_functions of older releases: when there are any, they alone weigh. */
  readonly leastCost: readonly { readonly name: string; readonly weight: number }[];
  readonly filterOptions: Partial<FilterOptions>;
  readonly prefilters: PrefilterOptions;
  /** Spec: [pci] alias. */
  readonly pciAliases: readonly PciAlias[];
  /** How long a plug-in may take for one request. */
  readonly pluginTimeoutMs: number;
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
  available: ['nova.scheduler.filters.all_filters'],
  availableFilters: {},
  weightClasses: ['nova.scheduler.weights.all_weighers'],
  availableWeighers: [],
  journalFile: null,
  driver: 'filter_scheduler',
  leastCost: [],
  filterOptions: {},
  prefilters: prefilterDefaults,
  pciAliases: [],
  pluginTimeoutMs: 2000,
  weights: {},
  hostSubsetSize: 1,
  shuffleBest: false,
  serviceDownTime: 60,
  pendingMs: 60_000,
};

/** What decides, settled from the options. */
export interface Rules {
  /** Asked of every request before the filters, of forced hosts too. */
  readonly prefilters: readonly Filter[];
  readonly filters: readonly Filter[];
  readonly weighers: readonly Weighing[];
  readonly subset: number;
  readonly shuffle: boolean;
  readonly serviceDownTime: number;
  readonly options: FilterOptions;
  readonly aliases: readonly PciAlias[];
  /** Classes that claims cap; null: all. */
  readonly enforced: ReadonlySet<ClaimClass> | null;
  /** Changes when any of this changes; kept with each decision. */
  readonly hash: string;
}

/** The last part of a class path: nova.scheduler.filters.ram_filter.RamFilter is RamFilter. */
const className = (word: string) => word.slice(word.lastIndexOf('.') + 1);
const ALL = ['all_filters', 'standard_filters', 'all_weighers'];
const drivers: Readonly<Record<string, 'filter' | 'chance'>> = {
  filter_scheduler: 'filter',
  FilterScheduler: 'filter',
  caching_scheduler: 'filter',
  CachingScheduler: 'filter',
  MultiScheduler: 'filter',
  chance_scheduler: 'chance',
  ChanceScheduler: 'chance',
};
/** Whether the scheduler of this name asks filters. */
export const filtersHosts = (driver: string): boolean => drivers[className(driver)] === 'filter';

/** Throws for a part that nobody has, naming the option and those there are. */
export function rulesOf(options: SchedulerOptions): Rules {
  const driver = drivers[className(options.driver)];
  if (!driver)
    throw new Error(`scheduler_driver names ${options.driver}; there are filter_scheduler, chance_scheduler, or the path of a module`);
  // Chance takes any host that is alive.
  const names = driver === 'chance' ? ['ComputeFilter'] : options.enabledFilters.map(className);
  const known: Readonly<Record<string, Filter>> = { ...availableFilters(options.available), ...options.availableFilters };
  const chosen = names.map((name) => {
    const filter = known[name] ?? (driver === 'chance' ? filters[name] : undefined);
    if (!filter) throw new Error(`enabled_filters names ${name}, which is not there; there are ${Object.keys(known).join(', ')}`);
    return filter;
  });
  const weighing = (driver === 'chance' ? [] : chosenWeighers(options)).map((weigher) => ({
    weigher,
    multiplier: options.weights[weigher.option] ?? weigher.multiplier,
  }));
  const settled = { ...filterDefaults, ...options.filterOptions, serviceDownTime: options.serviceDownTime };
  const shuffle = options.shuffleBest || driver === 'chance';
  const text = JSON.stringify([
    names,
    weighing.map((one) => [one.weigher.name, one.multiplier]),
    options.hostSubsetSize,
    shuffle,
    settled,
    options.prefilters,
    options.leastCost,
    options.pciAliases,
  ]);
  return {
    prefilters: prefiltersOf(options.prefilters),
    filters: chosen,
    weighers: weighing,
    subset: options.hostSubsetSize,
    shuffle,
    serviceDownTime: options.serviceDownTime,
    options: settled,
    aliases: options.pciAliases,
    enforced: enforcedClasses(names),
    hash: createHash('sha256').update(text).digest('hex').slice(0, 16),
  };
}

function availableFilters(words: readonly string[]): Readonly<Record<string, Filter>> {
  const some: Record<string, Filter> = {};
  for (const word of words) {
    const name = className(word);
    if (ALL.includes(name)) return filters;
    const filter = filters[name];
    if (!filter)
      throw new Error(
        `available_filters names ${word}, which is not there; there are ${Object.keys(filters).join(', ')}, or a module by its path`,
      );
    some[name] = filter;
  }
  return some;
}

/** Modules where weighers lived, by the names some configs use for the class. */
const olderWeighers: Readonly<Record<string, string>> = { ComputeWeigher: 'BuildFailureWeigher' };
function chosenWeighers({ weightClasses, availableWeighers, leastCost }: SchedulerOptions): readonly Weigher[] {
  const isCost = (one: { readonly name: string; readonly weight: number }): one is LeastCost => leastCostNames.includes(one.name);
  const costs = leastCost.map((one) => {
    const cost = { ...one, name: className(one.name) };
    if (!isCost(cost))
      throw new Error(`least_cost_functions names ${one.name}, which is not there; there are ${leastCostNames.join(', ')}`);
    return cost;
  });
  if (costs.length > 0) return [leastCostWeigher(costs), ...availableWeighers];
  const named = new Set(weightClasses.map((word) => olderWeighers[className(word)] ?? className(word)));
  for (const name of named)
    if (!ALL.includes(name) && !weighers.some((weigher) => weigher.name === name))
      throw new Error(
        `weight_classes names ${name}, which is not there; there are ${weighers.map((weigher) => weigher.name).join(', ')}, or a module by its path`,
      );
  const all = ALL.some((word) => named.has(word));
  return [...weighers.filter(({ name }) => all || named.has(name)), ...availableWeighers];
}
