import assert from 'node:assert/strict';
import { test } from 'node:test';
import { volumeClient } from '../../src/clients/volume.ts';
import { setServer } from '../../src/db/tables/compute/placing.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { conductorDefaults } from '../../src/services/conductor/parts.ts';
import { reap } from '../../src/services/conductor/reaper.ts';
import { openHouse, projectId } from '../core-house.ts';

test('a task whose job vanished ends: a build in error with the reason, a delete by a new job', async () => {
  const house = await openHouse({ hosts: 1 });
  try {
    const uuids = await house.create({ count: 2 });
    for (const uuid of uuids) await house.settled(uuid);
    const [building, deleting] = uuids;
    await house.db.transaction(async (tx) => {
      await tx
        .updateTable('servers')
        .set({ vm_state: 'building', task_state: 'spawning', task_deadline: 1 })
        .where('uuid', '=', building!)
        .execute();
      await tx.updateTable('servers').set({ task_state: 'deleting', task_deadline: 1 }).where('uuid', '=', deleting!).execute();
    });
    await reap({
      db: house.db,
      bus: house.bus,
      clock: systemClock,
      log: silentLog,
      network: house.network,
      images: house.images.conductor,
      volumes: volumeClient(null),
      options: { ...conductorDefaults, name: 'r', host: 'r' },
      changed: () => {},
    });
    assert.equal((await house.settled(deleting!))?.deleted, true);
    const failed = await house.server(building!);
    assert.equal(failed?.vmState, 'error');
    assert.match(failed?.fault?.message ?? '', /without an outcome/);
    await house.delete(building!);
    assert.equal((await house.settled(building!))?.deleted, true);
    assert.deepEqual(await house.audit(), []);
  } finally {
    await house.close();
  }
});

test('word of a task’s progress comes to nothing when the task ended between the look and the word', async () => {
  const house = await openHouse({ hosts: 1 });
  try {
    const [uuid] = await house.create();
    const server = await house.settled(uuid!);
    const more = { what: 'progress', at: systemClock.now(), epoch: server?.epoch ?? 0, inTask: 'networking' };
    const said = () => house.db.transaction((tx) => setServer(tx, { uuid: uuid!, projectId }, { task_state: 'spawning' }, more));
    assert.equal(await said(), false);
    assert.equal((await house.server(uuid!))?.taskState, null);
    await house.db.transaction((tx) => tx.updateTable('servers').set({ task_state: 'networking' }).where('uuid', '=', uuid!).execute());
    assert.equal(await said(), true);
  } finally {
    await house.close();
  }
});

test('idempotency keys are forgotten after their time, not before', async () => {
  const house = await openHouse({ hosts: 1 });
  try {
    const now = systemClock.now();
    const key = (name: string, created: number) => ({
      project_id: 'p',
      key: name,
      body_hash: 'h',
      server_uuid: '11111111-2222-4333-8444-555555555555',
      reservation_id: 'r',
      created_at: created,
    });
    const old = now - (conductorDefaults.keepIdempotencyKeys + 1) * 1_000_000;
    await house.db.transaction((tx) =>
      tx
        .insertInto('idempotency_keys')
        .values([key('old', old), key('new', now)])
        .execute(),
    );
    const options = { ...conductorDefaults, name: 'r', host: 'r' };
    await reap({
      db: house.db,
      bus: house.bus,
      clock: systemClock,
      log: silentLog,
      network: house.network,
      images: house.images.conductor,
      volumes: volumeClient(null),
      options,
      changed: () => {},
    });
    const left = await house.db.read.selectFrom('idempotency_keys').select('key').execute();
    assert.deepEqual(
      left.map((row) => row.key),
      ['new'],
    );
  } finally {
    await house.close();
  }
});
