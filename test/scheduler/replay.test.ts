import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HostRequest, schedulerContract } from '../../src/bus/contracts/scheduler.ts';
import { findDecision } from '../../src/db/tables/compute/decisions.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { openHouse } from '../core-house.ts';
import { request } from '../properties/cloud.ts';

test('a decision is made again on the hosts of then, also after others came; of another server, or with other counts, there is none', async () => {
  const house = await openHouse({ hosts: 2 });
  try {
    const [uuid = ''] = await house.create();
    assert.equal((await house.settled(uuid))?.vmState, 'active');
    const row = await house.db.read.selectFrom('decisions').select('uuid').where('server_uuid', '=', uuid).executeTakeFirstOrThrow();
    const decision = await findDecision(house.db.read, row.uuid);
    assert.ok(decision);
    const request = decision.request as unknown as HostRequest; // as the conductor sent it
    const input = {
      request,
      seed: decision.seed,
      configHash: decision.configHash,
      chosen: decision.chosen.map(({ host, weight }) => ({ host, weight })),
      filters: decision.reasons.filters.map(({ name, before, after }) => ({ name, before, after })),
      limit: 10,
    };
    const again = async (more: Partial<typeof input> = {}) =>
      (await house.bus.ask(schedulerContract, 'explainDecision', { ...input, ...more })).table;
    const first = await again();
    assert.deepEqual([first?.seen, first?.ranked.length], [2, 2]);
    await house.startAgent('host-2');
    // The scheduler knows the new host by the time it puts servers there.
    await house.until(
      async () => {
        const [other = ''] = await house.create({ forcedHost: 'host-2' });
        return (await house.settled(other))?.host;
      },
      (host) => host === 'host-2',
    );
    assert.deepEqual(await again(), first);
    assert.equal(await again({ request: { ...request, serverUuid: newUuid() } }), null);
    assert.equal(await again({ filters: input.filters.map((one) => ({ ...one, before: one.before + 1 })) }), null);
    assert.equal(await again({ configHash: 'another' }), null);
  } finally {
    await house.close();
  }
});

test('requests that are alike are refused alike, each with a decision of its own, until something changes', async () => {
  const house = await openHouse({ hosts: 2, host: { vcpus: 1 } });
  try {
    const [scheduler] = house.schedulers;
    assert.ok(scheduler);
    const wish = (vcpus: number): HostRequest => ({
      ...request(),
      serverUuid: newUuid(),
      amounts: { VCPU: vcpus, MEMORY_MB: 128, DISK_GB: 1 },
    });
    // Four places: two servers of two take them, and whoever comes behind is refused for another reason than before.
    const asked = [wish(3), wish(9), wish(9), wish(3), wish(3), wish(2), wish(9), wish(4), wish(4)];
    const answers = await scheduler.select(asked, false);
    assert.deepEqual(
      answers.map(({ hosts }) => hosts.length > 0),
      [true, false, false, true, false, false, false, false, false],
    );
    assert.equal(new Set(answers.map(({ seed }) => seed)).size, asked.length);
    assert.deepEqual(answers[2]?.reasons, answers[1]?.reasons);
    assert.deepEqual(answers[8]?.reasons, answers[7]?.reasons);
    for (const [at, { hosts, reasons, seed, configHash }] of answers.entries()) {
      const chosen = hosts.map(({ host, weight }) => ({ host, weight }));
      const filters = reasons.filters.map(({ name, before, after }) => ({ name, before, after }));
      const input = { request: asked[at]!, seed, configHash, chosen, filters, limit: 10 };
      const { table } = await house.bus.ask(schedulerContract, 'explainDecision', input);
      assert.equal(table?.passed, hosts.length, `decision ${at}`);
    }
  } finally {
    await house.close();
  }
});
