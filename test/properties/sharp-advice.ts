import fc from 'fast-check';
import type { Advice, HostRequest } from '../../src/bus/contracts/scheduler.ts';
import type { AggregateFacts } from '../../src/db/tables/compute/aggregate-facts.ts';
import type { HostFacts } from '../../src/db/tables/compute/hosts.ts';
import type { LiveAsk } from '../../src/services/scheduler/filter.ts';
import { emptyColumns, type HostColumns, putHost } from '../../src/services/scheduler/host-columns.ts';
import { chosenServer } from '../../src/services/scheduler/live-server.ts';
import { wishOf } from '../../src/services/scheduler/live-wish.ts';
import { type Rules, rulesOf, schedulerDefaults } from '../../src/services/scheduler/options.ts';
import { prefilterDefaults } from '../../src/services/scheduler/prefilters.ts';
import { hostFor } from './advice.ts';
import { factsOf, NOW, type RandomHost, request } from './cloud.ts';
import { type AdviceKind, tryAdvice, untilRefused } from './try-advice.ts';

// Clouds with memory cells, devices, traits and aggregates, and requests that ask for all of it.

const aliases = [
  { name: 'gpu', specs: [{ vendor_id: '10de' }], numaPolicy: null },
  { name: 'near', specs: [{ vendor_id: '10de' }], numaPolicy: 'required' as const },
];
const rulesFor = (enabledFilters: readonly string[], prefilters: Partial<typeof prefilterDefaults>, more: object = {}) =>
  rulesOf({
    ...{ ...schedulerDefaults, name: 's', host: 's', seed: 1, pciAliases: aliases, enabledFilters },
    prefilters: { ...prefilterDefaults, ...prefilters },
    filterOptions: {
      ...schedulerDefaults.filterOptions,
      isolatedHosts: ['host-1', 'host-isolated'],
      isolatedImages: ['secret'],
      maxInstancesPerHost: 2,
      ...more,
    },
  });
const parts = ['NUMATopologyFilter', 'PciPassthroughFilter'];
const groups = ['ServerGroupAntiAffinityFilter', 'ServerGroupAffinityFilter'];
const aggregates = ['AggregateInstanceExtraSpecsFilter', 'AggregateMultiTenancyIsolation', 'AggregateImagePropertiesIsolation'];
const hints = ['SameHostFilter', 'DifferentHostFilter', 'JsonFilter', 'SimpleCIDRAffinityFilter'];
/** Configs as operators have them, from the plain one to all at once. */
const configs: readonly Rules[] = [
  rulesFor(['ComputeFilter', ...parts, ...groups], {}),
  rulesFor(['ComputeFilter', ...aggregates, ...groups, ...parts], { isolatedAggregates: true }),
  rulesFor(['ComputeFilter', 'ImagePropertiesFilter', 'ComputeCapabilitiesFilter', ...hints, ...parts], { imageTypeSupport: true }),
  rulesFor(['ComputeFilter', ...aggregates, 'NumInstancesFilter', 'AggregateTypeAffinityFilter', ...groups], {
    limitTenants: true,
    tenantAggregateRequired: true,
  }),
  rulesFor(['ComputeFilter', 'IsolatedHostsFilter', 'RamFilter', 'CoreFilter', ...parts], { limitTenants: true, imageTypeSupport: true }),
  rulesFor(['ComputeFilter', 'TypeAffinityFilter', 'AggregateRamFilter', 'AggregateCoreFilter', 'IoOpsFilter', ...parts], {
    isolatedAggregates: true,
    imageMetadata: true,
  }),
];

interface SharpHost extends RandomHost {
  readonly cells: number;
  readonly pinned: number;
  readonly devices: number | null;
  readonly deviceCell: number | null;
  readonly traits: readonly string[];
  readonly servers: readonly string[];
  readonly groups: readonly number[];
}
const sharpHost: fc.Arbitrary<SharpHost> = fc.record({
  vcpus: fc.constantFrom(4, 8, 8),
  memory: fc.constantFrom(2048, 4096, 8192),
  disk: fc.integer({ min: 0, max: 40 }),
  used: fc.integer({ min: 0, max: 5 }),
  zone: fc.constantFrom('nova', 'nova', 'east'),
  disabled: fc.constantFrom(false, false, false, true),
  lastSeenAt: fc.constantFrom(NOW, NOW, NOW, NOW - 70_000_000, null),
  arch: fc.constantFrom('x86_64', 'x86_64', 'aarch64'),
  gpu: fc.constantFrom('v100', 'a100'),
  numIoOps: fc.constantFrom(0, 0, 9),
  failedBuilds: fc.constant(0),
  hypervisorVersion: fc.constant(7_002_022),
  aggregates: fc.constant([]),
  cells: fc.constantFrom(0, 1, 2),
  pinned: fc.constantFrom(0, 0, 2, 3),
  devices: fc.constantFrom(null, 0, 1, 2),
  deviceCell: fc.constantFrom(null, 0, 1),
  traits: fc.uniqueArray(fc.constantFrom('CUSTOM_GOLD', 'HW_CPU_X86_AVX', 'COMPUTE_IMAGE_TYPE_QCOW2', 'COMPUTE_STORAGE_BUS_VIRTIO')),
  servers: fc.uniqueArray(fc.constantFrom('11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'), {
    maxLength: 1,
  }),
  groups: fc.uniqueArray(fc.integer({ min: 0, max: 4 }), { maxLength: 2 }),
});
const groupMetadata: readonly Readonly<Record<string, string>>[] = [
  { 'trait:CUSTOM_GOLD': 'required' },
  { filter_tenant_id: 'p' },
  { ssd: 'true', hw_architecture: 'x86_64' },
  { availability_zone: 'east' },
  { instance_type: 'large', ram_allocation_ratio: '1.0', cpu_allocation_ratio: '1.0' },
];
const specs: readonly Readonly<Record<string, string>>[] = [
  { 'hw:numa_nodes': '2' },
  { 'hw:cpu_policy': 'dedicated' },
  { 'hw:cpu_policy': 'dedicated', 'hw:cpu_thread_policy': 'require' },
  { 'hw:mem_page_size': 'large' },
  { 'hw:numa_nodes': '2', 'hw:numa_cpus.0': '0', 'hw:numa_cpus.1': '1', 'hw:numa_mem.0': '256', 'hw:numa_mem.1': '256' },
  { 'pci_passthrough:alias': 'gpu:1' },
  { 'pci_passthrough:alias': 'near:2', 'hw:numa_nodes': '1' },
  { 'trait:CUSTOM_GOLD': 'required' },
  { 'trait:HW_CPU_X86_AVX': 'forbidden', 'trait:CUSTOM_GOLD': 'required' },
  { 'aggregate_instance_extra_specs:ssd': 'true' },
  { 'capabilities:gpu': 'h100' },
];
const properties: readonly Readonly<Record<string, string>>[] = [
  { hw_architecture: 'aarch64' },
  { 'trait:HW_CPU_X86_AVX': 'required' },
  { hw_disk_bus: 'virtio' },
  { hw_numa_nodes: '2' },
];
const hintWords: readonly Readonly<Record<string, unknown>>[] = [
  { same_host: ['11111111-1111-4111-8111-111111111111'] },
  { different_host: ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] },
  { query: ['[">=", "$free_ram_mb", 100000]'] },
  { build_near_host_ip: ['10.0.0.1'], cidr: ['/24'] },
];
const merged = (list: readonly Readonly<Record<string, string>>[]) =>
  fc
    .uniqueArray(fc.nat(list.length - 1), { maxLength: 2 })
    .map((at) => Object.assign({}, ...at.map((one) => list[one])) as Record<string, string>);
const sharpRequest = fc.record({
  projectId: fc.constantFrom('p', 'q'),
  amounts: fc.record({
    VCPU: fc.constantFrom(1, 2, 2, 4, 12),
    MEMORY_MB: fc.constantFrom(512, 512, 1024, 6000),
    DISK_GB: fc.constantFrom(0, 1, 10, 50),
  }),
  flavor: fc.constantFrom(
    { id: '1', name: 'large', rootGiB: 1, ephemeralGiB: 0, swapMiB: 0 },
    { id: '2', name: 'other', rootGiB: 1, ephemeralGiB: 0, swapMiB: 0 },
  ),
  image: fc.constantFrom(null, { id: 'secret', diskFormat: 'qcow2' }, { id: 'open', diskFormat: 'raw' }),
  availabilityZone: fc.constantFrom(null, null, 'nova', 'east', 'west'),
  extraSpecs: merged(specs),
  imageProperties: merged(properties),
  schedulerHints: fc.constantFrom<Record<string, unknown>>({}, {}, {}, ...hintWords),
  excludedHosts: fc.constantFrom<string[]>([], [], ['host-0', 'host-2']),
  requestedHost: fc.constantFrom(null, null, null, 'host-1'),
  forcedHost: fc.constantFrom(null, null, null, null, 'host-2'),
  group: fc.constantFrom(
    null,
    null,
    {
      uuid: '00000000-0000-4000-8000-0000000000bb',
      policy: 'anti-affinity',
      maxPerHost: 1,
      hosts: { 'host-0': 1, 'host-1': 1, 'host-2': 1, 'host-3': 1 },
    },
    { uuid: '00000000-0000-4000-8000-0000000000bb', policy: 'affinity', maxPerHost: 1, hosts: { 'host-1': 1 } },
  ),
});

const cellsOf = ({ cells, vcpus, memory, pinned }: SharpHost) =>
  Array.from({ length: cells }, (_, id) => {
    const each = vcpus / cells;
    const cpus = Array.from({ length: each }, (_cpu, at) => id * each + at);
    const pages = [{ size_kb: 4, total: (memory / cells) * 256, used: 0, reserved: 0 }];
    return {
      ...{ id, cpuset: cpus, pcpuset: cpus, memory: memory / cells, cpu_usage: 0, memory_usage: 0, mempages: pages, socket: 0 },
      ...{ pinned_cpus: cpus.slice(0, pinned), siblings: cpus.map((cpu) => [cpu]) },
    };
  });
function factsFor(at: number, one: SharpHost): HostFacts {
  const pools =
    one.devices === null
      ? null
      : [{ vendor_id: '10de', product_id: '1', numa_node: one.deviceCell, count: one.devices, dev_type: 'type-PCI' }];
  const stats = {
    gpu: one.gpu,
    ...(one.cells > 0 ? { numa_topology: { cells: cellsOf(one) } } : {}),
    ...(pools ? { pci_device_pools: pools.filter(({ count }) => count > 0) } : {}),
  };
  return { ...factsOf(at, one), traits: one.traits, stats, serviceCreatedAt: NOW };
}

/** As `adviceHolds`, on sharper clouds. */
export function sharpAdviceHolds(refusals: number, seed?: number): Record<AdviceKind, number> {
  const one = fc.tuple(fc.array(sharpHost, { maxLength: 8 }), sharpRequest, fc.constantFrom(...configs));
  return untilRefused(
    one,
    ([hosts, wish, rules]) => {
      const facts: AggregateFacts[] = groupMetadata.map((metadata, id) => ({
        ...{ id, uuid: `a${id}`, metadata },
        hosts: hosts.flatMap((one, at) => (one.groups.includes(id) ? [`host-${at}`] : [])),
      }));
      const columns = emptyColumns();
      const put = (at: number, one: SharpHost) => {
        const host = putHost(columns, columns.byName, factsFor(at, one), rules.enforced);
        host.busy = one.numIoOps;
        host.join(facts.filter(({ hosts: names }) => names.includes(host.facts.host)));
        const [standing] = one.servers;
        if (standing) host.put('chosen', { ...chosenServer(wishOf(request(), new Map()), host.facts.host), uuid: standing } as never);
      };
      for (const [at, one] of hosts.entries()) put(at, one);
      const askOf = (what: HostRequest): LiveAsk => ({
        request: what,
        wish: wishOf(what, new Map(Object.entries(what.group?.hosts ?? {})), aliases),
        ...{ now: NOW, options: rules.options, aggregates: facts },
      });
      const add = (wanted: NonNullable<Advice['add']>) => addHost(columns, rules, wanted, facts, hosts.length);
      return tryAdvice(request(wish), { hosts, columns, rules, askOf, put, add });
    },
    { refusals, numRuns: Math.min(500, refusals), seed },
  );
}

/** A host as the advice says, and no better. */
function addHost(columns: HostColumns, rules: Rules, add: NonNullable<Advice['add']>, groups: AggregateFacts[], at: number): void {
  const name = add.isolated ? 'host-isolated' : 'host-new';
  if (add.aggregate) groups.push({ id: 100, uuid: 'new', metadata: add.aggregate, hosts: [name] });
  const bare = factsOf(at, hostFor(add));
  const host = putHost(columns, columns.byName, { ...bare, host: name, node: name, traits: add.traits }, rules.enforced);
  host.join(groups.filter(({ hosts }) => hosts.includes(name)));
}
