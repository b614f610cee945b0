import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type ActionRule, actionRules, type VmState, vmStates } from '../../../src/model/server-states.ts';
import { type ActHouse, message, openActHouse } from '../acts/house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse({ hosts: 2 });
});
afterEach(() => house.wipe());
after(() => house.close());

/** Actions that move servers: the rule of each, its body, its word in sentences. */
const moves = [
  { rule: 'resize', body: { resize: { flavorRef: '2' } }, word: 'resize' },
  { rule: 'migrate', body: { migrate: null }, word: 'migrate' },
  { rule: 'confirmResize', body: { confirmResize: null }, word: 'confirmResize' },
  { rule: 'revertResize', body: { revertResize: null }, word: 'revertResize' },
  { rule: 'liveMigrate', body: { 'os-migrateLive': { host: null, block_migration: 'auto' } }, word: 'os-migrateLive' },
  { rule: 'evacuate', body: { evacuate: {} }, word: 'evacuate' },
  { rule: 'shelve', body: { shelve: null }, word: 'shelve' },
  { rule: 'shelveOffload', body: { shelveOffload: null }, word: 'shelveOffload' },
  { rule: 'unshelve', body: { unshelve: null }, word: 'unshelve' },
] as const;
const admin = { as: 'admin', at: '2.94' } as const;

for (const { rule, body, word } of moves) {
  const { vm = vmStates, task, lock }: ActionRule = actionRules[rule];
  test(`${word}: refused in each state that does not allow it, by name`, async () => {
    const id = await house.boot();
    for (const state of vmStates.filter((one) => one !== 'deleted' && !(vm as readonly VmState[]).includes(one))) {
      await house.put(id, { vm_state: state });
      const refused = await house.act(id, body, admin);
      assert.deepEqual([refused.status, message(refused)], [409, `Cannot '${word}' instance ${id} while it is in vm_state ${state}`]);
    }
    await house.put(id, { vm_state: vm[0] ?? 'active' });
    for (const busy of task ? ['powering-off', 'deleting', 'resize_prep'] : []) {
      await house.put(id, { task_state: busy });
      const refused = await house.act(id, body, admin);
      assert.deepEqual([refused.status, message(refused)], [409, `Cannot '${word}' instance ${id} while it is in task_state ${busy}`]);
    }
    await house.put(id, { task_state: null, launched_at: null });
    assert.equal((await house.act(id, body, admin)).status, 409, 'it was never launched');
  });

  test(`${word}: another project, nobody, nothing, a lock, a body that does not fit`, async () => {
    const id = await house.boot();
    await house.put(id, { vm_state: vm[0] ?? 'active' });
    const at = '2.94';
    assert.equal((await house.act(id, body, { as: 'other', at })).status, 404);
    assert.equal((await house.act(id, body, { as: null, at })).status, 401);
    assert.equal((await house.act('00000000-0000-4000-8000-000000000000', body, admin)).status, 404);
    assert.equal((await house.act(id, { ...body, more: 1 }, admin)).status, 400);
    if (!lock) return;
    await house.put(id, { locked: 1 });
    const locked = await house.act(id, body, { as: 'demo', at });
    if (locked.status !== 403) assert.deepEqual([locked.status, message(locked)], [409, `Instance ${id} is locked`]);
  });
}

for (const policy of ['anti-affinity', 'affinity'] as const)
  test(`a member of an ${policy} group moves as its rule allows`, async () => {
    const group = await house.core.group(policy);
    await house.db.transaction((tx) =>
      tx
        .updateTable('server_groups')
        .set({ project_id: 'd'.repeat(32) })
        .where('uuid', '=', group)
        .execute(),
    );
    const create = async () => {
      const body = {
        server: { name: 'web', imageRef: '7c1b4e62-1f63-4a3a-9d3f-53c1f3a2f001', flavorRef: '1' },
        'os:scheduler_hints': { group },
      };
      const made = await house.ask('POST /servers', { body });
      assert.equal(made.status, 202, made.text);
      return (await house.ended(made.body.server.id)).uuid;
    };
    const first = await create();
    // Alone, a member of either group may go.
    await house.act(first, { migrate: null }, admin);
    assert.equal((await house.ended(first)).vmState, 'resized');
    assert.deepEqual(await house.core.audit(), []);
    await house.act(first, { confirmResize: null });
    await house.ended(first);
    // With another one on the other host, or on the same, there is nowhere to go.
    const second = await create();
    assert.equal((await house.server(second)).vmState, 'active');
    await house.act(first, { migrate: null }, admin);
    const kept = await house.ended(first);
    assert.equal(kept.vmState, 'active');
    assert.match(kept.fault?.message ?? '', /No valid host was found/);
    assert.deepEqual(await house.core.audit(), []);
  });
