import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { defaultFilters, filters } from '../../src/services/scheduler/filters/list.ts';
import { OWN_DATA, runFile, vectorFiles } from './run-vectors.ts';

/** Files whose every case must pass, with the number of their cases. */
const EXACT: Readonly<Record<string, number>> = {
  consume: 77,
  e2e: 42,
  extra_specs_match: 280,
  'filter.AggregateCoreFilter': 50,
  'filter.AggregateDiskFilter': 50,
  'filter.AggregateImagePropertiesIsolation': 81,
  'filter.AggregateInstanceExtraSpecsFilter': 77,
  'filter.AggregateIoOpsFilter': 50,
  'filter.AggregateMultiTenancyIsolation': 50,
  'filter.AggregateNumInstancesFilter': 50,
  'filter.AggregateRamFilter': 50,
  'filter.AggregateTypeAffinityFilter': 52,
  'filter.AllHostsFilter': 50,
  'filter.AvailabilityZoneFilter': 50,
  'filter.ComputeCapabilitiesFilter': 175,
  'filter.ComputeFilter': 69,
  'filter.CoreFilter': 51,
  'filter.DifferentHostFilter': 50,
  'filter.DiskFilter': 51,
  'filter.ExactCoreFilter': 50,
  'filter.ExactDiskFilter': 50,
  'filter.ExactRamFilter': 50,
  'filter.ImagePropertiesFilter': 111,
  'filter.IoOpsFilter': 50,
  'filter.IsolatedHostsFilter': 52,
  'filter.JsonFilter': 119,
  'filter.MetricsFilter': 50,
  'filter.NUMATopologyFilter': 140,
  'filter.NumInstancesFilter': 50,
  'filter.PciPassthroughFilter': 98,
  'filter.RamFilter': 51,
  'filter.RetryFilter': 50,
  'filter.SameHostFilter': 50,
  'filter.ServerGroupAffinityFilter': 50,
  'filter.ServerGroupAntiAffinityFilter': 68,
  'filter.SimpleCIDRAffinityFilter': 52,
  'filter.TrustedFilter': 50,
  'filter.TypeAffinityFilter': 50,
  get_filtered_hosts: 91,
  host_state_update: 63,
  normalize: 70,
  weigh_all: 70,
  'weigher.BuildFailureWeigher': 50,
  'weigher.CPUWeigher': 50,
  'weigher.CrossCellWeigher': 50,
  'weigher.DiskWeigher': 50,
  'weigher.HypervisorVersionWeigher': 50,
  'weigher.ImagePropertiesWeigher': 51,
  'weigher.IoOpsWeigher': 50,
  'weigher.MetricsWeigher': 52,
  'weigher.NumInstancesWeigher': 50,
  'weigher.PCIWeigher': 50,
  'weigher.RAMWeigher': 57,
  'weigher.ServerGroupSoftAffinityWeigher': 51,
  'weigher.ServerGroupSoftAntiAffinityWeigher': 50,
};
for (const [name, cases] of Object.entries(EXACT))
  test(`${name}: ${cases} verdicts of the real Nova`, () => {
    const result = runFile(join(OWN_DATA, `${name}.json.gz`));
    assert.deepEqual(result, { name, passed: cases, failed: 0, differences: [], missing: null });
  });

test('each vector file is in the list above', () => {
  const names = vectorFiles(OWN_DATA).flatMap((path) => runFile(path)?.name ?? []);
  assert.deepEqual(names.sort(), Object.keys(EXACT).sort());
});

test('the live cloud offers exact filters only', () => {
  for (const name of [...Object.keys(filters), ...defaultFilters]) assert.ok(`filter.${name}` in EXACT, name);
});
