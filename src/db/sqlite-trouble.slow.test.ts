import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { requires } from '../../test/requires.ts';
import { smallDisk } from '../../test/servers/small-disk.ts';
import { CloudError } from '../model/errors.ts';
import type { Database, EngineOptions, Query } from './engine.ts';
import { migrate } from './migrate.ts';
import { openDatabase } from './open.ts';

async function opened(context: TestContext, more: Partial<EngineOptions> = {}, dir = mkdtempSync(join(tmpdir(), 'kilonova-db-'))) {
  const path = join(dir, 'cloud.db');
  const db = await openDatabase({ url: path, ...more });
  context.after(async () => {
    await db.close();
    rmSync(dir, { recursive: true, force: true });
  });
  await migrate(db);
  return { db, path };
}
const write = (db: Database, name: string, owner = '') =>
  db.transaction(async (tx: Query) => void (await tx.insertInto('leases').values({ name, owner, until: 0, value: 0 }).execute()));
const isCode =
  (code: string, detail = /./) =>
  (cause: unknown) =>
    cause instanceof CloudError && cause.code === code && detail.test(cause.detail ?? '');

test('SQLite: a lock that another process holds is waited for without stopping this one', async (context) => {
  const { db, path } = await opened(context);
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  let turns = 0;
  const ticking = setInterval(() => turns++, 1);
  const waiting = write(db, 'patient');
  while (turns < 20) await new Promise((resolve) => setImmediate(resolve)); // would never end if the wait blocked
  clearInterval(ticking);
  assert.equal((await db.read.selectFrom('leases').selectAll().execute()).length, 0); // readers do not wait
  other.exec('COMMIT');
  other.close();
  await waiting;
  assert.equal((await db.read.selectFrom('leases').selectAll().execute()).length, 1);
});

test('SQLite: a lock held for ever is databaseUnavailable', async (context) => {
  const { db, path } = await opened(context, { patienceMs: 60 });
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  await assert.rejects(write(db, 'hasty'), isCode('database.unavailable', /locked/));
  other.close();
  await write(db, 'hasty');
});

test('SQLite: a file that is no database, a folder, and a place where nothing may be written say so', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-db-'));
  try {
    writeFileSync(join(dir, 'noise.db'), 'not a database '.repeat(1000));
    const noise = await openDatabase({ url: join(dir, 'noise.db') });
    await assert.rejects(migrate(noise), isCode('database.unavailable', /noise\.db: file is not a database/));
    await noise.close();
    await assert.rejects(openDatabase({ url: dir }), isCode('database.unavailable', /cannot be opened/));
    await assert.rejects(openDatabase({ url: join(dir, 'noise.db', 'cloud.db') }), isCode('database.unavailable', /noise\.db/));
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test('SQLite: a file deleted while it is open is told, instead of writing into nothing', async (context) => {
  const { db, path } = await opened(context);
  await write(db, 'kept');
  rmSync(path);
  // Looked at once a second, so within that time and a bit it must be noticed.
  const start = performance.now();
  let cause: unknown;
  for (let n = 0; cause === undefined && performance.now() - start < 5000; n++) {
    await write(db, `lost-${n}`).catch((reason: unknown) => {
      cause = reason;
    });
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(isCode('database.unavailable', /deleted or replaced/)(cause), String(cause));
  assert.ok(performance.now() - start < 1500);
});

/** Writes until there is no room, and again when there is. */
async function fillAndGoOn(db: Database, empty: () => unknown) {
  const big = 'x'.repeat(100_000);
  let cause: unknown;
  for (let n = 0; cause === undefined && n < 100; n++)
    await write(db, `big-${n}`, big).catch((reason: unknown) => {
      cause = reason;
    });
  assert.ok(isCode('database.full')(cause), String(cause));
  const count = (await db.read.selectFrom('leases').select('name').execute()).length;
  await empty();
  await write(db, 'after', big);
  assert.equal((await db.read.selectFrom('leases').select('name').execute()).length, count + 1);
}

test('SQLite: a full disk is databaseFull, nothing is half written, and it goes on when there is room', {
  skip: requires('mount'),
}, async (context) => {
  const disk = smallDisk(4);
  context.after(() => disk.remove());
  const { db } = await opened(context, {}, join(disk.dir, 'db'));
  await write(db, 'before');
  disk.fill();
  await fillAndGoOn(db, disk.empty);
});

test('SQLite: so is a database that may not grow', async (context) => {
  const { db } = await opened(context);
  const most = (pages: number) => db.transaction((tx) => sql`pragma max_page_count = ${sql.lit(pages)}`.execute(tx));
  await most(1000);
  await fillAndGoOn(db, () => most(100_000));
});
