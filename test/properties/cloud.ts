import fc from 'fast-check';
import type { HostRequest } from '../../src/bus/contracts/scheduler.ts';
import type { HostFacts } from '../../src/db/tables/compute/hosts.ts';
import type { LiveAsk } from '../../src/services/scheduler/filter.ts';
import { emptyColumns, type HostColumns, putHost } from '../../src/services/scheduler/host-columns.ts';
import { wishOf } from '../../src/services/scheduler/live-wish.ts';
import { filterDefaults } from '../../src/services/scheduler/options.ts';

export const NOW = 1_700_000_000_000_000;
export const GROUP = '00000000-0000-4000-8000-0000000000bb';

/** What differs between hosts of a random cloud. */
export interface RandomHost {
  readonly vcpus: number;
  readonly memory: number;
  readonly disk: number;
  readonly used: number;
  readonly zone: string;
  readonly disabled: boolean;
  readonly lastSeenAt: number | null;
  readonly arch: string;
  readonly gpu: string;
  readonly numIoOps: number;
  readonly failedBuilds: number;
  readonly hypervisorVersion: number;
  readonly aggregates: readonly { readonly metadata: Readonly<Record<string, string>> }[];
}
export const randomHost: fc.Arbitrary<RandomHost> = fc.record({
  vcpus: fc.integer({ min: 0, max: 8 }),
  memory: fc.integer({ min: 2, max: 32 }).map((n) => n * 256),
  disk: fc.integer({ min: 0, max: 20 }),
  used: fc.integer({ min: 0, max: 8 }),
  zone: fc.constantFrom('nova', 'nova', 'east'),
  disabled: fc.constantFrom(false, false, false, false, true),
  lastSeenAt: fc.constantFrom(NOW, NOW, NOW, NOW - 61_000_000, NOW - 59_000_000, NOW + 70_000_000, null),
  arch: fc.constantFrom('x86_64', 'x86_64', 'aarch64'),
  gpu: fc.constantFrom('v100', 'a100'),
  numIoOps: fc.integer({ min: 0, max: 3 }),
  failedBuilds: fc.constantFrom(0, 0, 0, 0, 2),
  hypervisorVersion: fc.constantFrom(7_002_022, 7_002_022, 8_000_000),
  aggregates: fc.constantFrom<RandomHost['aggregates'][number][][]>(
    [],
    [],
    [],
    [{ metadata: { ssd: 'true' } }],
    [{ metadata: { ram_weight_multiplier: '2.5' } }, { metadata: { cpu_weight_multiplier: '-1' } }],
    [{ metadata: { filter_tenant_id: 'p' } }],
  ),
});
/** A host in one of a few sizes and fillings: many weigh the same. */
export const likeHost: fc.Arbitrary<RandomHost> = fc
  .record({ size: fc.constantFrom(1, 1, 2), used: fc.constantFrom(0, 0, 1, 3) })
  .map(({ size, used }) => ({
    vcpus: 8 * size,
    memory: 8192 * size,
    disk: 100 * size,
    used,
    zone: 'nova',
    disabled: false,
    lastSeenAt: NOW,
    arch: 'x86_64',
    gpu: 'v100',
    numIoOps: 0,
    failedBuilds: 0,
    hypervisorVersion: 7_002_022,
    aggregates: [],
  }));

/** A host of its own size: the scale of the weights moves with nearly every choice. */
export const unlikeHost: fc.Arbitrary<RandomHost> = fc
  .record({
    vcpus: fc.integer({ min: 4, max: 128 }),
    memory: fc.integer({ min: 4096, max: 500_000 }),
    disk: fc.integer({ min: 50, max: 5000 }),
    used: fc.integer({ min: 0, max: 8 }),
    numIoOps: fc.integer({ min: 0, max: 9 }),
    hypervisorVersion: fc.integer({ min: 7_000_000, max: 7_000_100 }),
    aggregates: fc.constantFrom<RandomHost['aggregates'][number][][]>([], [], [], [{ metadata: { ram_weight_multiplier: '1.5' } }]),
  })
  .map((one) => ({ zone: 'nova', disabled: false, lastSeenAt: NOW, arch: 'x86_64', gpu: 'v100', failedBuilds: 0, ...one }));

export const factsOf = (at: number, one: RandomHost): HostFacts => ({
  host: `host-${at}`,
  node: `host-${at}`,
  uuid: `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
  zone: one.zone,
  disabled: one.disabled,
  disabledReason: null,
  forcedDown: false,
  lastSeenAt: one.lastSeenAt,
  hostIp: '127.0.0.1',
  hypervisorType: 'QEMU',
  hypervisorVersion: one.hypervisorVersion,
  failedBuilds: one.failedBuilds,
  cpuInfo: '{"arch":"x86_64","features":["sse2"]}',
  supportedInstances: [[one.arch, 'qemu', 'hvm']],
  stats: { gpu: one.gpu },
  diskFreeGiB: one.disk,
  inventories: {
    VCPU: { total: one.vcpus, reserved: 0, ratio: 2, capacity: one.vcpus * 2, used: one.used },
    MEMORY_MB: { total: one.memory, reserved: 256, ratio: 1.5, capacity: Math.floor((one.memory - 256) * 1.5), used: one.used * 256 },
    DISK_GB: { total: one.disk, reserved: 0, ratio: 1, capacity: one.disk, used: one.used },
  },
});
/** Puts a random host into the columns. */
export function put(columns: HostColumns, at: number, one: RandomHost): void {
  const host = putHost(columns, columns.byName, factsOf(at, one));
  host.busy = one.numIoOps;
  host.join(one.aggregates.map((aggregate, id) => ({ id, uuid: '', name: '', hosts: [host.host], ...aggregate })));
}
export function columnsOf(hosts: readonly RandomHost[]): HostColumns {
  const columns = emptyColumns();
  for (const [at, one] of hosts.entries()) put(columns, at, one);
  return columns;
}

export const randomRequest: fc.Arbitrary<Partial<HostRequest>> = fc.record({
  projectId: fc.constantFrom('p', 'q'),
  amounts: fc.record({
    VCPU: fc.integer({ min: 0, max: 4 }),
    MEMORY_MB: fc.constantFrom(0, 256, 512, 2048),
    DISK_GB: fc.integer({ min: 0, max: 4 }),
  }),
  availabilityZone: fc.constantFrom(null, null, null, 'nova', 'east', 'west'),
  extraSpecs: fc.constantFrom<Record<string, string>>(
    {},
    {},
    { 'capabilities:gpu': 'v100' },
    { 'capabilities:gpu': 's== a100' },
    { 'capabilities:free_ram_mb': '>= 2048' },
    { 'hw:cpu_policy': 'shared' },
    { ssd: 'true' },
    { 'capabilities:gpu': '>= 5' },
  ),
  imageProperties: fc.constantFrom<Record<string, string>>({}, {}, { hw_architecture: 'x86_64' }, { hw_architecture: 'aarch64' }),
  excludedHosts: fc.constantFrom<string[]>([], [], [], ['host-0', 'host-3']),
  requestedHost: fc.constantFrom(null, null, null, null, null, 'HOST-1'),
  forcedHost: fc.constantFrom(null, null, null, null, null, 'host-2'),
  group: fc.constantFrom(
    null,
    null,
    null,
    { uuid: GROUP, policy: 'anti-affinity', maxPerHost: 1, hosts: { 'host-1': 1, 'host-4': 2 } },
    { uuid: GROUP, policy: 'affinity', maxPerHost: 1, hosts: { 'host-1': 2, 'host-2': 1 } },
    { uuid: GROUP, policy: 'soft-affinity', maxPerHost: 1, hosts: { 'host-1': 2, 'host-2': 1 } },
    { uuid: GROUP, policy: 'soft-anti-affinity', maxPerHost: 1, hosts: { 'host-1': 2, 'host-2': 1 } },
  ),
  limit: fc.constantFrom(1, 3, 5, 50),
});
export const request = (more: Partial<HostRequest> = {}): HostRequest => ({
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
  group: null,
  schedulerHints: {},
  rebuild: false,
  limit: 5,
  ...more,
});
export const askOf = (one: HostRequest, now = NOW): LiveAsk => ({
  request: one,
  wish: wishOf(one, new Map(Object.entries(one.group?.hosts ?? {}))),
  now,
  options: filterDefaults,
});
