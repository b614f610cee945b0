import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readConfig } from '../../src/cloud/config.ts';
import { conductorOptions, schedulerOptions } from '../../src/cloud/part-options.ts';
import { rulesOf } from '../../src/services/scheduler/options.ts';
import { smallCloud } from './small-cloud.ts';

const schedulerOf = (text: string) => rulesOf(schedulerOptions(readConfig(text).settings, 'h'));
const names = (list: readonly { readonly name: string }[]) => list.map((one) => one.name);
const weighersOf = (text: string) => schedulerOf(text).weighers.map((one) => one.weigher.name);

describe('options of the scheduler by their old names', () => {
  test('are taken, with one warning each', () => {
    const config = readConfig(`[DEFAULT]
scheduler_driver = nova.scheduler.filter_scheduler.FilterScheduler
scheduler_available_filters = nova.scheduler.filters.standard_filters
scheduler_available_filters = nova.scheduler.filters.ram_filter.RamFilter
scheduler_default_filters = RamFilter, ComputeFilter
scheduler_weight_classes = nova.scheduler.weights.ram.RAMWeigher, nova.scheduler.weights.disk.DiskWeigher
scheduler_max_attempts = 5
scheduler_host_subset_size = 2
ram_weight_multiplier = -1.0
max_instances_per_host = 7
isolated_hosts = a, b
ram_allocation_ratio = 1.2
`);
    const old = (name: string) => config.warnings.filter((line) => line.includes(`[DEFAULT] ${name} `)).length;
    for (const name of [
      'scheduler_driver',
      'scheduler_available_filters',
      'scheduler_default_filters',
      'scheduler_weight_classes',
      'scheduler_max_attempts',
      'scheduler_host_subset_size',
      'ram_weight_multiplier',
      'max_instances_per_host',
      'isolated_hosts',
    ])
      assert.equal(old(name), 1, name);
    const options = schedulerOptions(config.settings, 'h');
    assert.deepEqual(options.available, ['nova.scheduler.filters.standard_filters', 'nova.scheduler.filters.ram_filter.RamFilter']);
    const rules = rulesOf(options);
    assert.deepEqual(names(rules.filters), ['RamFilter', 'ComputeFilter']);
    assert.deepEqual(
      rules.weighers.map((one) => [one.weigher.name, one.multiplier]),
      [
        ['RAMWeigher', -1],
        ['DiskWeigher', 1],
      ],
    );
    assert.equal(rules.subset, 2);
    assert.equal(rules.options.maxInstancesPerHost, 7);
    assert.deepEqual(rules.options.isolatedHosts, ['a', 'b']);
    assert.deepEqual(rules.enforced, new Set(['MEMORY_MB']));
    const conductor = conductorOptions(config.settings, { host: 'h', crashAt: null, given: config.given });
    assert.deepEqual([conductor.maxAttempts, conductor.ratios], [5, { vcpu: 16, memory: 1.2, disk: 1 }]);
  });

  test('today nothing old is asked for: five filters, every weigher, initial ratios, every class capped', () => {
    const config = readConfig('');
    const rules = rulesOf(schedulerOptions(config.settings, 'h'));
    assert.equal(rules.filters.length, 5);
    assert.equal(rules.weighers.length, 13);
    assert.equal(rules.enforced, null);
    assert.deepEqual(conductorOptions(config.settings, { host: 'h', crashAt: null, given: config.given }).ratios, {
      vcpu: 4,
      memory: 1,
      disk: 1,
    });
  });

  test('the new names are taken without a word', () => {
    const config = readConfig(
      '[filter_scheduler]\nenabled_filters = JsonFilter\n[scheduler]\nmax_attempts = 1\n[metrics]\nweight_setting = a=1\n',
    );
    assert.deepEqual(config.warnings, []);
    assert.deepEqual(names(rulesOf(schedulerOptions(config.settings, 'h')).filters), ['JsonFilter']);
  });

  test('what is not there is refused, with those there are', () => {
    const refused = (text: string, sentence: RegExp) => assert.throws(() => schedulerOf(text), sentence);
    refused('scheduler_default_filters = MoonFilter', /enabled_filters names MoonFilter, which is not there; there are ComputeFilter/);
    refused('scheduler_available_filters = nova.x.MoonFilter', /available_filters names nova.x.MoonFilter, which is not there/);
    refused(
      'scheduler_available_filters = nova.x.RamFilter',
      /enabled_filters names ComputeFilter, which is not there; there are RamFilter$/,
    );
    refused('scheduler_weight_classes = MoonWeigher', /weight_classes names MoonWeigher, which is not there; there are RAMWeigher/);
    refused('scheduler_driver = moon', /scheduler_driver names moon; there are filter_scheduler, chance_scheduler/);
    refused(
      'least_cost_functions = moon_fn',
      /least_cost_functions names moon_fn, which is not there; there are compute_fill_first_cost_fn/,
    );
    refused('pci_alias = {"vendor_id": "8086"}', /\[pci\] alias = .* has no name/);
  });

  test('least cost functions weigh alone; chance asks one filter and no weigher', () => {
    assert.deepEqual(weighersOf('least_cost_functions = nova.scheduler.least_cost.compute_fill_first_cost_fn'), ['LeastCostWeigher']);
    const chance = schedulerOf('scheduler_driver = nova.scheduler.chance.ChanceScheduler');
    assert.deepEqual([names(chance.filters), chance.weighers, chance.shuffle], [['ComputeFilter'], [], true]);
  });
});

test('least cost spreads servers at weight -1 and fills hosts at 1', async () => {
  for (const [weight, hosts] of [
    [-1, 2],
    [1, 1],
  ] as const) {
    const cloud = await smallCloud({
      hosts: 2,
      config: `[DEFAULT]\nleast_cost_functions = nova.scheduler.least_cost.compute_fill_first_cost_fn\ncompute_fill_first_cost_fn_weight = ${weight}\n`,
    });
    try {
      const first = await cloud.create({ ram: 512 });
      const second = await cloud.create({ ram: 512 });
      assert.equal(new Set([...first, ...second].map((one) => one['OS-EXT-SRV-ATTR:host'])).size, hosts);
    } finally {
      await cloud.close();
    }
  }
});

test('compute_monitors: hosts report their CPUs, and MetricsFilter lets them pass', async () => {
  const config = (monitors: string) =>
    `[DEFAULT]\n${monitors}\n[filter_scheduler]\nenabled_filters = MetricsFilter\n[metrics]\nweight_setting = cpu.percent=1.0, cpu.frequency=0.1\n`;
  for (const [monitors, status] of [
    ['compute_monitors = cpu.virt_driver', 'ACTIVE'],
    ['', 'ERROR'],
  ] as const) {
    const cloud = await smallCloud({ config: config(monitors) });
    try {
      const [server] = await cloud.create({});
      assert.equal(server.status, status);
      if (status === 'ERROR') assert.match(server.fault.message, /MetricsFilter.*it does not report cpu.percent, cpu.frequency/);
    } finally {
      await cloud.close();
    }
  }
});
