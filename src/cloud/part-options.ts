import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import { newSecret } from '../lib/ids.ts';
import { readAuditUnit } from '../model/audit-period.ts';
import { enforcedClasses, legacyRatios } from '../model/legacy-claim.ts';
import type { PartsRule } from '../model/machine-parts.ts';
import { readAliases } from '../model/pci/aliases.ts';
import { type AgentOptions, agentDefaults, runningDeletedActions } from '../services/compute-agent/parts.ts';
import { type ConductorOptions, conductorDefaults } from '../services/conductor/parts.ts';
import { filtersHosts, type SchedulerOptions, schedulerDefaults } from '../services/scheduler/options.ts';
import type { Settings } from './options.ts';

/** Options of a conductor out of the config. Throws for an audit period that is none. Its name is new at each start: leases of a former self run out. */
export const conductorOptions = (
  settings: Settings,
  more: { host: string; crashAt: string | null; alone?: boolean; given?: ReadonlySet<keyof Settings> },
): ConductorOptions => ({
  ...conductorDefaults,
  name: `${more.host}-${newSecret(6)}`,
  host: more.host,
  maxAttempts: settings.maxAttempts,
  serviceDownTime: settings.serviceDownTime,
  ratios: ratiosOf(settings, more.given ?? new Set()),
  enforced: enforcedClasses(settings.enabledFilters),
  machineParts: { aliases: readAliases(settings.pciAliases), rule: partsRule(settings) },
  reserved: {
    vcpu: settings.reservedHostCpus,
    memoryMiB: settings.reservedHostMemory,
    diskGiB: Math.ceil(settings.reservedHostDisk / 1024),
  },
  shutdownGraceMs: settings.shutdownTimeout * 1000,
  reclaimSeconds: settings.reclaimInterval,
  resizeConfirmSeconds: settings.resizeConfirmWindow,
  shelvedOffloadSeconds: settings.shelvedOffloadTime,
  usageAudit: settings.usageAudit,
  auditUnit: readAuditUnit(settings.usageAuditPeriod),
  precacheHosts: settings.precacheConcurrency,
  precacheMs: settings.longRpcTimeout * 1000,
  crashAt: more.crashAt,
  alone: more.alone ?? false,
});

/** A claim caps what the scheduler looks at: a scheduler that does not would name the same hosts for ever. */
function partsRule(settings: Settings): PartsRule {
  const names = settings.enabledFilters.map((name) => name.slice(name.lastIndexOf('.') + 1));
  const looks = filtersHosts(settings.schedulerDriver);
  return {
    cells: looks && names.includes('NUMATopologyFilter'),
    devices: looks && names.includes('PciPassthroughFilter'),
    pack: settings.packNumaCells,
  };
}

/** The file's own, or those of the releases whose filters it asks for, or today's. */
function ratiosOf(settings: Settings, given: ReadonlySet<keyof Settings>): ConductorOptions['ratios'] {
  const usual = { vcpu: settings.cpuRatio, memory: settings.ramRatio, disk: settings.diskRatio };
  if (enforcedClasses(settings.enabledFilters) === null) return usual;
  return {
    vcpu: given.has('cpuRatio') ? usual.vcpu : legacyRatios.vcpu,
    memory: given.has('ramRatio') ? usual.memory : legacyRatios.memory,
    disk: given.has('diskRatio') ? usual.disk : legacyRatios.disk,
  };
}

const MINUTE_MS = 60_000;
/** Timers hold no more. */
const LONGEST_MS = 2 ** 31 - 1;
/** Nova's way to say how often: 0 is a usual interval, less is never (0 here). */
const interval = (seconds: number, usualMs: number) => (seconds < 0 ? 0 : seconds === 0 ? usualMs : Math.min(seconds * 1000, LONGEST_MS));

/** What an agent takes from the config. Throws for an option whose value is none. */
export function agentOptions(
  settings: Settings,
): Pick<
  AgentOptions,
  'hostIp' | 'liveMigrations' | 'reportMs' | 'inventoryMs' | 'syncMs' | 'resumeGuests' | 'runningDeleted' | 'imageCache'
> {
  const action = runningDeletedActions.find((one) => one === settings.runningDeletedAction);
  if (!action)
    throw new Error(
      `[DEFAULT] running_deleted_instance_action = ${settings.runningDeletedAction} is none of ${runningDeletedActions.join(', ')}`,
    );
  return {
    hostIp: settings.myIp,
    liveMigrations: settings.maxLiveMigrations,
    reportMs: settings.reportInterval * 1000,
    inventoryMs: interval(settings.resourcesInterval, agentDefaults.inventoryMs),
    syncMs: interval(settings.syncPowerStateInterval, agentDefaults.syncMs),
    resumeGuests: settings.resumeGuests,
    runningDeleted: {
      action,
      timeoutMs: settings.runningDeletedTimeout * 1000,
      pollMs: interval(settings.runningDeletedInterval, MINUTE_MS),
    },
    imageCache: {
      everyMs: interval(settings.imageCacheInterval, MINUTE_MS),
      removeUnused: settings.imageCacheRemove,
      minimumAgeMs: Math.max(MINUTE_MS, settings.imageCacheAge * 1000), // one that was just fetched is about to be used
      limitBytes: settings.imageCacheLimit * 1024 ** 2,
    },
  };
}

/** How guests move between hosts. Throws for an option whose value is none. */
export function moveOptions(settings: Settings) {
  const { migrationAddress, migrationPorts, migrationTimeoutAction } = settings;
  const [first = Number.NaN, last = first] = migrationPorts
    .split('-')
    .map((word) => (/^\s*\d{1,5}\s*$/.test(word) ? Number(word) : Number.NaN));
  if (!(first >= 0 && first <= last && last < 65_536))
    throw new Error(`[kilonova] migration_ports = ${migrationPorts} is neither a port nor a range such as 49152-49215`);
  if (migrationTimeoutAction !== 'abort' && migrationTimeoutAction !== 'force_complete')
    throw new Error(`[libvirt] live_migration_timeout_action = ${migrationTimeoutAction} is neither abort nor force_complete`);
  const tcp = migrationAddress ? { moves: { host: migrationAddress, firstPort: first, lastPort: last } } : {};
  if (settings.migrationTls && !migrationAddress)
    throw new Error('[libvirt] live_migration_with_native_tls needs live_migration_inbound_addr: without that nothing leaves the machine');
  const tls = settings.migrationTls ? { movesTlsFolder: settings.migrationCertificates } : {};
  return {
    ...tcp,
    ...tls,
    liveMoves: {
      downtimeMs: settings.migrationDowntime,
      bytesPerSecond: settings.migrationBandwidth * 1024 ** 2,
      secondsPerGiB: settings.migrationTimeout,
      whenLate: migrationTimeoutAction === 'abort' ? ('abort' as const) : ('force' as const),
      postCopy: settings.migrationPostCopy,
    },
  };
}

/** Options of a scheduler out of the config. Throws for an option whose value is none. */
export function schedulerOptions(settings: Settings, host: string, dataDir?: string): SchedulerOptions {
  if (settings.routedNetworks)
    throw new Error('[scheduler] query_placement_for_routed_network_aggregates is true, but there are no routed networks here; remove it');
  const costs: Readonly<Record<string, number>> = {
    compute_fill_first_cost_fn: settings.fillFirstWeight,
    retry_host_cost_fn: settings.retryCostWeight,
    noop_cost_fn: settings.noopWeight,
  };
  return {
    ...schedulerDefaults,
    name: `${host}-${newSecret(6)}`,
    host,
    journalFile: dataDir === undefined ? null : join(dataDir, 'scheduler-decisions.json'),
    seed: randomInt(2 ** 32 - 1),
    enabledFilters: settings.enabledFilters,
    available: settings.availableFilters.flatMap((line) => line.split(',').map((word) => word.trim())).filter(Boolean),
    weightClasses: settings.weightClasses,
    driver: settings.schedulerDriver,
    leastCost: settings.leastCostFunctions.map((name) => ({ name, weight: costs[name.slice(name.lastIndexOf('.') + 1)] ?? 1 })),
    weights: {
      ram_weight_multiplier: settings.ramWeight,
      cpu_weight_multiplier: settings.cpuWeight,
      disk_weight_multiplier: settings.diskWeight,
      io_ops_weight_multiplier: settings.ioOpsWeight,
      pci_weight_multiplier: settings.pciWeight,
      soft_affinity_weight_multiplier: settings.softAffinityWeight,
      soft_anti_affinity_weight_multiplier: settings.softAntiAffinityWeight,
      build_failure_weight_multiplier: settings.buildFailureWeight,
      cross_cell_move_weight_multiplier: settings.crossCellWeight,
      hypervisor_version_weight_multiplier: settings.hypervisorVersionWeight,
      num_instances_weight_multiplier: settings.numInstancesWeight,
      image_props_weight_multiplier: settings.imagePropsWeight,
      metrics_weight_multiplier: settings.metricsMultiplier,
    },
    filterOptions: {
      defaultZone: settings.defaultZone,
      imageDefaultArchitecture: settings.imageDefaultArchitecture,
      maxIoOpsPerHost: settings.maxIoOps,
      maxInstancesPerHost: settings.maxInstances,
      isolatedHosts: settings.isolatedHosts,
      isolatedImages: settings.isolatedImages,
      restrictIsolatedHosts: settings.restrictIsolated,
      isolationNamespace: settings.isolationNamespace,
      isolationSeparator: settings.isolationSeparator,
      metricsWeights: settings.metricsWeights,
      metricsRequired: settings.metricsRequired,
      metricsUnavailable: settings.metricsUnavailable,
      imagePropsWeights: settings.imagePropsWeights,
      packNumaCells: settings.packNumaCells,
    },
    prefilters: {
      limitTenants: settings.limitTenants,
      tenantAggregateRequired: settings.tenantAggregateRequired,
      imageTypeSupport: settings.imageTypeSupport,
      isolatedAggregates: settings.isolatedAggregates,
      imageMetadata: settings.imageMetadataPrefilter,
    },
    pciAliases: readAliases(settings.pciAliases),
    pluginTimeoutMs: settings.pluginTimeout * 1000,
    hostSubsetSize: settings.hostSubsetSize,
    shuffleBest: settings.shuffleBest,
    serviceDownTime: settings.serviceDownTime,
  };
}
