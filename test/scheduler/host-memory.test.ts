import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../src/lib/clock.ts';
import { createHostMemory, type HostMemory } from '../../src/services/scheduler/host-memory.ts';
import { openHouse } from '../core-house.ts';

/** What a memory knows of each host, as plain data. */
const known = ({ columns }: HostMemory) =>
  columns.hosts.map((host) => ({
    host: host.host,
    servers: [...host.servers.values()].map(({ uuid, vmState, taskState, flavorId }) => [uuid, vmState, taskState, flavorId]).sort(),
    busy: host.busy,
    chosen: host.chosen.size,
    failedBuilds: host.failedBuilds,
    free: [host.memoryFreeMiB, host.diskFreeMiB, host.vcpusUsed],
  }));

test('a memory that followed every change knows what one knows that reads everything anew', async () => {
  const house = await openHouse({ hosts: 4, host: { vcpus: 16 } });
  const parts = { db: house.db.read, clock: systemClock, pendingMs: 60_000 };
  const [follower, refresher] = [createHostMemory(parts), createHostMemory(parts)];
  try {
    await follower.follow();
    await refresher.follow();
    const alive = new Set<string>();
    for (let round = 0; round < 4; round++) {
      const made = [
        ...(await house.create({ count: 6 })),
        ...(await house.create({ count: 2, metadata: { 'fake:spawn': round % 2 ? 'fail-once' : 'fail' } })),
        ...(await house.create({ count: 1, vcpus: 100 })),
      ];
      await follower.follow();
      for (const uuid of made) if ((await house.settled(uuid))?.vmState === 'active') alive.add(uuid);
      await refresher.refresh();
      const [first = '', second = '', ...rest] = alive;
      await Promise.all([house.power(first, 'stop'), house.delete(second)]);
      alive.delete(second);
      assert.ok(rest.length > 0);
      await house.quiet();
      await follower.follow();
    }
    // Until the feed has told everything.
    const fresh = await house.until(
      async () => {
        await follower.follow();
        await refresher.refresh();
        const one = createHostMemory(parts);
        await one.follow();
        return one;
      },
      (one) =>
        JSON.stringify(known(one)) === JSON.stringify(known(follower)) && JSON.stringify(known(one)) === JSON.stringify(known(refresher)),
    );
    assert.equal(
      known(fresh).reduce((sum, { servers }) => sum + servers.length, 0),
      alive.size,
    );
  } finally {
    await house.close();
  }
});
