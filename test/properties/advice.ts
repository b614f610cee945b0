import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { HostRequest } from '../../src/bus/contracts/scheduler.ts';
import { advise } from '../../src/services/scheduler/advise.ts';
import {
  AggregateInstanceExtraSpecsFilter,
  AggregateMultiTenancyIsolation,
} from '../../src/services/scheduler/filters/aggregate-filters.ts';
import { RamFilter } from '../../src/services/scheduler/filters/resource-filters.ts';
import { rulesOf, schedulerDefaults } from '../../src/services/scheduler/options.ts';
import { selectHosts } from '../../src/services/scheduler/select.ts';
import { askOf, columnsOf, NOW, put, type RandomHost, randomHost, randomRequest, request } from './cloud.ts';

const base = rulesOf({ ...schedulerDefaults, name: 's', host: 's', seed: 1 });
const more = { ...base, filters: [...base.filters, RamFilter, AggregateInstanceExtraSpecsFilter, AggregateMultiTenancyIsolation] };
const large = fc.record({
  VCPU: fc.integer({ min: 1, max: 40 }),
  MEMORY_MB: fc.integer({ min: 128, max: 20_000 }),
  DISK_GB: fc.integer({ min: 0, max: 60 }),
});

/** Draws clouds and requests until so many were refused; each first advice, applied to the word, must make its request fit. Answers how many of each
 *  kind of advice there were. */
export function adviceHolds(refusals: number, seed?: number): Record<'request' | 'host' | 'add', number> {
  const kinds = { request: 0, host: 0, add: 0 };
  let refused = 0;
  const one = fc.tuple(fc.array(randomHost, { maxLength: 12 }), randomRequest, large, fc.boolean(), fc.constantFrom(base, more));
  const property = fc.property(one, ([hosts, wish, amounts, big, rules]) => {
    const asked = request({ ...wish, ...(big ? { amounts } : {}) });
    const columns = columnsOf(hosts);
    const tryOut = (what: HostRequest) => {
      try {
        return selectHosts(columns, rules, askOf(what), 1).hosts.length > 0;
      } catch {
        return undefined; // a filter failed: that is no refusal
      }
    };
    if (tryOut(asked) !== false) return;
    refused++;
    const advice = advise(columns, rules, askOf(asked));
    kinds[advice.add ? 'add' : advice.host ? 'host' : 'request']++;
    for (const at of hosts.keys()) assert.ok(!advice.tenantText.includes(`host-${at}`));
    if (advice.host) {
      const at = columns.byName.get(advice.host)!.index;
      put(columns, at, { ...hosts[at]!, disabled: false, lastSeenAt: NOW });
    }
    if (advice.add) put(columns, hosts.length, hostFor(advice.add));
    assert.equal(tryOut(advice.request ?? asked), true, advice.text);
  });
  for (let round = 0; refused < refusals; round++)
    fc.assert(property, { numRuns: 500, ...(seed === undefined ? {} : { seed: seed + round }) });
  return kinds;
}

/** A host as the advice says, and no better. */
function hostFor({ amounts, zone }: { amounts: { VCPU: number; MEMORY_MB: number; DISK_GB: number }; zone: string | null }): RandomHost {
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
