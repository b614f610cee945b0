import assert from 'node:assert/strict';
import { test } from 'node:test';
import { insertJobs, jobOutcome } from '../../src/db/tables/compute/jobs.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { newRequestId, newUuid } from '../../src/lib/ids.ts';
import { JOBS_RING, type JobInputs } from '../../src/model/jobs.ts';
import type { Phase } from '../../src/services/conductor/parts.ts';
import { died } from '../../src/services/conductor/run-job.ts';
import { openHouse } from '../core-house.ts';

const ANYWHERE = { networkId: newUuid(), portId: null, fixedIp: null, tag: null };

/** A core with one server, whose jobs are struck once at a point. */
async function struck(point: string, cause: unknown, misbehaviour: object = {}) {
  let left = point === '' ? 0 : 1;
  const onStep = (kind: string, step: string, phase: Phase) => {
    if (`${kind}.${step}.${phase}` === point && left-- > 0) throw cause;
  };
  const house = await openHouse({
    hosts: 1,
    conductor: { leaseMs: 300, pollMs: 50, resendMs: 100 },
    host: { misbehaviour },
    onStep,
  });
  const [uuid = ''] = await house.create();
  await house.settled(uuid);
  return {
    house,
    uuid,
    reached: () => left <= 0,
    async job<K extends 'attach-interface' | 'detach-interface'>(kind: K, input: JobInputs[K]) {
      const job = newUuid();
      const context = { userId: 'u', projectId: 'p', roles: [], requestId: newRequestId() };
      const row = { kind, serverUuid: uuid, input, context, now: systemClock.now(), uuid: job };
      await house.db.transaction((tx) => insertJobs(tx, [row as never]));
      house.bus.ring(JOBS_RING);
      return house.until(
        () => jobOutcome(house.db.read, job),
        (outcome) => outcome !== 'unfinished',
      );
    },
    /** Ports as the network and as the server know them. */
    async ports() {
      const book = (house.network.ports.get(uuid) ?? []).map((port) => port.portId);
      const row = ((await house.server(uuid))?.networkInfo ?? []).map((port) => port.portId);
      assert.deepEqual(row, book);
      return book;
    },
  };
}

for (const point of ['port.before', 'port.middle', 'plug.before', 'plug.middle'])
  test(`a conductor that dies at ${point} of an attach: the next one ends it, with one port`, async () => {
    const one = await struck(`attach-interface.${point}`, died);
    try {
      assert.equal(await one.job('attach-interface', { serverUuid: one.uuid, wish: ANYWHERE }), 'ended');
      assert.ok(one.reached());
      assert.equal((await one.ports()).length, 2);
    } finally {
      await one.house.close();
    }
  });

for (const point of ['port.before', 'port.middle', 'plug.before'])
  test(`an attach that fails at ${point} leaves no port`, async () => {
    const one = await struck(`attach-interface.${point}`, new Error('struck'));
    try {
      const outcome = await one.job('attach-interface', { serverUuid: one.uuid, wish: ANYWHERE });
      assert.ok(typeof outcome === 'object', String(outcome));
      assert.equal((await one.ports()).length, 1);
      assert.equal((await one.house.server(one.uuid))?.vmState, 'active');
    } finally {
      await one.house.close();
    }
  });

test('a hypervisor that cannot plug in: the port goes back, and the job says why', async () => {
  const one = await struck('', undefined, { attachNic: { failTimes: 1 } });
  try {
    const outcome = await one.job('attach-interface', { serverUuid: one.uuid, wish: ANYWHERE });
    assert.ok(typeof outcome === 'object' && outcome.message !== '', JSON.stringify(outcome));
    assert.equal((await one.ports()).length, 1);
    assert.equal(await one.job('attach-interface', { serverUuid: one.uuid, wish: ANYWHERE }), 'ended');
    assert.equal((await one.ports()).length, 2);
  } finally {
    await one.house.close();
  }
});

for (const point of ['', 'unplug.before', 'unplug.middle', 'give-back.before'])
  test(`a detach${point && `, whose conductor dies at ${point},`} takes the port out and gives it back`, async () => {
    const one = await struck(point && `detach-interface.${point}`, died);
    try {
      await one.job('attach-interface', { serverUuid: one.uuid, wish: ANYWHERE });
      const [first = '', second = ''] = await one.ports();
      assert.equal(await one.job('detach-interface', { serverUuid: one.uuid, portId: second }), 'ended');
      assert.ok(one.reached());
      assert.deepEqual(await one.ports(), [first]);
    } finally {
      await one.house.close();
    }
  });

test('a detach that the hypervisor refuses leaves everything as it was', async () => {
  const one = await struck('', undefined, { detachNic: { failTimes: 1 } });
  try {
    const [only = ''] = await one.ports();
    assert.ok(typeof (await one.job('detach-interface', { serverUuid: one.uuid, portId: only })) === 'object');
    assert.deepEqual(await one.ports(), [only]);
  } finally {
    await one.house.close();
  }
});
