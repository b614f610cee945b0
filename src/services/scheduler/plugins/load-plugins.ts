import type { Ask } from '../filter.ts';
import type { HostView } from '../host-view.ts';
import type { SchedulerOptions } from '../options.ts';
import { isModulePath, loadPlugin, type Plugin, type PluginParts } from './plugin.ts';

export interface Plugins {
  /** The options with every module that they name replaced by what it is. */
  readonly options: SchedulerOptions;
  readonly driver: Plugin | null;
  /** Filters and weighers that are enabled: to be asked of all hosts before a decision. */
  readonly parts: readonly Plugin[];
  stop(): Promise<void>;
}

/** Loads every plug-in that the options name. Throws an Error that names the module: it cannot be loaded, or is not what its option wants. */
export async function loadPlugins(options: SchedulerOptions, parts: PluginParts): Promise<Plugins> {
  const loaded = new Map<string, Promise<Plugin>>();
  const load = async (path: string, kind: Plugin['facts']['kind'], option: string) => {
    const one = loaded.get(path) ?? loadPlugin(path, parts);
    loaded.set(path, one);
    const plugin = await one;
    if (plugin.facts.kind !== kind) throw new Error(`${option} names ${path}, which is a ${plugin.facts.kind} and no ${kind}`);
    return plugin;
  };
  try {
    const filters: Record<string, Plugin> = {};
    for (const path of options.available.filter(isModulePath)) {
      const plugin = await load(path, 'filter', 'available_filters');
      filters[plugin.facts.name] = plugin;
    }
    const enabledFilters: string[] = [];
    for (const name of options.enabledFilters) {
      if (isModulePath(name))
        filters[(await load(name, 'filter', 'enabled_filters')).facts.name] = await load(name, 'filter', 'enabled_filters');
      enabledFilters.push(isModulePath(name) ? (await load(name, 'filter', 'enabled_filters')).facts.name : name);
    }
    const weighers: Plugin[] = [];
    for (const path of options.weightClasses.filter(isModulePath)) weighers.push(await load(path, 'weigher', 'weight_classes'));
    const driver = isModulePath(options.driver) ? await load(options.driver, 'scheduler', 'scheduler_driver') : null;
    return {
      options: {
        ...options,
        enabledFilters,
        available: options.available.filter((word) => !isModulePath(word)),
        availableFilters: {
          ...options.availableFilters,
          ...Object.fromEntries(Object.entries(filters).map(([name, { filter }]) => [name, filter])),
        },
        weightClasses: options.weightClasses.filter((word) => !isModulePath(word)),
        availableWeighers: [...options.availableWeighers, ...weighers.map(({ weigher }) => weigher)],
        driver: driver ? 'filter_scheduler' : options.driver,
      },
      driver,
      parts: [...enabledFilters.flatMap((name) => filters[name] ?? []), ...weighers],
      stop,
    };
  } catch (cause) {
    await stop();
    throw cause;
  }
  async function stop() {
    for (const one of loaded.values()) await one.then((plugin) => plugin.stop()).catch(() => undefined);
  }
}

/** Asks the plug-ins that are filters and weighers about all hosts: what they say is there when `selectHosts` or `explain` look at them for this ask. */
export async function askPlugins(plugins: Pick<Plugins, 'parts'>, hosts: readonly HostView[], ask: Ask): Promise<void> {
  for (const plugin of plugins.parts) await plugin.ask(hosts, ask);
}
