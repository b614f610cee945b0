import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { CloudError } from '../model/errors.ts';
import type { Database, Query } from './engine.ts';
import { migrate } from './migrate.ts';
import { openDatabase } from './open.ts';

async function opened(context: TestContext, patienceMs = 5000) {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-db-'));
  const path = join(dir, 'cloud.db');
  const db = await openDatabase({ url: path, patienceMs });
  context.after(async () => {
    await db.close();
    rmSync(dir, { recursive: true, force: true });
  });
  await migrate(db);
  return { db, path };
}
const put = (tx: Query, name: string, owner = '') => tx.insertInto('leases').values({ name, owner, until: 0, value: 0 }).execute();
const names = async (db: Database) => (await db.read.selectFrom('leases').select('name').orderBy('name').execute()).map(({ name }) => name);
const count = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => `work-${String(from + at).padStart(3, '0')}`);

test('works that come together each stand or fall alone, and none is answered before all are kept', async (context) => {
  const { db, path } = await opened(context);
  const other = new DatabaseSync(path, { readOnly: true });
  const runs = new Map<string, number>();
  const answers = await Promise.allSettled(
    count(0, 100).map(async (name, at) => {
      const answer = await db.transaction(async (tx) => {
        runs.set(name, (runs.get(name) ?? 0) + 1);
        await put(tx, name);
        if (at % 3 === 1) throw new Error(`no ${name}`);
        if (at % 3 === 2) await put(tx, name); // its key stands there already
        return name;
      });
      assert.ok(other.prepare('SELECT name FROM leases WHERE name = ?').get(name), 'answered before it was kept');
      return answer;
    }),
  );
  other.close();
  const kept = count(0, 100).filter((_name, at) => at % 3 === 0);
  assert.deepEqual(
    answers.flatMap((one) => (one.status === 'fulfilled' ? one.value : [])),
    kept,
  );
  assert.deepEqual(await names(db), kept);
  assert.match(String(answers[1]?.status === 'rejected' && answers[1].reason), /no work-001/);
  assert.match(String(answers[2]?.status === 'rejected' && answers[2].reason), /UNIQUE/);
  assert.deepEqual(new Set(runs.values()), new Set([1])); // a throw of its own makes nobody begin again
});

test('a value that no column takes is refused alone; its neighbours are kept', async (context) => {
  const { db } = await opened(context);
  const [before, unfit, after] = await Promise.allSettled([
    db.transaction((tx) => put(tx, 'before')),
    db.transaction(async (tx) => {
      await put(tx, 'unfit');
      await sql`select zeroblob(2000000000)`.execute(tx);
    }),
    db.transaction((tx) => put(tx, 'after')),
  ]);
  assert.equal(before?.status, 'fulfilled');
  assert.equal(after?.status, 'fulfilled');
  assert.ok(unfit?.status === 'rejected' && unfit.reason instanceof CloudError && unfit.reason.kind === 'invalid', JSON.stringify(unfit));
  assert.deepEqual(await names(db), ['after', 'before']);
});

test('many that wait for a lock are all told when their patience ends, not one after the other', async (context) => {
  const { db, path } = await opened(context, 100);
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  const start = performance.now();
  const answers = await Promise.allSettled(count(0, 200).map((name) => db.transaction((tx) => put(tx, name))));
  const took = performance.now() - start;
  other.exec('ROLLBACK');
  other.close();
  assert.ok(answers.every((one) => one.status === 'rejected' && one.reason instanceof CloudError));
  assert.ok(took < 1000, `${took} ms`);
  await db.transaction((tx) => put(tx, 'later'));
  assert.deepEqual(await names(db), ['later']);
});

test('a transaction begun inside one of several is refused, and the others are kept', async (context) => {
  const { db } = await opened(context);
  const [inner, fine] = await Promise.allSettled([
    db.transaction((tx) => put(tx, 'outer').then(() => db.transaction((again) => put(again, 'inner')))),
    db.transaction((tx) => put(tx, 'fine')),
  ]);
  assert.match(String(inner?.status === 'rejected' && inner.reason), /inside a transaction/);
  assert.equal(fine?.status, 'fulfilled');
  assert.deepEqual(await names(db), ['fine']);
});
