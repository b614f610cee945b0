import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostRequest } from '../../src/bus/contracts/scheduler.ts';
import { writeChange } from '../../src/db/tables/compute/changes.ts';
import { newUuid } from '../../src/lib/ids.ts';
import type { SchedulerOptions } from '../../src/services/scheduler/options.ts';
import { prefilterDefaults } from '../../src/services/scheduler/prefilters.ts';
import { type HouseOptions, openHouse, projectId } from '../core-house.ts';

// What live hosts carry besides amounts: each filter and weigher that needs it is asked of a real house with fake hosts.

type House = Awaited<ReturnType<typeof openHouse>>;
const request = (more: Partial<HostRequest> = {}): HostRequest => ({
  serverUuid: newUuid(),
  projectId,
  amounts: { VCPU: 1, MEMORY_MB: 512, DISK_GB: 1 },
  flavor: { id: '1', name: 'm1.tiny', rootGiB: 1, ephemeralGiB: 0, swapMiB: 0 },
  image: { id: '7c1b4e62-1f63-4a3a-9d3f-53c1f3a2f001', diskFormat: 'raw' },
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
  limit: 10,
  ...more,
});
const ask = async (house: House, more: Partial<HostRequest> = {}) => {
  const wish = request(more);
  const [answer] = await house.schedulers[0]!.select([wish], true);
  // Asked in vain under the same uuid: the choice counts no more.
  await house.schedulers[0]!.select([{ ...wish, requestedHost: 'nowhere' }], false);
  return answer!;
};
/** Hosts that are left, in alphabetical order. */
const left = async (house: House, more: Partial<HostRequest> = {}) => {
  const { hosts, failed } = await ask(house, more);
  return failed ? failed.message : hosts.map((one) => one.host).sort();
};
async function withHouse(options: HouseOptions, work: (house: House) => Promise<void>) {
  const house = await openHouse({ hosts: 3, ...options });
  try {
    await work(house);
  } finally {
    await house.close();
  }
}
const enabled = (...enabledFilters: string[]): { scheduler: Partial<SchedulerOptions> } => ({ scheduler: { enabledFilters } });
/** Writes an aggregate and its hosts as the API does. */
async function aggregate(house: House, metadata: Record<string, string>, hosts: readonly string[]) {
  await house.db.transaction(async (tx) => {
    const uuid = newUuid();
    const row = { uuid, name: uuid, metadata: JSON.stringify(metadata), created_at: 1, updated_at: null };
    await tx.insertInto('aggregates').values(row).execute();
    const { id } = await tx.selectFrom('aggregates').select('id').where('uuid', '=', uuid).executeTakeFirstOrThrow();
    for (const host of hosts) await tx.insertInto('aggregate_hosts').values({ aggregate_id: id, host }).execute();
    await writeChange(tx, { noun: 'aggregate', key: uuid, what: 'created', projectId: null, body: {}, at: 1 });
  });
}

test('aggregates: metadata, zones and ratios are seen as soon as they are written', async () => {
  await withHouse(
    enabled('AggregateInstanceExtraSpecsFilter', 'AggregateMultiTenancyIsolation', 'AggregateTypeAffinityFilter', 'AvailabilityZoneFilter'),
    async (house) => {
      assert.deepEqual(await left(house), ['host-0', 'host-1', 'host-2']);
      await aggregate(house, { ssd: 'true', availability_zone: 'east' }, ['host-1', 'host-2']);
      assert.deepEqual(await left(house, { extraSpecs: { 'aggregate_instance_extra_specs:ssd': 'true' } }), ['host-1', 'host-2']);
      assert.deepEqual(await left(house, { availabilityZone: 'east' }), ['host-1', 'host-2']);
      assert.deepEqual(await left(house, { availabilityZone: 'nova' }), ['host-0']);
      assert.deepEqual(await left(house, { availabilityZone: 'west' }), []);
      await aggregate(house, { filter_tenant_id: 'others' }, ['host-0']);
      await aggregate(house, { instance_type: 'm1.huge' }, ['host-1']);
      assert.deepEqual(await left(house), ['host-2']);
    },
  );
});

test('servers on hosts: same and different host, their number, their flavor, those being built', async () => {
  await withHouse(enabled('SameHostFilter', 'DifferentHostFilter'), async (house) => {
    const servers = await house.create({ count: 2 });
    const hosts = await Promise.all(servers.map(async (uuid) => (await house.settled(uuid))?.host));
    assert.deepEqual(await left(house, { schedulerHints: { same_host: [servers[0]] } }), [hosts[0]]);
    const others = (await left(house, { schedulerHints: { different_host: servers } })) as string[];
    assert.ok(others.length > 0 && !others.some((name) => hosts.includes(name)));
    await house.delete(servers[0]!);
    await house.until(
      () => house.server(servers[0]!),
      (server) => server?.deleted === true,
    );
    assert.deepEqual(await left(house, { schedulerHints: { same_host: [servers[0]] } }), []);
  });
  const crowd = { enabledFilters: ['NumInstancesFilter', 'TypeAffinityFilter'], filterOptions: { maxInstancesPerHost: 2 } };
  await withHouse({ hosts: 1, scheduler: crowd }, async (house) => {
    const first = await house.create({ count: 2 });
    for (const uuid of first) assert.equal((await house.settled(uuid))?.vmState, 'active');
    const { hosts, reasons } = await ask(house);
    assert.deepEqual(hosts, []);
    assert.deepEqual(
      reasons.filters.filter((one) => one.after < one.before).map((one) => one.name),
      ['NumInstancesFilter'],
    );
    await house.delete(first[0]!);
    await house.until(
      () => house.server(first[0]!),
      (server) => server?.deleted === true,
    );
    assert.deepEqual(await left(house), ['host-0']);
    assert.deepEqual(await left(house, { flavor: { id: '2', name: 'other', rootGiB: 1, ephemeralGiB: 0, swapMiB: 0 } }), []);
  });
});

test('a scheduler that starts later knows the same', async () => {
  await withHouse(enabled('SameHostFilter', 'AggregateInstanceExtraSpecsFilter'), async (house) => {
    const [uuid = ''] = await house.create();
    const host = (await house.settled(uuid))?.host;
    await aggregate(house, { ssd: 'true' }, ['host-0', 'host-1', 'host-2']);
    const { startScheduler } = await import('../../src/services/scheduler/start.ts');
    const { schedulerDefaults } = await import('../../src/services/scheduler/options.ts');
    const { systemClock } = await import('../../src/lib/clock.ts');
    const { silentLog } = await import('../../src/lib/log.ts');
    const second = await startScheduler({
      db: house.db,
      bus: house.bus,
      clock: systemClock,
      log: silentLog,
      options: {
        ...schedulerDefaults,
        name: 'late',
        host: 'late',
        seed: 1,
        ...enabled('SameHostFilter', 'AggregateInstanceExtraSpecsFilter').scheduler,
      },
    });
    house.schedulers.push(second);
    const [answer] = await second.select([request({ schedulerHints: { same_host: [uuid] }, extraSpecs: { ssd: 'true' } })], false);
    assert.deepEqual(
      answer?.hosts.map((one) => one.host),
      [host],
    );
  });
});

test('hosts where builds fail come last, until one succeeds there', async () => {
  await withHouse({ hosts: 2 }, async (house) => {
    const order = async () => (await ask(house)).hosts.map((one) => one.host);
    assert.deepEqual(await order(), ['host-0', 'host-1']);
    const [uuid = ''] = await house.create({ metadata: { 'fake:spawn': 'fail-once' } });
    const there = (await house.settled(uuid))?.host;
    assert.equal(there, 'host-1');
    await house.delete(uuid);
    await house.quiet();
    assert.deepEqual(await order(), ['host-1', 'host-0']);
    const [forced = ''] = await house.create({ forcedHost: 'host-0' });
    assert.equal((await house.settled(forced))?.vmState, 'active');
    await house.delete(forced);
    await house.quiet();
    assert.deepEqual(await order(), ['host-0', 'host-1']);
  });
});

test('metrics that agents measure: the filter wants them all, the weigher orders by them', async () => {
  const metrics = (value: number) => ({ attributes: { metrics: [{ name: 'cpu.percent', value }] } });
  const options = { enabledFilters: ['MetricsFilter'], filterOptions: { metricsWeights: ['cpu.percent=-1.0'] } };
  await withHouse({ hosts: 0, scheduler: options }, async (house) => {
    await house.startAgent('busy', {}, metrics(0.9));
    await house.startAgent('idle', {}, metrics(0.1));
    await house.startAgent('silent');
    assert.deepEqual(
      (await ask(house)).hosts.map((one) => one.host),
      ['idle', 'busy'],
    );
  });
});

const cell = (id: number, cpus: readonly number[]) => ({
  id,
  cpuset: cpus,
  pcpuset: cpus,
  memory: 4096,
  siblings: cpus.map((cpu) => [cpu]),
  mempages: [],
  socket: 0,
});
const numa = { attributes: { numa_topology: { cells: [cell(0, [0, 1]), cell(1, [2, 3])] } } };

test('memory cells: pinned servers take CPUs of the cells, one after the other', async () => {
  await withHouse({ hosts: 0, ...enabled('NUMATopologyFilter') }, async (house) => {
    await house.startAgent('cells', {}, numa);
    await house.startAgent('plain');
    const pinned = { extraSpecs: { 'hw:cpu_policy': 'dedicated' }, amounts: { VCPU: 2, MEMORY_MB: 512, DISK_GB: 1 } };
    assert.deepEqual(await left(house), ['cells', 'plain']);
    assert.deepEqual(await left(house, pinned), ['cells']);
    const servers = await house.create({ count: 3, vcpus: 2, extraSpecs: pinned.extraSpecs });
    const states = await Promise.all(servers.map(async (uuid) => (await house.settled(uuid))?.vmState));
    assert.deepEqual(states.sort(), ['active', 'active', 'error']);
    assert.deepEqual(await left(house, pinned), []);
  });
});

test('devices: as many servers as there are', async () => {
  const pools = [{ vendor_id: '10de', product_id: '20b0', numa_node: null, count: 2, dev_type: 'type-PCI' }];
  const pciAliases = [{ name: 'gpu', specs: [{ vendor_id: '10de', dev_type: 'type-PCI' }], numaPolicy: null }];
  await withHouse({ hosts: 0, scheduler: { enabledFilters: ['PciPassthroughFilter'], pciAliases } }, async (house) => {
    await house.startAgent('gpus', {}, { attributes: { pci_device_pools: pools } });
    await house.startAgent('plain');
    const extraSpecs = { 'pci_passthrough:alias': 'gpu:1' };
    const servers = await house.create({ count: 3, extraSpecs });
    const states = await Promise.all(servers.map(async (uuid) => (await house.settled(uuid))?.vmState));
    assert.deepEqual(states.sort(), ['active', 'active', 'error']);
    assert.match(String(await left(house, { extraSpecs: { 'pci_passthrough:alias': 'moon:1' } })), /the PCI alias moon is not defined/);
  });
});

test('prefilters: traits, disabled services, isolated aggregates, tenants, image types; forced hosts too', async () => {
  const prefilters = { ...prefilterDefaults, isolatedAggregates: true, limitTenants: true, imageTypeSupport: true };
  await withHouse({ scheduler: { prefilters } }, async (house) => {
    assert.deepEqual(await left(house, { extraSpecs: { 'trait:HW_CPU_X86_SSE2': 'required', 'trait:OWNER_NOVA': 'required' } }), [
      'host-0',
      'host-1',
      'host-2',
    ]);
    assert.deepEqual(await left(house, { extraSpecs: { 'trait:HW_CPU_X86_SSE2': 'forbidden' } }), []);
    assert.deepEqual(await left(house, { imageProperties: { 'trait:HW_CPU_X86_AVX512F': 'required' } }), []);
    assert.deepEqual(await left(house, { image: { id: 'i', diskFormat: 'vhdx' } }), []);
    await aggregate(house, { 'trait:CUSTOM_WINDOWS': 'required' }, ['host-0']);
    assert.deepEqual(await left(house), ['host-1', 'host-2']);
    await aggregate(house, { filter_tenant_id_1: projectId }, ['host-0', 'host-1']);
    assert.deepEqual(await left(house), ['host-1']);
    assert.deepEqual(await left(house, { projectId: 'f'.repeat(32) }), ['host-1', 'host-2']);
    await house.db.transaction((tx) => tx.updateTable('services').set({ disabled: 1 }).where('host', '=', 'host-2').execute());
    assert.deepEqual(await left(house, { projectId: 'f'.repeat(32) }), ['host-1']);
    assert.deepEqual(await left(house, { projectId: 'f'.repeat(32), forcedHost: 'host-2' }), []);
  });
  await withHouse(
    { scheduler: { prefilters: { ...prefilterDefaults, limitTenants: true, tenantAggregateRequired: true } } },
    async (house) => {
      const { hosts, reasons } = await ask(house);
      assert.deepEqual(hosts, []);
      assert.deepEqual(reasons.filters.at(-1)?.reasons, [{ why: 'no aggregate is for the project', hosts: 3 }]);
    },
  );
});

test('what only some machines can do for a guest is asked of their traits, and the refusal names it', async () => {
  await withHouse({}, async (house) => {
    const all = ['host-0', 'host-1', 'host-2'];
    assert.deepEqual(await left(house, { imageProperties: { hw_firmware_type: 'uefi', os_secure_boot: 'required' } }), all);
    assert.deepEqual(await left(house, { extraSpecs: { 'quota:cpu_shares': '10', 'quota:vif_inbound_average': '10' } }), all);
    const refused: [Partial<HostRequest>, string][] = [
      [{ extraSpecs: { 'hw:tpm_version': '2.0', 'hw:tpm_model': 'tpm-crb' } }, 'COMPUTE_SECURITY_TPM_2_0'],
      [{ imageProperties: { hw_sound_model: 'ich9' } }, 'COMPUTE_SOUND_MODEL_ICH9'],
      [{ extraSpecs: { 'hw:viommu_model': 'intel' } }, 'COMPUTE_VIOMMU_MODEL_INTEL'],
      [{ extraSpecs: { 'hw:mem_encryption': 'True' } }, 'HW_CPU_X86_AMD_SEV'],
      [{ extraSpecs: { 'hw:maxphysaddr_mode': 'passthrough' } }, 'COMPUTE_ADDRESS_SPACE_PASSTHROUGH'],
    ];
    for (const [more, trait] of refused) {
      const { hosts, reasons } = await ask(house, more);
      assert.deepEqual(hosts, []);
      assert.deepEqual(reasons.filters.at(-1)?.reasons, [{ why: `it lacks the trait ${trait}`, hosts: 3 }]);
    }
  });
});

test('bad input fails its request with the cause, and the scheduler lives', async () => {
  await withHouse(enabled('JsonFilter', 'ComputeCapabilitiesFilter', 'SimpleCIDRAffinityFilter', 'SameHostFilter'), async (house) => {
    const bad: [Partial<HostRequest>, RegExp][] = [
      [{ schedulerHints: { query: '[">=", "$free_ram_mb"' } }, /JsonFilter failed/],
      [{ schedulerHints: { query: '["sudo", 1]' } }, /JsonFilter failed: there is no operator "sudo"/],
      [{ schedulerHints: { query: 5 } }, /JsonFilter failed: the query is no JSON text/],
      [{ schedulerHints: { build_near_host_ip: 'moon' } }, /SimpleCIDRAffinityFilter failed: moon\/24 is no network/],
      [
        { extraSpecs: { 'capabilities:hypervisor_version': '>= new' } },
        /ComputeCapabilitiesFilter failed: could not convert string to float/,
      ],
      [{ extraSpecs: { 'hw:numa_nodes': '0' } }, /No host can be chosen for what flavor and image ask for: hw:numa_nodes is 0/],
      [{ extraSpecs: { 'hw:cpu_policy': 'mine' } }, /hw:cpu_policy is mine; it may be dedicated, shared, mixed/],
      [{ extraSpecs: { 'hw:numa_nodes': '1', 'hw:numa_cpus.0': '0-999999999', 'hw:numa_mem.0': '512' } }, /more CPUs than any host has/],
      [{ imageProperties: { 'hw_numa_mem.0': 'much' } }, /invalid literal for int/],
    ];
    for (const [more, sentence] of bad) assert.match(String(await left(house, more)), sentence);
    assert.deepEqual(await left(house, { schedulerHints: { cidr: 7, group: [[]], same_host: [] } }), ['host-0', 'host-1', 'host-2']);
    assert.deepEqual(await left(house), ['host-0', 'host-1', 'host-2']);
  });
});

test('equal hosts in random order, or one of the best by chance, as the seed says', async () => {
  await withHouse({ scheduler: { shuffleBest: true, seed: 3 } }, async (house) => {
    const firsts = new Set<string>();
    for (let at = 0; at < 40; at++) {
      const one = request();
      const [answer] = await house.schedulers[0]!.select([one], false);
      firsts.add(answer!.hosts[0]!.host);
      // Chosen again and again under one uuid: nothing is left counted.
      await house.schedulers[0]!.select([{ ...one, requestedHost: 'nowhere' }], false);
    }
    assert.equal(firsts.size, 3);
  });
});

test('a service that was switched off takes nothing from that very moment on, before the feed tells of it', async () => {
  await withHouse({}, async (house) => {
    const next = async () => (await house.schedulers[0]!.select([request()], false))[0]!.hosts.map((one) => one.host).sort();
    const all = await next();
    assert.equal(all.length, 3);
    const [off, ...others] = all;
    await house.db.transaction(async (tx) => {
      await tx.updateTable('services').set({ disabled: 1 }).where('host', '=', off!).execute();
      await writeChange(tx, { noun: 'service', key: off!, what: 'updated', projectId: null, body: {}, at: 1 });
    });
    assert.deepEqual(await next(), others);
  });
});
