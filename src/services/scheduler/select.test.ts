import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HostRequest } from '../../bus/contracts/scheduler.ts';
import type { HostFacts } from '../../db/tables/compute/hosts.ts';
import { matchesSpec } from './extra-specs-match.ts';
import type { LiveAsk } from './filter.ts';
import { ImagePropertiesFilter } from './filters/image-properties-filter.ts';
import { addPending, emptyColumns, putHost } from './host-columns.ts';
import type { Host } from './live-host.ts';
import { wishOf } from './live-wish.ts';
import { normalize } from './normalize.ts';
import { filterDefaults, rulesOf, schedulerDefaults } from './options.ts';
import { plainLoop } from './plain-loop.ts';
import { selectHosts } from './select.ts';

const NOW = 1_700_000_000_000_000;
const facts = (
  at: number,
  more: Partial<HostFacts> & { vcpus?: number; memory?: number; disk?: number; used?: number } = {},
): HostFacts => ({
  host: `host-${at}`,
  node: `host-${at}`,
  uuid: `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
  zone: 'nova',
  disabled: false,
  disabledReason: null,
  forcedDown: false,
  lastSeenAt: NOW,
  hostIp: '127.0.0.1',
  hypervisorType: 'QEMU',
  hypervisorVersion: 7_002_022,
  cpuInfo: '{"arch":"x86_64","features":["sse2"]}',
  supportedInstances: [['x86_64', 'qemu', 'hvm']],
  stats: { gpu: 'v100' },
  diskFreeGiB: more.disk ?? 100,
  inventories: {
    VCPU: { total: more.vcpus ?? 8, reserved: 0, ratio: 2, capacity: (more.vcpus ?? 8) * 2, used: more.used ?? 0 },
    MEMORY_MB: { total: more.memory ?? 8192, reserved: 512, ratio: 1, capacity: (more.memory ?? 8192) - 512, used: (more.used ?? 0) * 256 },
    DISK_GB: { total: more.disk ?? 100, reserved: 0, ratio: 1, capacity: more.disk ?? 100, used: more.used ?? 0 },
  },
  ...more,
});
const request = (more: Partial<HostRequest> = {}): HostRequest => ({
  serverUuid: '00000000-0000-4000-8000-0000000000aa',
  projectId: 'p',
  amounts: { VCPU: 1, MEMORY_MB: 512, DISK_GB: 1 },
  flavor: null,
  image: null,
  extraSpecs: {},
  imageProperties: {},
  availabilityZone: null,
  forcedHost: null,
  forcedNode: null,
  requestedHost: null,
  requestedHypervisor: null,
  excludedHosts: [],
  rebuild: false,
  group: null,
  schedulerHints: {},
  limit: 5,
  ...more,
});
const asked = (wish: HostRequest, groupHosts = new Map(Object.entries(wish.group?.hosts ?? {}))): LiveAsk => ({
  request: wish,
  wish: wishOf(wish, groupHosts),
  now: NOW,
  options: filterDefaults,
});
const rules = rulesOf({ ...schedulerDefaults, name: 's', host: 's', seed: 1 });
const columnsOf = (list: readonly HostFacts[]) => {
  const columns = emptyColumns();
  const byName = new Map<string, Host>();
  for (const one of list) putHost(columns, byName, one);
  return columns;
};

test('the fast path chooses what the plain loop over one host at a time chooses', () => {
  const host = fc.record({
    vcpus: fc.integer({ min: 0, max: 8 }),
    memory: fc.integer({ min: 512, max: 8192 }),
    disk: fc.integer({ min: 0, max: 20 }),
    used: fc.integer({ min: 0, max: 8 }),
    zone: fc.constantFrom('nova', 'east'),
    disabled: fc.boolean(),
    lastSeenAt: fc.constantFrom(NOW, NOW - 61_000_000, null),
    supportedInstances: fc.constantFrom([['x86_64', 'qemu', 'hvm']], [['aarch64', 'qemu', 'hvm']], []),
    pending: fc.integer({ min: 0, max: 3 }),
  });
  const wish = fc.record({
    amounts: fc.record({
      VCPU: fc.integer({ min: 0, max: 6 }),
      MEMORY_MB: fc.integer({ min: 0, max: 4096 }),
      DISK_GB: fc.integer({ min: 0, max: 10 }),
    }),
    availabilityZone: fc.constantFrom(null, 'nova', 'east'),
    extraSpecs: fc.constantFrom<Record<string, string>>(
      {},
      { 'capabilities:gpu': 'v100' },
      { 'capabilities:gpu': 's== a100' },
      { 'hw:cpu_policy': 'shared' },
    ),
    imageProperties: fc.constantFrom<Record<string, string>>({}, { hw_architecture: 'x86_64' }),
    excludedHosts: fc.constantFrom<string[]>([], ['host-0', 'host-3']),
    requestedHost: fc.constantFrom(null, 'HOST-1'),
    forcedHost: fc.constantFrom(null, null, 'host-2'),
    group: fc.constantFrom(
      null,
      { uuid: '00000000-0000-4000-8000-0000000000bb', policy: 'anti-affinity', maxPerHost: 1, hosts: { 'host-1': 1 } },
      { uuid: '00000000-0000-4000-8000-0000000000bb', policy: 'affinity', maxPerHost: 1, hosts: { 'host-1': 2 } },
    ),
  });
  fc.assert(
    fc.property(fc.array(host, { maxLength: 30 }), wish, (hosts, one) => {
      const columns = columnsOf(hosts.map((more, at) => facts(at, more)));
      for (const [at, { pending }] of hosts.entries())
        addPending(columns, at, { VCPU: pending, MEMORY_MB: pending * 128, DISK_GB: pending }, 1);
      const ask = asked(request(one as unknown as Partial<HostRequest>));
      const names = (list: readonly { host: Host; weight: number }[]) => list.map((item) => [item.host.facts.host, item.weight]);
      assert.deepEqual(names(selectHosts(columns, rules, ask, 1).hosts), names(plainLoop(columns, rules, ask)));
    }),
    { numRuns: 500 },
  );
});

test('the emptiest host wins; equal ones keep their order; a subset is drawn by the seed', () => {
  const columns = columnsOf([facts(0, { used: 4 }), facts(1), facts(2), facts(3, { used: 2 })]);
  const order = (rule = rules, seed = 1) => selectHosts(columns, rule, asked(request()), seed).hosts.map((one) => one.host.index);
  assert.deepEqual(order(), [1, 2, 3, 0]);
  const subset = rulesOf({ ...schedulerDefaults, hostSubsetSize: 2, name: 's', host: 's', seed: 1 });
  assert.deepEqual(order(subset, 5), order(subset, 5));
  assert.deepEqual(new Set(Array.from({ length: 30 }, (_, seed) => order(subset, seed)[0])), new Set([1, 2]));
});

test('the very best in random order, those behind them in their own', () => {
  const columns = columnsOf([facts(0, { used: 4 }), facts(1), facts(2), facts(3), facts(4, { used: 4 })]);
  const shuffled = rulesOf({ ...schedulerDefaults, shuffleBest: true, name: 's', host: 's', seed: 1 });
  const orders = Array.from({ length: 40 }, (_, seed) =>
    selectHosts(columns, shuffled, asked(request()), seed).hosts.map((one) => one.host.index),
  );
  assert.deepEqual(new Set(orders.map((order) => order[0])), new Set([1, 2, 3]));
  for (const order of orders) assert.deepEqual(order.slice(3), [0, 4]);
});

test('a filter that throws aborts the request and is named', () => {
  const columns = columnsOf([facts(0)]);
  const ask = asked(request({ extraSpecs: { 'capabilities:gpu': '>= 5' } }));
  assert.throws(() => selectHosts(columns, rules, ask, 1), /filter ComputeCapabilitiesFilter failed: could not convert string to float/);
});

test('a user cannot switch filters off by calling a request a rebuild', () => {
  const columns = columnsOf([facts(0, { disabled: true })]);
  const ask = asked(request({ schedulerHints: { _nova_check_type: ['rebuild'] } }));
  assert.deepEqual(selectHosts(columns, rules, ask, 1).hosts, []);
});

test('a filter nobody has is refused at start with those there are', () => {
  assert.throws(
    () => rulesOf({ ...schedulerDefaults, enabledFilters: ['MoonFilter'], name: 's', host: 's', seed: 1 }),
    /names MoonFilter, which is not there; there are ComputeFilter/,
  );
});

test('a refusal counts why per question, names the nearest miss and the smallest change', () => {
  const columns = columnsOf([facts(0, { disabled: true }), facts(1, { lastSeenAt: null }), facts(2, { vcpus: 1, memory: 1536 })]);
  const { hosts, reasons } = selectHosts(columns, rules, asked(request({ amounts: { VCPU: 4, MEMORY_MB: 2048, DISK_GB: 5 } })), 1);
  assert.deepEqual(hosts, []);
  assert.equal(reasons.seen, 3);
  assert.deepEqual(reasons.filters.slice(-2), [
    { name: 'Compute status', before: 2, after: 1, reasons: [{ why: 'the compute service is disabled', hosts: 1 }] },
    { name: 'ComputeFilter', before: 1, after: 0, reasons: [{ why: 'the compute service is down', hosts: 1 }] },
  ]);
  assert.equal(reasons.smallestChange, 'A flavor of at most 2 VCPU, 1024 MiB of memory and 100 GiB of disk would fit now.');
});

test('extra specs match as in Nova, its oddities too', () => {
  const cases: [string, string, boolean][] = [
    ['5', '= 4', true],
    ['5', '== 5.0', true],
    ['5', '> 4', false],
    ['abc', '<in> b', true],
    ['abc', '<all-in> a c', true],
    ['b', '<or> a <or> b', true],
    ['b', '<or> a b', false],
    ['x86_64', 'x86_64', true],
    ['5', '==', false],
    ['5', 's== 5', true],
  ];
  for (const [value, demand, wish] of cases) assert.equal(matchesSpec(value, demand), wish, `${value} ${demand}`);
  assert.throws(() => matchesSpec('abc', '>= 4'), /could not convert/);
});

test('image properties: membership in one triple, older names, and the version only beside them', () => {
  const host = columnsOf([facts(0)]).hosts[0]!;
  const fits = (imageProperties: Record<string, string>) => {
    const ask = asked(request({ imageProperties }));
    return ImagePropertiesFilter.concerns?.(ask) ? ImagePropertiesFilter.judge(host, ask).ok : true;
  };
  assert.equal(fits({ hw_architecture: 'amd64' }), true);
  assert.equal(fits({ architecture: 'i386' }), false);
  assert.equal(fits({ hypervisor_type: 'QEMU', hypervisor_version_requires: '>=7.0,<8' }), true);
  assert.equal(fits({ hypervisor_type: 'QEMU', hypervisor_version_requires: '>=8' }), false);
  assert.equal(fits({ hypervisor_version_requires: '>=8' }), true);
});

test('values are brought to 0..1; equal ones above the floor are 1, equal ones without a floor 0', () => {
  const scaled = (values: number[], low?: number) => {
    const list = Float64Array.from(values);
    normalize(list, low);
    return [...list];
  };
  assert.deepEqual(scaled([500, 500], 0), [1, 1]);
  assert.deepEqual(scaled([5, 5]), [0, 0]);
  assert.deepEqual(scaled([0, 50, 100], 0), [0, 0.5, 1]);
});
