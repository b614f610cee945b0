import { randomInt } from 'node:crypto';
import { newSecret } from '../lib/ids.ts';
import { type ConductorOptions, conductorDefaults } from '../services/conductor/parts.ts';
import { type SchedulerOptions, schedulerDefaults } from '../services/scheduler/options.ts';
import type { Settings } from './options.ts';

/** Options of a conductor out of the config. Its name is new at each start: leases of a former self run out. */
export const conductorOptions = (
  settings: Settings,
  more: { host: string; crashAt: string | null; alone?: boolean },
): ConductorOptions => ({
  ...conductorDefaults,
  name: `${more.host}-${newSecret(6)}`,
  host: more.host,
  maxAttempts: settings.maxAttempts,
  serviceDownTime: settings.serviceDownTime,
  ratios: { vcpu: settings.cpuRatio, memory: settings.ramRatio, disk: settings.diskRatio },
  reserved: {
    vcpu: settings.reservedHostCpus,
    memoryMiB: settings.reservedHostMemory,
    diskGiB: Math.ceil(settings.reservedHostDisk / 1024),
  },
  crashAt: more.crashAt,
  alone: more.alone ?? false,
});

export const schedulerOptions = (settings: Settings, host: string): SchedulerOptions => ({
  ...schedulerDefaults,
  name: `${host}-${newSecret(6)}`,
  host,
  seed: randomInt(2 ** 32 - 1),
  enabledFilters: settings.enabledFilters,
  weights: {
    ram_weight_multiplier: settings.ramWeight,
    cpu_weight_multiplier: settings.cpuWeight,
    disk_weight_multiplier: settings.diskWeight,
  },
  hostSubsetSize: settings.hostSubsetSize,
  serviceDownTime: settings.serviceDownTime,
});
