import assert from 'node:assert/strict';
import { test } from 'node:test';
import { countVolume, volumeTotals } from '../../src/db/tables/compute/volume-usages.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { lastPeriod } from '../../src/model/audit-period.ts';
import { openHouse } from '../core-house.ts';

const auditUnit = { unit: 'year', offset: 1 } as const;
const HOUR = 3_600_000_000;

test('servers that were there in the last period are counted once, host by host, and told in both forms', async () => {
  // biome-ignore lint/suspicious/noExplicitAny: envelopes of every kind, looked into by assertions
  const heard: { topic: string; said: any }[] = [];
  const house = await openHouse({
    hosts: 2,
    conductor: { usageAudit: true, auditUnit, auditMs: 20 },
    told: {
      notifications: { format: 'both', versionedTopics: ['versioned'], topics: ['legacy'], onStateChange: null, disks: true },
      notify: async (topic, said) => void heard.push({ topic, said }),
    },
  });
  try {
    const audits = () => house.db.read.selectFrom('task_log').selectAll().orderBy('host').execute();
    const done = (rows: { state: string }[]) => rows.length > 0 && rows.every((row) => row.state === 'DONE');
    await house.until(audits, (rows) => rows.length >= 2 && done(rows));
    const uuids = await house.create({ count: 4 });
    for (const uuid of uuids) await house.settled(uuid);
    const [older = '', gone = '', longGone = ''] = uuids;
    const ended = async (uuid: string) => {
      await house.delete(uuid);
      await house.until(
        () => house.server(uuid),
        (server) => server?.deleted === true,
      );
    };
    await ended(gone);
    await ended(longGone);
    const { begin } = lastPeriod(auditUnit, Date.now() * 1000);
    await house.db.transaction(async (tx) => {
      const set = (uuid: string, times: { launched_at: number; terminated_at?: number }) =>
        tx.updateTable('servers').set(times).where('uuid', '=', uuid).execute();
      await set(older, { launched_at: begin - HOUR });
      await set(gone, { launched_at: begin - HOUR, terminated_at: begin + 1 });
      await set(longGone, { launched_at: begin - 2 * HOUR, terminated_at: begin - HOUR });
      await tx.deleteFrom('task_log').execute();
    });
    // A second conductor counts beside the first: each host is counted by one of them.
    await house.startConductor('another');
    const rows = await house.until(audits, (rows) => rows.length >= 2 && done(rows));
    assert.equal(
      rows.reduce((sum, row) => sum + row.task_items, 0),
      2,
    );
    assert.deepEqual([...new Set(rows.map((row) => row.errors))], [0]);
    assert.match(rows[0]?.message ?? '', /^Instance usage audit ran for host host-0, \d+ instances in \d+ seconds\.$/);
    const told = (topic: string) => heard.filter((one) => one.topic === topic && one.said.event_type.endsWith('instance.exists'));
    const versioned = told('versioned.info').filter(
      ({ said }) =>
        said.payload['nova_object.data'].audit_period['nova_object.data'].audit_period_beginning ===
        new Date(begin / 1000).toISOString().replace('.000', ''),
    );
    assert.deepEqual(versioned.map(({ said }) => said.payload['nova_object.data'].uuid).sort(), [older, gone].sort());
    const flat = told('legacy.info').find(({ said }) => said.payload.instance_id === older)?.said;
    assert.equal(flat.event_type, 'compute.instance.exists');
    assert.equal(flat.publisher_id, `compute.${flat.payload.host}`);
    assert.match(flat.payload.audit_period_beginning, /^\d{4}-\d\d-\d\d \d\d:00:00$/);
    assert.ok(flat.payload.audit_period_ending > flat.payload.audit_period_beginning);
  } finally {
    await house.close();
  }
});

test('a carrier that is away keeps a count waiting; afterwards every server is told', async () => {
  let away = true;
  const told: string[] = [];
  const house = await openHouse({
    hosts: 1,
    conductor: { auditUnit, auditMs: 20 },
    told: {
      notifications: { format: 'versioned', versionedTopics: ['versioned'], topics: [], onStateChange: null, disks: false },
      // biome-ignore lint/suspicious/noExplicitAny: envelopes of every kind
      notify: async (_topic, said: any) => {
        if (said.event_type !== 'instance.exists') return;
        if (away) throw new Error('nobody there');
        told.push(said.payload['nova_object.data'].uuid);
      },
    },
  });
  try {
    const uuids = await house.create({ count: 2 });
    for (const uuid of uuids) await house.settled(uuid);
    const { begin } = lastPeriod(auditUnit, Date.now() * 1000);
    await house.db.transaction((tx) => tx.updateTable('servers').set({ launched_at: begin }).execute());
    await house.startConductor('auditor', { options: { usageAudit: true, leaseMs: 100 } });
    const state = () => house.db.read.selectFrom('task_log').select(['state', 'errors', 'task_items']).executeTakeFirst();
    await house.until(state, (row) => row?.errors === 1 && row.state === 'RUNNING');
    away = false;
    const done = await house.until(state, (row) => row?.state === 'DONE');
    assert.deepEqual([done?.errors, done?.task_items, told.sort()], [0, 2, [...uuids].sort()]);
  } finally {
    await house.close();
  }
});

test('a count whose conductor died is begun anew by another; one in hand is left to its owner', async () => {
  const house = await openHouse({ hosts: 1 });
  try {
    const at = Date.now() * 1000;
    const { begin, end } = lastPeriod(auditUnit, at);
    const row = { task_name: 'instance_usage_audit', state: 'RUNNING', task_items: 7, errors: 0, message: '', owner: 'dead' };
    const insert = (host: string, touched_at: number) =>
      house.db.transaction((tx) =>
        tx
          .insertInto('task_log')
          .values({ ...row, host, touched_at, period_beginning: begin, period_ending: end })
          .execute(),
      );
    await insert('host-0', at - HOUR);
    await insert('host-1', at);
    await house.startConductor('second', { options: { usageAudit: true, auditUnit, auditMs: 20 } });
    const state = async () =>
      house.db.read
        .selectFrom('task_log')
        .select(['host', 'state', 'owner', 'task_items'])
        .where('period_beginning', '=', begin)
        .orderBy('host')
        .execute();
    const rows = await house.until(state, (all) => all[0]?.state === 'DONE');
    assert.deepEqual({ ...rows[0] }, { host: 'host-0', state: 'DONE', owner: 'second', task_items: 0 });
    assert.deepEqual({ ...rows[1] }, { host: 'host-1', state: 'RUNNING', owner: 'dead', task_items: 7 });
  } finally {
    await house.close();
  }
});

test('counts older than a year are forgotten', async () => {
  const house = await openHouse({ hosts: 0, conductors: 0, schedulers: 0 });
  try {
    const now = Date.now() * 1000;
    const key = {
      task_name: 'instance_usage_audit',
      state: 'DONE',
      task_items: 0,
      errors: 0,
      message: '',
      owner: 'one',
      period_beginning: 1,
    };
    const [old, young] = [newUuid(), newUuid()];
    await house.db.transaction(async (tx) => {
      await tx
        .insertInto('task_log')
        .values([
          { ...key, host: 'old', period_ending: 2, touched_at: now - 401 * 24 * HOUR },
          { ...key, host: 'young', period_ending: 2, touched_at: now - 300 * 24 * HOUR },
        ])
        .execute();
      for (const [volumeId, at] of [
        [old, now - 401 * 24 * HOUR],
        [young, now],
      ] as const)
        await countVolume(
          tx,
          house.db.kind,
          { volumeId, serverUuid: newUuid(), now: at },
          { reads: 1, readBytes: 1, writes: 1, writeBytes: 1 },
        );
    });
    await house.startConductor('one');
    const hosts = async () => (await house.db.read.selectFrom('task_log').select('host').execute()).map((row) => row.host);
    assert.deepEqual(await house.until(hosts, (all) => all.length < 2), ['young']);
    assert.deepEqual([...(await volumeTotals(house.db.read, [old, young])).keys()], [young]);
  } finally {
    await house.close();
  }
});

test('what guests do to a volume adds up over restarts and over guests, and late words change nothing', async () => {
  const house = await openHouse({ hosts: 0, conductors: 0, schedulers: 0 });
  try {
    const [volumeId, one, two] = [newUuid(), newUuid(), newUuid()];
    const count = (serverUuid: string, now: number, reads: number) =>
      house.db.transaction((tx) =>
        countVolume(tx, house.db.kind, { volumeId, serverUuid, now }, { reads, readBytes: reads * 512, writes: 1, writeBytes: 512 }),
      );
    const total = async () => (await volumeTotals(house.db.read, [volumeId])).get(volumeId);
    assert.equal(await total(), undefined);
    await count(one, 1, 10);
    await count(one, 2, 15);
    assert.deepEqual(await total(), { reads: 15, readBytes: 15 * 512, writes: 1, writeBytes: 512 });
    await count(one, 3, 4); // the guest began anew
    assert.equal((await total())?.reads, 19);
    await count(one, 2, 99);
    assert.equal((await total())?.reads, 19);
    await count(two, 3, 100);
    assert.deepEqual(await total(), { reads: 119, readBytes: 119 * 512, writes: 3, writeBytes: 3 * 512 });
  } finally {
    await house.close();
  }
});
