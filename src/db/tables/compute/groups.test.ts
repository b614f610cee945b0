import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openFresh } from '../../../../test/support/fresh-database.ts';
import type { Database } from '../../engine.ts';
import { joinGroupHost, readGroup } from './groups.ts';
import { deleteServerGroup, insertServerGroup } from './server-groups.ts';

let dir: string;
let db: Database;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kilonova-groups-'));
  db = await openFresh(join(dir, 'cloud.db'));
});
after(async () => {
  await db.close();
  rmSync(dir, { recursive: true });
});

for (const policy of ['affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'])
  test(`${policy}: a placing that knows a group which is deleted by now goes where it likes, and leaves nothing behind`, async () => {
    const wish = { projectId: 'p', userId: 'u', name: 'g', policy, rules: {} };
    const { uuid } = await db.transaction((tx) => insertServerGroup(tx, wish, 1));
    const rule = await readGroup(db.read, uuid);
    assert.ok(rule);
    const join = (host: string) => db.transaction((tx) => joinGroupHost(tx, db.kind, rule, host));
    assert.equal(await join('host-1'), true);
    assert.equal(await join(policy === 'affinity' ? 'host-2' : 'host-1'), !['affinity', 'anti-affinity'].includes(policy));
    await db.transaction((tx) => deleteServerGroup(tx, { uuid, projectId: 'p' }));
    for (const host of ['host-1', 'host-2']) assert.equal(await join(host), true);
    assert.deepEqual(await db.read.selectFrom('server_group_hosts').selectAll().execute(), []);
  });
