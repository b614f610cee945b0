import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openHouse } from '../core-house.ts';

test('a server is built, stopped, started, rebooted and deleted; every count agrees after each', async () => {
  const house = await openHouse({ hosts: 2 });
  try {
    const [uuid] = await house.create();
    const active = await house.settled(uuid!);
    assert.equal(active?.vmState, 'active', active?.fault?.message);
    assert.equal(active?.powerState, 1);
    assert.ok(active?.launchedAt);
    assert.equal(active?.networkInfo.length, 1);
    const events = await house.db.read.selectFrom('server_action_events').selectAll().orderBy('id').execute();
    assert.deepEqual(
      events.map((event) => [event.event, event.result]),
      [
        ['conductor_schedule_and_build_instances', 'Success'],
        ['compute__do_build_and_run_instance', 'Success'],
        ['phase_network', 'Success'],
        ['phase_image', 'Success'],
        ['phase_disk', 'Success'],
        ['phase_relay', 'Success'],
        ['phase_spawn', 'Success'],
      ],
    );
    assert.deepEqual(await house.audit(), []);
    for (const [action, state] of [
      ['stop', 'stopped'],
      ['start', 'active'],
      ['reboot-soft', 'active'],
      ['reboot-hard', 'active'],
    ] as const) {
      await house.power(uuid!, action);
      const after = await house.settled(uuid!);
      assert.equal(after?.vmState, state, `${action}: ${after?.fault?.message}`);
      assert.deepEqual(await house.audit(), []);
    }
    await house.delete(uuid!);
    const gone = await house.settled(uuid!);
    assert.equal(gone?.deleted, true);
    assert.deepEqual(await house.audit(), []);
    assert.equal((await house.db.read.selectFrom('allocations').selectAll().execute()).length, 0);
    assert.equal(house.network.ports.size, 0);
  } finally {
    await house.close();
  }
});
