import assert from 'node:assert/strict';
import { test } from 'node:test';
import { smallCloud } from './small-cloud.ts';

// Both lists of filters that older releases had by default, verbatim, with the claim of those releases.
const SIZES = `[kilonova]
fake_host_vcpus = 8
fake_host_memory_mb = 10240
fake_host_disk_gb = 100
[quota]
instances = -1
cores = -1
ram = -1
`;
const RAM_AND_DISK =
  'RetryFilter,AvailabilityZoneFilter,RamFilter,DiskFilter,ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter';
const RAM_AND_CORES =
  'RetryFilter,AvailabilityZoneFilter,RamFilter,ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter,CoreFilter';

test('Ram and Disk without Core: 10 GB of memory count as 15, disk as itself, CPUs are not counted', async () => {
  const cloud = await smallCloud({
    config: `[DEFAULT]\nscheduler_default_filters = ${RAM_AND_DISK}\nreserved_host_memory_mb = 0\n${SIZES}`,
  });
  try {
    assert.equal(cloud.said.filter((line) => line.includes('scheduler_default_filters')).length, 1);
    assert.deepEqual(cloud.counts(await cloud.create({ ram: 1024, disk: 1 }, 16)), { active: 15, error: 1 });
    await cloud.deleteAll();
    const [wide] = await cloud.create({ ram: 512, vcpus: 100, disk: 40 });
    assert.equal(wide.status, 'ACTIVE');
    assert.deepEqual(cloud.counts(await cloud.create({ disk: 40 }, 2)), { active: 1, error: 1 });
  } finally {
    await cloud.close();
  }
});

test('Ram and Core without Disk: 8 cores count as 128, a server has no more than its host, disk is not counted', async () => {
  const cloud = await smallCloud({
    config: `[DEFAULT]\nscheduler_default_filters = ${RAM_AND_CORES}\nreserved_host_memory_mb = 0\n${SIZES}`,
  });
  try {
    assert.deepEqual(cloud.counts(await cloud.create({ ram: 64, vcpus: 8, disk: 1000 }, 17)), { active: 16, error: 1 });
    const [wide] = await cloud.create({ ram: 64, vcpus: 9, disk: 1 });
    assert.match(wide.fault.message, /No valid host was found.*VCPU/);
  } finally {
    await cloud.close();
  }
});

test('the ratio of the config counts: 4 cores at ratio 2 take at most 8', async () => {
  const cloud = await smallCloud({
    config: `[DEFAULT]\nscheduler_default_filters = ${RAM_AND_CORES}\ncpu_allocation_ratio = 2.0\n${SIZES.replace('vcpus = 8', 'vcpus = 4')}`,
  });
  try {
    assert.deepEqual(cloud.counts(await cloud.create({ vcpus: 2 }, 5)), { active: 4, error: 1 });
  } finally {
    await cloud.close();
  }
});

test("today's filters: every class is capped at today's ratios", async () => {
  const cloud = await smallCloud({ config: `[DEFAULT]\nreserved_host_memory_mb = 0\n${SIZES}` });
  try {
    assert.deepEqual(cloud.counts(await cloud.create({ ram: 1024 }, 11)), { active: 10, error: 1 });
  } finally {
    await cloud.close();
  }
});
