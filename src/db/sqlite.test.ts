import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { migrate } from './migrate.ts';
import { openDatabase } from './open.ts';

test('SQLite opens, migrates once, commits and rolls back', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-db-'));
  const db = await openDatabase({ url: `sqlite:///${join(dir, 'cloud.db').slice(1)}` });
  try {
    assert.ok((await migrate(db)).includes('0001-compute'));
    assert.deepEqual(await migrate(db), []);
    await db.transaction(async (tx) => {
      await tx.insertInto('leases').values({ name: 'sequencer', owner: 'a', until: 1, value: 0 }).execute();
    });
    await assert.rejects(
      db.transaction(async (tx) => {
        await tx.updateTable('leases').set({ owner: 'b' }).execute();
        throw new Error('no');
      }),
      /no/,
    );
    const row = await db.read.selectFrom('leases').selectAll().executeTakeFirstOrThrow();
    assert.equal(row.owner, 'a');
  } finally {
    await db.close();
    rmSync(dir, { recursive: true });
  }
});
