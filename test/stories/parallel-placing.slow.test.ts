import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openHouse } from '../core-house.ts';

test('two conductors and three schedulers never overcommit a tight cloud, and fill it', async () => {
  // 10 hosts of 16 places each for 200 servers: 160 fit.
  const house = await openHouse({
    hosts: 10,
    conductors: 2,
    schedulers: 3,
    host: { vcpus: 4, memoryMiB: 16 * 512, diskGiB: 100 },
    agent: { concurrency: 0 },
  });
  try {
    await Promise.all(Array.from({ length: 20 }, () => house.create({ count: 10 })));
    await house.quiet(30_000);
    const states = await house.db.read.selectFrom('servers').select(['vm_state']).execute();
    assert.equal(states.filter((row) => row.vm_state === 'active').length, 160);
    assert.equal(states.filter((row) => row.vm_state === 'error').length, 40);
    assert.deepEqual(await house.audit(), []);
  } finally {
    await house.close();
  }
});

test('anti-affinity is exact under parallel creates: one member on each host, the rest refused', async () => {
  const house = await openHouse({ hosts: 8, conductors: 2, schedulers: 3 });
  try {
    const group = await house.group('anti-affinity');
    await Promise.all(Array.from({ length: 12 }, () => house.create({ group })));
    await house.quiet(20_000);
    const rows = await house.db.read.selectFrom('servers').select(['vm_state', 'host', 'fault']).execute();
    const active = rows.filter((row) => row.vm_state === 'active');
    assert.equal(new Set(active.map((row) => row.host)).size, 8);
    assert.equal(active.length, 8);
    assert.match(rows.find((row) => row.vm_state === 'error')?.fault ?? '', /ServerGroupAntiAffinityFilter left 0 of 8/);
    assert.deepEqual(await house.audit(), []);
    // Places that become free are taken again.
    const [gone] = await house.db.read.selectFrom('servers').select('uuid').where('vm_state', '=', 'active').execute();
    await house.delete(gone!.uuid);
    await house.settled(gone!.uuid);
    const [again] = await house.create({ group });
    assert.equal((await house.settled(again!))?.vmState, 'active');
    assert.deepEqual(await house.audit(), []);
  } finally {
    await house.close();
  }
});

test('affinity keeps all members on one host under parallel creates', async () => {
  const house = await openHouse({ hosts: 5, conductors: 2, schedulers: 3 });
  try {
    const group = await house.group('affinity');
    await Promise.all(Array.from({ length: 10 }, () => house.create({ group })));
    await house.quiet(20_000);
    const rows = await house.db.read.selectFrom('servers').select(['vm_state', 'host']).execute();
    assert.equal(rows.filter((row) => row.vm_state === 'active').length, 10);
    assert.equal(new Set(rows.map((row) => row.host)).size, 1);
    assert.deepEqual(await house.audit(), []);
  } finally {
    await house.close();
  }
});

test('a bus that loses, repeats and reorders ends exact', async () => {
  let state = 42;
  const random = () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
  const house = await openHouse({
    hosts: 4,
    conductors: 2,
    schedulers: 2,
    unkind: { lose: 0.1, repeat: 0.2, reorder: 0.2, random },
    conductor: { pollMs: 50, resendMs: 50, askMs: 150 },
    agent: { resendMs: 20, askMs: 150 },
  });
  try {
    const uuids = await house.create({ count: 30 });
    await house.quiet(30_000);
    const rows = await house.db.read.selectFrom('servers').select(['vm_state', 'fault']).execute();
    assert.deepEqual(
      rows.filter((row) => row.vm_state !== 'active'),
      [],
    );
    for (const uuid of uuids.slice(0, 10)) await house.power(uuid, 'stop');
    for (const uuid of uuids.slice(10, 25)) await house.delete(uuid);
    await house.quiet(30_000);
    await house.until(house.audit, (wrong) => wrong.length === 0, 5000);
    assert.equal((await house.server(uuids[3]!))?.vmState, 'stopped');
    assert.equal((await house.server(uuids[12]!))?.deleted, true);
  } finally {
    await house.close();
  }
});
