import assert from 'node:assert/strict';
import { test } from 'node:test';
import { enforcedClasses, legacyRatios } from '../../src/model/legacy-claim.ts';
import { filters } from '../../src/services/scheduler/filters/list.ts';
import { openHouse } from '../core-house.ts';

/** A house of one host of 8 CPUs, 10 GiB and 100 GiB, under the rules that these filters bring. */
const house = (enabledFilters: readonly string[], conductor: object = {}) =>
  openHouse({
    hosts: 1,
    schedulers: 2,
    conductors: 2,
    host: { vcpus: 8, memoryMiB: 10_240, diskGiB: 100 },
    scheduler: { enabledFilters },
    conductor: { enforced: enforcedClasses(enabledFilters), ratios: legacyRatios, ...conductor },
  });

test('the claim caps exactly the classes whose filter is enabled, what is reserved counts as used, and parallel builds never overcommit', async () => {
  const reserved = { reserved: { vcpu: 0, memoryMiB: 512, diskGiB: 0 } };
  const cases: [string[], object, { vcpus?: number; memoryMiB?: number; rootGiB?: number }, number][] = [
    [['RamFilter'], {}, { memoryMiB: 1024, vcpus: 20, rootGiB: 90 }, 15],
    [['RamFilter'], reserved, { memoryMiB: 1024 }, 14],
    [['CoreFilter'], {}, { vcpus: 8, memoryMiB: 9000, rootGiB: 90 }, 16],
    [['DiskFilter'], {}, { vcpus: 20, memoryMiB: 20_000, rootGiB: 10 }, 10],
    [['AggregateRamFilter', 'DiskFilter'], {}, { memoryMiB: 1024, rootGiB: 12 }, 8],
  ];
  for (const [enabled, conductor, wish, fit] of cases) {
    const one = await house(enabled, conductor);
    try {
      const servers = await one.create({ ...wish, count: fit + 3 });
      const states = await Promise.all(servers.map(async (uuid) => (await one.settled(uuid))?.vmState));
      assert.equal(states.filter((state) => state === 'active').length, fit, enabled.join());
      assert.equal(states.filter((state) => state === 'error').length, 3, enabled.join());
    } finally {
      await one.close();
    }
  }
});

test('no filter of those releases, no rule of theirs', () => {
  assert.equal(enforcedClasses(['ComputeFilter', 'ExactRamFilter']), null);
  assert.deepEqual(enforcedClasses(['nova.scheduler.filters.core_filter.CoreFilter']), new Set(['VCPU']));
});

test('every filter at once lets an ordinary request pass on a live host', async () => {
  const exact = ['ExactRamFilter', 'ExactDiskFilter', 'ExactCoreFilter'];
  const one = await openHouse({ hosts: 1, scheduler: { enabledFilters: Object.keys(filters).filter((name) => !exact.includes(name)) } });
  try {
    const [uuid = ''] = await one.create();
    assert.equal((await one.settled(uuid))?.vmState, 'active');
  } finally {
    await one.close();
  }
});
