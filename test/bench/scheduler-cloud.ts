import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { HostRequest } from '../../src/bus/contracts/scheduler.ts';
import type { HostFacts } from '../../src/db/tables/compute/hosts.ts';
import type { Filter, LiveAsk } from '../../src/services/scheduler/filter.ts';
import { AvailabilityZoneFilter } from '../../src/services/scheduler/filters/aggregate-filters.ts';
import { ComputeCapabilitiesFilter } from '../../src/services/scheduler/filters/compute-capabilities-filter.ts';
import { ComputeFilter } from '../../src/services/scheduler/filters/compute-filter.ts';
import { RetryFilter } from '../../src/services/scheduler/filters/host-filters.ts';
import { ImagePropertiesFilter } from '../../src/services/scheduler/filters/image-properties-filter.ts';
import { DiskFilter, RamFilter } from '../../src/services/scheduler/filters/resource-filters.ts';
import { ServerGroupAffinityFilter, ServerGroupAntiAffinityFilter } from '../../src/services/scheduler/filters/server-group-filters.ts';
import { addPending, emptyColumns, type HostColumns, putHost } from '../../src/services/scheduler/host-columns.ts';
import type { Host } from '../../src/services/scheduler/live-host.ts';
import { wishOf } from '../../src/services/scheduler/live-wish.ts';
import { filterDefaults, type Rules, rulesOf, schedulerDefaults } from '../../src/services/scheduler/options.ts';
import { seeded } from '../../src/services/scheduler/random.ts';
import { weighers } from '../../src/services/scheduler/weighers/list.ts';
import type { Json } from '../vectors/vector-file.ts';

const SHARED = join(process.env.KILONOVA_SHARED ?? join(import.meta.dirname, '../../../shared'), 'scheduler-vectors/bench');

/** The filters of the old default, and of today's. */
export const filterLists: Readonly<Record<'classic9' | 'default5', readonly Filter[]>> = {
  classic9: [
    RetryFilter,
    AvailabilityZoneFilter,
    RamFilter,
    DiskFilter,
    ComputeFilter,
    ComputeCapabilitiesFilter,
    ImagePropertiesFilter,
    ServerGroupAntiAffinityFilter,
    ServerGroupAffinityFilter,
  ],
  default5: [ComputeFilter, ComputeCapabilitiesFilter, ImagePropertiesFilter, ServerGroupAntiAffinityFilter, ServerGroupAffinityFilter],
};
/** All weighers with their default multipliers. */
export const rulesWith = (filters: readonly Filter[]): Rules => ({
  ...rulesOf({ ...schedulerDefaults, name: 'bench', host: 'bench', seed: 1 }),
  filters,
  weighers: weighers.map((weigher) => ({ weigher, multiplier: weigher.multiplier })),
});

export interface BenchCloud {
  readonly columns: HostColumns;
  readonly asks: readonly LiveAsk[];
  readonly from: string;
}

/** The inputs that the real scheduler was timed on; null where they are not. */
export function sharedCloud(hosts: number): BenchCloud | null {
  const path = join(SHARED, `hosts-${hosts}.json.gz`);
  if (!existsSync(path)) return null;
  const file = JSON.parse(gunzipSync(readFileSync(path)).toString()) as { now: string; hosts: Json[]; requests: Json[] }; // format schedgold/bench-1
  return cloudOf(file.hosts, file.requests, Date.parse(file.now) * 1000, 'shared');
}

/** A cloud of the same kind: three sizes, ten servers a host, one or two aggregates, three zones, all up. */
export function ownCloud(hosts: number): BenchCloud {
  const random = seeded(hosts);
  const among = (count: number) => Math.floor(random() * count);
  const list = Array.from({ length: hosts }, (_, at): Json => {
    const size = among(3);
    const [memory, disk, cpus] = [131_072 << size, 1000 << size, [64, 96, 128][size]!];
    return {
      host: `cmp${String(at).padStart(6, '0')}`,
      uuid: `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
      total_usable_ram_mb: memory,
      free_ram_mb: memory - 10 * among(memory / 12),
      total_usable_disk_gb: disk,
      free_disk_mb: disk * 1024 - 10 * among((disk * 1024) / 12),
      vcpus_total: cpus,
      vcpus_used: 10 * among(cpus / 3),
      cpu_allocation_ratio: 4,
      num_io_ops: Math.max(0, among(5) - 2),
      aggregates: [{ metadata: { availability_zone: `az${at % 3}` } }, ...(at % 4 === 0 ? [{ metadata: { ssd: 'true' } }] : [])],
    };
  });
  const requests = Array.from({ length: 240 }, (): Json => {
    const size = among(3);
    return {
      flavor: { memory_mb: 2048 << size, vcpus: 1 << size, root_gb: 20 << size },
      image: { properties: random() < 0.5 ? { hw_architecture: 'x86_64', hw_disk_bus: 'virtio' } : {} },
      ...(random() < 1 / 3 ? { availability_zone: `az${among(3)}` } : {}),
    };
  });
  return cloudOf(list, requests, 1_780_000_000_000_000, 'own');
}

function cloudOf(hosts: readonly Json[], requests: readonly Json[], now: number, from: string): BenchCloud {
  const columns = emptyColumns();
  const aggregates = new Map<string, Host['aggregates']>();
  for (const one of hosts) {
    const host = putHost(columns, columns.byName, factsOf(one, now));
    const text = JSON.stringify(one.aggregates);
    aggregates.set(text, aggregates.get(text) ?? one.aggregates);
    host.join(aggregates.get(text) ?? []);
    host.busy = one.num_io_ops;
  }
  const asks = requests.map(({ flavor, image, availability_zone: zone }, at): LiveAsk => {
    const request: HostRequest = {
      serverUuid: `00000000-0000-4000-9000-${String(at).padStart(12, '0')}`,
      projectId: 'p',
      amounts: { VCPU: flavor.vcpus, MEMORY_MB: flavor.memory_mb, DISK_GB: flavor.root_gb },
      flavor: null,
      image: null,
      extraSpecs: {},
      imageProperties: image.properties,
      availabilityZone: zone ?? null,
      forcedHost: null,
      forcedNode: null,
      requestedHost: null,
      requestedHypervisor: null,
      excludedHosts: [],
      group: null,
      schedulerHints: {},
      rebuild: false,
      limit: 5,
    };
    return { request, wish: wishOf(request, new Map()), now, options: filterDefaults };
  });
  return { columns, asks, from };
}

/** What an agent would have reported of such a host. */
function factsOf(one: Json, now: number): HostFacts {
  const zone = (one.aggregates as { metadata: Record<string, string> }[]).find(({ metadata }) => metadata.availability_zone);
  const [memory, disk] = [one.total_usable_ram_mb, one.total_usable_disk_gb];
  const cpuRatio = one.cpu_allocation_ratio;
  const usedDisk = disk - one.free_disk_mb / 1024;
  return {
    host: one.host,
    node: one.host,
    uuid: one.uuid,
    zone: zone?.metadata.availability_zone ?? 'nova',
    disabled: false,
    disabledReason: null,
    forcedDown: false,
    lastSeenAt: now,
    hostIp: '10.0.0.1',
    hypervisorType: 'QEMU',
    hypervisorVersion: 8_002_000,
    cpuInfo: one.cpu_info ?? '{"arch":"x86_64"}',
    supportedInstances: one.supported_instances ?? [
      ['i686', 'qemu', 'hvm'],
      ['x86_64', 'kvm', 'hvm'],
    ],
    stats: one.stats ?? {},
    diskFreeGiB: one.free_disk_mb / 1024,
    inventories: {
      VCPU: { total: one.vcpus_total, reserved: 0, ratio: cpuRatio, capacity: one.vcpus_total * cpuRatio, used: one.vcpus_used },
      MEMORY_MB: { total: memory, reserved: 0, ratio: 1, capacity: memory, used: memory - one.free_ram_mb },
      DISK_GB: { total: disk, reserved: 0, ratio: 1, capacity: disk, used: usedDisk },
    },
  };
}

/** What a chosen host is charged, as by Nova's HostState.consume_from_request; with -1 it is given back. */
export function consume(columns: HostColumns, host: Host, { request }: LiveAsk, sign: 1 | -1): void {
  host.busy += sign;
  addPending(columns, host.index, request.amounts, sign);
}
