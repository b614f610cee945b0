import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { type ActionRule, actionRules, vmStates } from '../../../src/model/server-states.ts';
import { type ActRow, acts } from './acts-table.ts';
import { type ActHouse, message, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  // Steps take long enough to be told as task states.
  house = await openActHouse({ agent: { progressMs: 5 }, host: { misbehaviour: { snapshot: { slowMs: 10 } } } });
});
afterEach(() => house.wipe());
after(() => house.close());

const more = ({ at, as }: ActRow) => ({ ...(at ? { at } : {}), ...(as ? { as } : {}) });
const ruleOf = (act: ActRow): ActionRule => actionRules[act.rule];
for (const act of acts) {
  test(`${act.name}: task states, the state it leads to, its record and events`, async () => {
    const id = await house.boot(act.from, { 'fake:createDisks': 'slow:20', 'fake:spawn': 'slow:20' });
    const since = systemClock.now();
    const answer = await house.act(id, act.body, more(act));
    assert.equal(answer.status, act.status ?? 202, answer.text);
    const server = await house.ended(id);
    assert.equal(server.vmState, act.result ?? act.from, server.fault?.message);
    assert.deepEqual([server.taskState, server.powerState], [null, act.power]);
    assert.deepEqual(await house.tasks(id, since), act.tasks);
    const record = await house.record(id);
    assert.deepEqual([record?.action, record?.message], [act.record, null]);
    assert.ok((record?.finished_at ?? 0) >= (record?.started_at ?? 1));
    assert.deepEqual(
      record?.events.map((event) => [event.event, event.result]),
      act.events.map((event) => [event, 'Success']),
    );
    for (const { event, details } of record?.phases ?? []) assert.match(details ?? '', /\d\.\d{3} s$/, event);
    assert.deepEqual(await house.core.audit(), []);
  });

  test(`${act.name}: taken in each state that allows it, refused in each other with its name`, async () => {
    const { vm = vmStates, task } = ruleOf(act);
    const id = await house.boot();
    for (const state of vmStates.filter((one) => one !== 'deleted')) {
      const allowed = (vm as readonly string[]).includes(state);
      if (allowed && state !== act.from) {
        const one = await house.boot(state);
        const taken = await house.act(one, act.body, more(act));
        assert.equal(taken.status, act.status ?? 202, `${state}: ${taken.text}`);
        await house.core.quiet();
      } else if (!allowed) {
        await house.put(id, { vm_state: state });
        const refused = await house.act(id, act.body, more(act));
        assert.equal(refused.status, 409, `${state}: ${refused.text}`);
        assert.equal(message(refused), `Cannot '${act.record}' instance ${id} while it is in vm_state ${state}`);
      }
    }
    await house.put(id, { vm_state: act.from });
    for (const busy of ['powering-off', 'rebuilding', 'deleting', 'image_uploading']) {
      if (!task || task.includes(busy)) continue;
      await house.put(id, { task_state: busy });
      const refused = await house.act(id, act.body, more(act));
      assert.equal(refused.status, 409);
      assert.equal(message(refused), `Cannot '${act.record}' instance ${id} while it is in task_state ${busy}`);
    }
    await house.put(id, { task_state: null, launched_at: null });
    assert.equal((await house.act(id, act.body, more(act))).status, 409, 'it was never launched');
  });

  test(`${act.name}: a lock, another project, no right, nobody`, async () => {
    const id = await house.boot(act.from);
    const { at } = act;
    const body = act.body;
    await house.put(id, { locked: 1 });
    const locked = await house.ask(`POST /servers/${id}/action`, { body, ...(at ? { at } : {}), as: 'demo' });
    if (ruleOf(act).lock) assert.deepEqual([locked.status, message(locked)], [409, `Instance ${id} is locked`]);
    else assert.equal(locked.status, 202);
    await house.core.quiet();
    for (const [as, status] of [
      ['other', 404],
      [null, 401],
    ] as const) {
      const refused = await house.ask(`POST /servers/${id}/action`, { body, as, ...(at ? { at } : {}) });
      assert.equal(refused.status, status, refused.text);
    }
    const nowhere = await house.act('00000000-0000-4000-8000-000000000000', body, more(act));
    assert.equal(nowhere.status, 404);
    if (ruleOf(act).lock) {
      const admin = await house.act(id, body, { ...more(act), as: 'admin' });
      assert.equal(admin.status, act.status ?? 202, 'a lock does not stop admins');
      await house.core.quiet();
    }
  });

  test(`${act.name}: a hypervisor that fails leaves its reason in the record and the server`, async () => {
    const told = { [`fake:${act.deed}`]: 'fail' };
    // What also builds a guest must not fail before: a rebuild reads the server's metadata anew.
    const id = await house.boot(act.from, act.deed === 'spawn' ? {} : told);
    await house.put(id, { metadata: JSON.stringify(told) });
    const images = house.core.images.images.size;
    const answer = await house.act(id, act.body, more(act));
    assert.equal(answer.status, act.status ?? 202, answer.text);
    const server = await house.ended(id);
    assert.deepEqual([server.vmState, server.taskState], [act.failed ?? act.from, null]);
    assert.match(server.fault?.message ?? '', new RegExp(`told to fail ${act.deed}`));
    const record = await house.record(id);
    assert.deepEqual([record?.action, record?.message], [act.record, 'Error']);
    assert.equal(record?.events.at(-1)?.result, 'Error');
    assert.match(record?.events.at(-1)?.details ?? '', new RegExp(`told to fail ${act.deed}`));
    assert.equal(house.core.images.images.size, images, 'an image was left');
    const failed = await house.db.read.selectFrom('jobs').select(['input']).where('server_uuid', '=', id).execute();
    assert.deepEqual(
      failed.map((job) => job.input),
      ['{}'],
      'a failed job keeps no secrets',
    );
    assert.deepEqual(await house.core.audit(), []);
  });
}
