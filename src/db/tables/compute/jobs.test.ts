import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFresh } from '../../../../test/support/fresh-database.ts';
import { newUuid } from '../../../lib/ids.ts';
import { freshProgress } from '../../../model/jobs.ts';
import type { Database } from '../../engine.ts';
import { FEED_FLOOR, forgetChanges, numberChanges, readChanges, SEQUENCER, writeChange } from './changes.ts';
import { endJob, handBackJobs, insertJobs, overtakeJobs, requeueJob, takeJobs, turnJob } from './jobs.ts';
import { ensureLease, giveLeaseBack, setLeaseValue, takeLease } from './leases.ts';

async function withDatabase(work: (db: Database) => Promise<void>) {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-jobs-'));
  const db = await openFresh(join(dir, 'jobs.db'));
  try {
    await work(db);
  } finally {
    await db.close();
    rmSync(dir, { recursive: true });
  }
}
const context = { userId: 'u', projectId: 'p', roles: [], requestId: 'req-1' };
const power = (serverUuid: string, now = 100) => ({
  kind: 'act-on-server' as const,
  serverUuid,
  input: { serverUuid, action: 'stop' as const, args: {}, vmStateBefore: 'active' },
  context,
  now,
});
const remove = (serverUuid: string, now = 100) => ({
  kind: 'delete-server' as const,
  serverUuid,
  input: { serverUuid, force: false },
  context,
  now,
});
const take = (db: Database, owner: string, now: number, all = true) =>
  db.transaction((tx) => takeJobs(tx, { owner, now, until: now + 50, limit: 10, busy: [], all }));

test('a job is taken once, and again only when its lease has run out; the old owner can write no more', async () => {
  await withDatabase(async (db) => {
    await db.transaction((tx) => insertJobs(tx, [power(newUuid())]));
    const [mine] = await take(db, 'a', 100);
    assert.equal(mine?.attempt, 1);
    assert.deepEqual(await take(db, 'b', 120), []);
    const [theirs] = await take(db, 'b', 151);
    assert.equal(theirs?.attempt, 2);
    const turn = { to: 'running' as const, progress: freshProgress };
    assert.equal(await db.transaction((tx) => turnJob(tx, { id: mine!.id, uuid: mine!.uuid, owner: 'a', attempt: 1 }, turn, 152)), false);
    assert.equal(await db.transaction((tx) => turnJob(tx, { id: mine!.id, uuid: mine!.uuid, owner: 'b', attempt: 2 }, turn, 152)), true);
    assert.equal(
      await db.transaction((tx) => turnJob(tx, { id: mine!.id, uuid: mine!.uuid, owner: 'b', attempt: 2 }, { to: 'done' }, 153)),
      true,
    );
    assert.deepEqual(await take(db, 'c', 1000), []);
  });
});

test('whoever holds a job that was taken away writes nothing into another one that has its id by now', async () => {
  await withDatabase(async (db) => {
    const uuid = newUuid();
    await db.transaction((tx) => insertJobs(tx, [power(uuid)]));
    const [old] = await take(db, 'a', 100);
    await db.transaction((tx) => overtakeJobs(tx, uuid, 0));
    await db.transaction((tx) => insertJobs(tx, [power(newUuid())]));
    await db.transaction((tx) => tx.updateTable('jobs').set({ id: old!.id }).execute()); // as SQLite does by itself
    const [fresh] = await take(db, 'a', 101);
    assert.deepEqual([fresh?.id, fresh?.attempt], [old?.id, old?.attempt]);
    const lease = { id: old!.id, uuid: old!.uuid, owner: 'a', attempt: 1 };
    for (const turn of [
      { to: 'running', progress: freshProgress },
      { to: 'waiting', progress: freshProgress, notBefore: 200 },
      { to: 'failed', error: { code: 'x', kind: 'internal', message: '', params: {} } },
      { to: 'done' },
    ] as const)
      assert.equal(await db.transaction((tx) => turnJob(tx, lease, turn, 102)), false, turn.to);
    assert.equal(await db.transaction((tx) => turnJob(tx, { ...lease, uuid: fresh!.uuid }, { to: 'done' }, 103)), true);
  });
});

test('jobs of one server run one after the other; a delete goes first and takes the others away', async () => {
  await withDatabase(async (db) => {
    const uuid = newUuid();
    await db.transaction((tx) => insertJobs(tx, [power(uuid), power(uuid)]));
    const [first, ...none] = await take(db, 'a', 100);
    assert.deepEqual(none, []);
    await db.transaction((tx) => insertJobs(tx, [remove(uuid)]));
    const [gone] = await take(db, 'b', 101);
    assert.equal(gone?.kind, 'delete-server');
    const overtaken = await db.transaction((tx) => overtakeJobs(tx, uuid, gone!.id));
    assert.equal(overtaken.length, 2);
    assert.equal(
      await db.transaction((tx) => turnJob(tx, { id: first!.id, uuid: first!.uuid, owner: 'a', attempt: 1 }, { to: 'done' }, 102)),
      false,
    );
  });
});

test('an agent’s word ends or requeues a job once, whoever holds it; what was handed back is taken at once', async () => {
  await withDatabase(async (db) => {
    await db.transaction((tx) => insertJobs(tx, [power(newUuid())]));
    const [job] = await take(db, 'a', 100);
    assert.equal(await db.transaction((tx) => requeueJob(tx, job!, freshProgress, 101)), true);
    assert.equal(await db.transaction((tx) => endJob(tx, job!)), false);
    const [again] = await take(db, 'a', 102);
    assert.equal(again?.attempt, 3);
    await db.transaction((tx) => handBackJobs(tx, 'a', 103));
    const [other] = await take(db, 'b', 103);
    assert.equal(await db.transaction((tx) => endJob(tx, other!)), true);
  });
});

test('the feed is read by number; rows that were numbered later are not missed, and an old cursor is told so', async () => {
  await withDatabase(async (db) => {
    const change = (key: string, at: number) => ({ noun: 'host' as const, key, what: 'reported', projectId: null, body: { n: 1 }, at });
    await ensureLease(db, SEQUENCER);
    const number = () =>
      db.transaction(async (tx) => {
        const last = await takeLease(tx, { name: SEQUENCER, owner: 'a', now: 10, until: 20 });
        if (last === undefined) return -1;
        const next = await numberChanges(tx, last);
        await setLeaseValue(tx, SEQUENCER, 'a', next);
        return next;
      });
    await db.transaction((tx) => writeChange(tx, change('one', 1)));
    await db.transaction((tx) => writeChange(tx, change('two', 2)));
    await number();
    const first = await readChanges(db.read, 0);
    assert.deepEqual(
      first.changes.map((one) => one.key),
      ['one', 'two'],
    );
    // A transaction that began early and commits late: its id is lower than what was numbered meanwhile.
    await db.transaction((tx) =>
      tx
        .insertInto('changes')
        .values({ id: -5, seq: null, noun: 'host', key: 'late', what: 'reported', project_id: null, body: '{}', at: 3 } as never)
        .execute(),
    );
    await number();
    const second = await readChanges(db.read, first.last);
    assert.deepEqual(
      second.changes.map((one) => one.key),
      ['late'],
    );
    assert.ok(second.last > first.last);
    await db.transaction((tx) => forgetChanges(tx, 3));
    assert.equal((await readChanges(db.read, 0)).gone, true);
    assert.equal((await readChanges(db.read, first.last)).gone, false);
    assert.equal((await db.read.selectFrom('leases').select('value').where('name', '=', FEED_FLOOR).executeTakeFirst())?.value, first.last);
  });
});

test('a role is held by one until it is given back or runs out', async () => {
  await withDatabase(async (db) => {
    await ensureLease(db, 'role');
    const ask = (owner: string, now: number) => db.transaction((tx) => takeLease(tx, { name: 'role', owner, now, until: now + 10 }));
    assert.equal(await ask('a', 100), 0);
    assert.equal(await ask('b', 105), undefined);
    assert.equal(await ask('a', 105), 0);
    assert.equal(await ask('b', 116), 0);
    await db.transaction((tx) => giveLeaseBack(tx, 'role', 'b'));
    assert.equal(await ask('a', 117), 0);
  });
});
