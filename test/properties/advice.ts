import fc from 'fast-check';
import {
  AggregateInstanceExtraSpecsFilter,
  AggregateMultiTenancyIsolation,
} from '../../src/services/scheduler/filters/aggregate-filters.ts';
import { RamFilter } from '../../src/services/scheduler/filters/resource-filters.ts';
import { rulesOf, schedulerDefaults } from '../../src/services/scheduler/options.ts';
import { askOf, columnsOf, NOW, put, type RandomHost, randomHost, randomRequest, request } from './cloud.ts';
import { type AdviceKind, tryAdvice, untilRefused } from './try-advice.ts';

const base = rulesOf({ ...schedulerDefaults, name: 's', host: 's', seed: 1 });
const more = { ...base, filters: [...base.filters, RamFilter, AggregateInstanceExtraSpecsFilter, AggregateMultiTenancyIsolation] };
const large = fc.record({
  VCPU: fc.integer({ min: 1, max: 40 }),
  MEMORY_MB: fc.integer({ min: 128, max: 20_000 }),
  DISK_GB: fc.integer({ min: 0, max: 60 }),
});

/** Draws clouds and requests until so many were refused. Answers how many of each kind of advice there were. */
export function adviceHolds(refusals: number, seed?: number): Record<AdviceKind, number> {
  const one = fc.tuple(fc.array(randomHost, { maxLength: 12 }), randomRequest, large, fc.boolean(), fc.constantFrom(base, more));
  return untilRefused(
    one,
    ([hosts, wish, amounts, big, rules]) => {
      const columns = columnsOf(hosts);
      return tryAdvice(request({ ...wish, ...(big ? { amounts } : {}) }), {
        ...{ hosts, columns, rules, askOf },
        put: (at, host) => put(columns, at, host),
        add: (wanted) => put(columns, hosts.length, hostFor(wanted)),
      });
    },
    { refusals, numRuns: 500, seed },
  );
}

/** A host as the advice says, and no better. */
export function hostFor({
  amounts,
  zone,
}: {
  amounts: { VCPU: number; MEMORY_MB: number; DISK_GB: number };
  zone: string | null;
}): RandomHost {
  return {
    vcpus: Math.max(1, amounts.VCPU),
    memory: amounts.MEMORY_MB + 256,
    disk: amounts.DISK_GB,
    used: 0,
    zone: zone ?? 'nova',
    disabled: false,
    lastSeenAt: NOW,
    arch: 'x86_64',
    gpu: 'none',
    numIoOps: 0,
    failedBuilds: 0,
    hypervisorVersion: 7_002_022,
    aggregates: [],
  };
}
