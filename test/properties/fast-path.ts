import assert from 'node:assert/strict';
import fc from 'fast-check';
import { createFastPath } from '../../src/services/scheduler/fast/fast-path.ts';
import type { LiveAsk } from '../../src/services/scheduler/filter.ts';
import { filters } from '../../src/services/scheduler/filters/list.ts';
import { addPending, type HostColumns, setUsed } from '../../src/services/scheduler/host-columns.ts';
import { chosenServer } from '../../src/services/scheduler/live-server.ts';
import { type Rules, rulesOf, schedulerDefaults } from '../../src/services/scheduler/options.ts';
import { plainLoop } from '../../src/services/scheduler/plain-loop.ts';
import { type Choice, selectHosts } from '../../src/services/scheduler/select.ts';
import { weighers } from '../../src/services/scheduler/weighers/list.ts';
import { askOf, columnsOf, likeHost, NOW, put, type RandomHost, randomHost, randomRequest, request, unlikeHost } from './cloud.ts';

const base = rulesOf({ ...schedulerDefaults, name: 's', host: 's', seed: 1 });
const named = (names: readonly string[]) => names.map((name) => filters[name]!);
const classic = [
  'RetryFilter',
  'AvailabilityZoneFilter',
  'RamFilter',
  'DiskFilter',
  'ComputeFilter',
  'ComputeCapabilitiesFilter',
  'ImagePropertiesFilter',
  'ServerGroupAntiAffinityFilter',
  'ServerGroupAffinityFilter',
];
const randomRules: fc.Arbitrary<Rules> = fc
  .record({
    filters: fc.constantFrom(
      base.filters,
      named(classic),
      named([
        ...classic,
        'CoreFilter',
        'IoOpsFilter',
        'NumInstancesFilter',
        'AggregateInstanceExtraSpecsFilter',
        'AggregateMultiTenancyIsolation',
      ]),
      // JsonFilter has no kept form: it is asked by the plain code
      named(['ServerGroupAntiAffinityFilter', 'JsonFilter', 'ComputeFilter', 'ComputeCapabilitiesFilter', 'TrustedFilter']),
      // one that nobody knows
      [
        ...base.filters,
        {
          name: 'OddFilter',
          judge: (host: { host: string }) => (host.host.endsWith('7') ? { ok: false as const, why: 'seven' } : { ok: true as const }),
        },
      ],
    ),
    weighers: fc.constantFrom(
      base.weighers,
      weighers.map((weigher) => ({ weigher, multiplier: weigher.multiplier })),
      weighers.map((weigher, at) => ({ weigher, multiplier: [1, -2, 0.5, 1, 1, 3, -1, 0.1][at % 8]! })),
    ),
    subset: fc.constantFrom(1, 1, 1, 4),
    shuffle: fc.constantFrom(false, false, false, true),
  })
  .map((more) => ({ ...base, ...more }));

type Deed =
  | { readonly deed: 'select'; readonly wish: object; readonly times: number }
  | { readonly deed: 'used'; readonly at: number; readonly used: number }
  | { readonly deed: 'host'; readonly at: number; readonly host: RandomHost }
  | { readonly deed: 'server'; readonly at: number; readonly which: number; readonly gone: boolean }
  | { readonly deed: 'pass'; readonly seconds: number };
const deeds: fc.Arbitrary<Deed[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ deed: fc.constant('select' as const), wish: randomRequest, times: fc.integer({ min: 1, max: 4 }) }),
    },
    { weight: 1, arbitrary: fc.record({ deed: fc.constant('used' as const), at: fc.nat(80), used: fc.integer({ min: 0, max: 8 }) }) },
    { weight: 1, arbitrary: fc.record({ deed: fc.constant('host' as const), at: fc.nat(80), host: randomHost }) },
    {
      weight: 2,
      arbitrary: fc.record({ deed: fc.constant('server' as const), at: fc.nat(80), which: fc.nat(5), gone: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ deed: fc.constant('pass' as const), seconds: fc.constantFrom(1, 2, 61) }) },
  ),
  { maxLength: 12 },
);

const plainly = (choice: Choice) => ({ hosts: choice.hosts.map(({ host, weight }) => [host.host, weight]), reasons: choice.reasons });
function answer(work: () => Choice) {
  try {
    return plainly(work());
  } catch (cause) {
    return String(cause);
  }
}

/** Does all deeds on one cloud, each choice by the fast path and by the plain code. */
function live(columns: HostColumns, rules: Rules, list: readonly Deed[]): void {
  const fast = createFastPath(columns, rules);
  let now = NOW;
  for (const one of list) {
    if (one.deed === 'pass') now += one.seconds * 1_000_000;
    else if (one.deed === 'used' && one.at < columns.hosts.length)
      setUsed(columns, one.at, { VCPU: one.used, MEMORY_MB: one.used * 256, DISK_GB: one.used });
    else if (one.deed === 'host' && one.at <= columns.hosts.length) put(columns, one.at, one.host);
    else if (one.deed === 'server' && one.at < columns.hosts.length) {
      const host = columns.hosts[one.at]!;
      const server = { ...request(), serverUuid: `server-${one.which}` };
      if (one.which === 0) host.setZone(one.gone ? 'east' : 'nova');
      else if (one.gone) host.take('servers', server.serverUuid);
      else host.put('servers', chosenServer(askOf(server).wish, host.host));
    } else if (one.deed === 'select')
      for (let time = 0; time < one.times; time++) {
        const ask: LiveAsk = askOf(request(one.wish), now);
        const slow = answer(() => selectHosts(columns, rules, ask, time));
        assert.deepEqual(
          answer(() => fast.select(rules, ask, time)),
          slow,
        );
        if (typeof slow === 'string') continue;
        if (!rules.shuffle && rules.subset === 1)
          assert.deepEqual(
            plainLoop(columns, rules, ask).map(({ host, weight }) => [host.host, weight]),
            slow.hosts,
          );
        const first = columns.byName.get(String(slow.hosts[0]?.[0]));
        if (first) addPending(columns, first.index, ask.request.amounts, 1);
      }
  }
}

/** The fast path gives the hosts, weights and reasons of the plain filter-by-filter loop, whatever happens in between. */
export function fastAsPlain(runs: number): void {
  fc.assert(
    fc.property(fc.array(randomHost, { maxLength: 80 }), randomRules, deeds, (hosts, rules, list) => live(columnsOf(hosts), rules, list)),
    { numRuns: runs },
  );
}

const plainWishes = fc.constantFrom(
  {},
  { amounts: { VCPU: 4, MEMORY_MB: 8192, DISK_GB: 10 } },
  { amounts: { VCPU: 1, MEMORY_MB: 2048, DISK_GB: 80 } },
);
const row = (times: number) =>
  fc.array(fc.record({ deed: fc.constant('select' as const), wish: plainWishes, times: fc.constant(times) }), {
    minLength: 1,
    maxLength: 4,
  });

/** And so where every host is of its own size: the scale of the weights moves with nearly every choice. */
export function fastOnUnlikeHosts(runs: number): void {
  fc.assert(
    fc.property(fc.array(unlikeHost, { minLength: 40, maxLength: 400 }), randomRules, row(15), (hosts, rules, list) =>
      live(columnsOf(hosts), rules, list),
    ),
    { numRuns: runs },
  );
}

/** And so on clouds of like hosts, where most weigh the same. */
export function fastOnLikeHosts(runs: number): void {
  fc.assert(
    fc.property(fc.array(likeHost, { minLength: 40, maxLength: 300 }), row(12), (hosts, list) => live(columnsOf(hosts), base, list)),
    { numRuns: runs },
  );
}
