import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { systemClock } from '../../../src/lib/clock.ts';
import { callers, DEMO_PROJECT } from '../../support/compute-api.ts';
import { type ActHouse, message, openActHouse } from '../acts/house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse({ hosts: 3 });
});
afterEach(async () => {
  await house.wipe();
  assert.deepEqual(await house.core.audit(), []);
});
after(() => house.close());

const resize = { resize: { flavorRef: '2' } };
const moves = (id: string) =>
  house.db.read.selectFrom('server_migrations').selectAll().where('server_uuid', '=', id).orderBy('id').execute();
const guestOn = async (host: string | null, id: string) => (await house.core.drivers[host ?? '']?.guest(id))?.power;
const quota = async () =>
  Object.fromEntries(
    (await house.db.read.selectFrom('quota_usages').select(['resource', 'used']).execute()).map((row) => [row.resource, row.used]),
  );
async function resized(state: 'active' | 'stopped' = 'active', body: object = resize) {
  const id = await house.boot(state);
  const from = (await house.server(id)).host;
  const answer = await house.act(id, body, 'migrate' in body ? { as: 'admin' } : {});
  assert.equal(answer.status, 202, answer.text);
  const server = await house.ended(id);
  assert.equal(server.vmState, 'resized', server.fault?.message);
  return { id, from, server };
}

for (const state of ['active', 'stopped'] as const)
  test(`resize of a server that is ${state}: another host, the new flavor, claims on both until it is confirmed`, async () => {
    const id = await house.boot(state);
    const from = (await house.server(id)).host;
    const since = systemClock.now();
    assert.equal((await house.act(id, resize)).status, 202);
    const server = await house.ended(id);
    assert.equal(server.vmState, 'resized', server.fault?.message);
    assert.notEqual(server.host, from);
    assert.equal(server.flavor.flavorId, '2');
    assert.deepEqual(await house.tasks(id, since), ['resize_prep', 'resize_migrating', 'resize_migrated', 'resize_finish', null]);
    const shown = await house.ask(`GET /servers/${id}`);
    assert.equal(shown.body.server.status, 'VERIFY_RESIZE');
    assert.equal(house.core.network.hosts.get(id), server.host);
    assert.deepEqual([await guestOn(from, id), await guestOn(server.host, id)], [undefined, state === 'active' ? 'running' : undefined]);
    const [move] = await moves(id);
    assert.deepEqual([move?.type, move?.status, move?.source_host, move?.dest_host], ['resize', 'finished', from, server.host]);
    const record = await house.record(id);
    assert.deepEqual([record?.action, record?.message], ['resize', null]);
    assert.deepEqual(
      record?.events.map((event) => [event.event, event.result]),
      ['conductor_migrate_server', 'cold_migrate', 'compute_prep_resize', 'compute_resize_instance', 'compute_finish_resize'].map(
        (event) => [event, 'Success'],
      ),
    );
    assert.deepEqual(await house.core.audit(), []);

    assert.equal((await house.act(id, { confirmResize: null })).status, 204);
    const confirmed = await house.ended(id);
    assert.deepEqual([confirmed.vmState, confirmed.taskState, confirmed.host], [state, null, server.host]);
    assert.equal((await moves(id))[0]?.status, 'confirmed');
    assert.deepEqual(
      (await house.record(id))?.events.map((event) => [event.event, event.result]),
      [['compute_confirm_resize', 'Success']],
    );
    assert.deepEqual(await house.core.audit(), []);
    assert.equal(
      await house.core.drivers[from ?? '']?.offerDisks(id).then(
        () => 'disks',
        () => 'none',
      ),
      'none',
      'the old disks are left',
    );
  });

for (const state of ['active', 'stopped'] as const)
  test(`a reverted resize of a server that was ${state} is what and where it was, its quota too`, async () => {
    const before = await quota();
    const { id, from, server } = await resized(state);
    assert.deepEqual([(await quota()).cores, (await quota()).ram], [(before.cores ?? 0) + 4, (before.ram ?? 0) + 2048]);
    const since = systemClock.now();
    assert.equal((await house.act(id, { revertResize: null })).status, 202);
    const back = await house.ended(id);
    assert.deepEqual([back.vmState, back.taskState, back.host, back.flavor.flavorId], [state, null, from, '1'], back.fault?.message);
    assert.deepEqual(await house.tasks(id, since), ['resize_reverting', null]);
    assert.deepEqual([(await quota()).cores, (await quota()).ram], [(before.cores ?? 0) + 1, (before.ram ?? 0) + 512]);
    assert.deepEqual([await guestOn(from, id), await guestOn(server.host, id)], [state === 'active' ? 'running' : undefined, undefined]);
    assert.equal(house.core.network.hosts.get(id), from);
    assert.equal((await moves(id))[0]?.status, 'reverted');
    assert.deepEqual(
      (await house.record(id))?.events.map((event) => event.event),
      ['compute_revert_resize', 'compute_finish_revert_resize'],
    );
    assert.deepEqual(await house.core.audit(), []);
    // And once more, onto hosts it has been on before.
    assert.equal((await house.act(id, resize)).status, 202);
    assert.equal((await house.ended(id)).vmState, 'resized');
    assert.equal((await house.act(id, { confirmResize: null })).status, 204);
    assert.equal((await house.ended(id)).vmState, state);
  });

test('a smaller flavor gives its quota back when it is confirmed, not before', async () => {
  const before = await quota();
  const { id } = await resized('active', { resize: { flavorRef: '3' } });
  assert.equal((await quota()).ram, (before.ram ?? 0) + 512);
  assert.deepEqual(await house.core.audit(), []);
  await house.act(id, { confirmResize: null });
  await house.ended(id);
  assert.equal((await quota()).ram, (before.ram ?? 0) + 256);
});

test('a cold migration: to any other host, to a named one, and what is refused', async () => {
  const { id, from, server } = await resized('active', { migrate: null });
  assert.notEqual(server.host, from);
  assert.equal((await moves(id))[0]?.type, 'migration');
  assert.equal((await house.record(id))?.action, 'migrate');
  await house.act(id, { confirmResize: null });
  await house.ended(id);
  const host = ['host-0', 'host-1', 'host-2'].find((one) => one !== server.host && one !== from) ?? '';
  assert.equal((await house.act(id, { migrate: { host } }, { as: 'admin', at: '2.56' })).status, 202);
  assert.equal((await house.ended(id)).host, host);
  await house.act(id, { revertResize: null });
  const back = await house.ended(id);
  assert.equal(back.host, server.host);
  for (const [body, at, status] of [
    [{ migrate: { host: back.host } }, '2.56', 400],
    [{ migrate: { host: 'nowhere' } }, '2.56', 400],
    [{ migrate: { hosts: 'x' } }, '2.56', 400],
    [{ migrate: null }, '2.1', 403],
  ] as const) {
    const answer = await house.act(id, body, { as: status === 403 ? 'demo' : 'admin', at });
    assert.equal(answer.status, status, JSON.stringify(body));
  }
});

test('what a resize refuses, each with its reason', async () => {
  const id = await house.boot();
  for (const [flavorRef, text] of [
    ['1', /must change flavor/],
    ['4', /cannot shrink/],
    ['5', /root disk is 0/],
    ['999', /could not be found/],
  ] as const) {
    const answer = await house.act(id, { resize: { flavorRef } });
    assert.equal(answer.status, 400);
    assert.match(message(answer), text);
  }
  assert.equal((await house.act(id, { confirmResize: null })).status, 409);
  await house.put(id, { vm_state: 'resized' });
  for (const body of [{ confirmResize: null }, { revertResize: null }]) {
    const answer = await house.act(id, body);
    assert.deepEqual([answer.status, message(answer)], [400, 'Instance has not been resized.']);
  }
  await house.put(id, { vm_state: 'active' });
  const { host } = await house.server(id);
  await house.db.transaction((tx) =>
    tx
      .updateTable('services')
      .set({ forced_down: 1 })
      .where('host', '=', host ?? '')
      .execute(),
  );
  assert.equal((await house.act(id, resize)).status, 409);
  await house.db.transaction((tx) =>
    tx
      .updateTable('services')
      .set({ forced_down: 0 })
      .where('host', '=', host ?? '')
      .execute(),
  );
});

test('over quota is a 403 at the request, and nothing is taken', async () => {
  const tight = await openActHouse({ hosts: 2, parts: { quotas: { instances: 1, cores: 3, ram: -1 } } });
  try {
    const id = await tight.boot();
    const answer = await tight.act(id, resize);
    assert.equal(answer.status, 403);
    assert.match(message(answer), /Quota exceeded for cores: Requested 3, but already used 1 of 3 cores/);
    assert.deepEqual([(await tight.server(id)).taskState, await tight.core.audit()], [null, []]);
    // A smaller one is taken though an operator has lowered the limit since.
    assert.equal((await tight.act(id, { resize: { flavorRef: '3' } })).status, 202);
    assert.equal((await tight.ended(id)).vmState, 'resized');
  } finally {
    await tight.close();
  }
});

test('a user’s own limit holds too, with resizes on their way counted', async () => {
  const wide = await openActHouse({ hosts: 2, parts: { quotas: { instances: -1, cores: -1, ram: -1 } } });
  try {
    const user = callers.demo?.userId;
    const set = async (cores: number) =>
      assert.equal(
        (await wide.ask(`PUT /os-quota-sets/${DEMO_PROJECT}?user_id=${user}`, { as: 'admin', body: { quota_set: { cores } } })).status,
        200,
      );
    const [one, two] = [await wide.boot(), await wide.boot()];
    await set(4);
    const refused = await wide.act(one, resize);
    assert.deepEqual([refused.status, message(refused)], [403, 'Quota exceeded for cores: Requested 3, but already used 2 of 4 cores']);
    assert.deepEqual([(await wide.server(one)).taskState, await wide.core.audit()], [null, []]);
    await set(5);
    assert.equal((await wide.act(one, resize)).status, 202);
    // Also while the first one is not confirmed yet, and may still be on its way.
    assert.equal((await wide.act(two, resize)).status, 403);
    assert.equal((await wide.ended(one)).vmState, 'resized');
    assert.match(message(await wide.act(two, resize)), /Requested 3, but already used 5 of 5 cores/);
    assert.equal((await wide.act(two, { resize: { flavorRef: '3' } })).status, 202, 'a smaller one');
  } finally {
    await wide.close();
  }
});

for (const deed of ['powerOff', 'offerDisks', 'fetchDisks', 'resizeDisks', 'spawn'] as const)
  test(`a resize in which ${deed} fails leaves the server as it was, with the reason`, async () => {
    const onSource = deed === 'powerOff' || deed === 'offerDisks';
    const id = await house.boot('active', onSource ? { [`fake:${deed}`]: 'fail' } : {});
    const { host } = await house.server(id);
    // The fault hits only where the move is: what brings it back must work.
    const target = ['host-0', 'host-1', 'host-2'].find((one) => one !== host) ?? '';
    if (!onSource) await house.put(id, { metadata: JSON.stringify({ [`fake:${deed}`]: `fail-on:${target}` }) });
    const before = await quota();
    const answer = await house.act(id, { migrate: { host: target } }, { as: 'admin', at: '2.56' });
    assert.equal(answer.status, 202);
    const server = await house.ended(id);
    assert.deepEqual([server.vmState, server.taskState, server.host], ['active', null, host]);
    assert.match(server.fault?.message ?? '', new RegExp(`told to fail ${deed}`));
    assert.equal((await moves(id))[0]?.status, 'error');
    assert.equal((await house.record(id))?.message, 'Error');
    assert.equal(await guestOn(host, id), 'running');
    assert.equal(house.core.network.hosts.get(id), host);
    assert.deepEqual(await quota(), before);
    assert.deepEqual(await house.core.audit(), []);
  });

test('no host fits: the server runs on, the refusal is in its action', async () => {
  const id = await house.boot();
  await house.db.transaction((tx) => tx.updateTable('services').set({ disabled: 1 }).where('binary', '=', 'nova-compute').execute());
  assert.equal((await house.act(id, resize)).status, 202);
  const server = await house.ended(id);
  await house.db.transaction((tx) => tx.updateTable('services').set({ disabled: 0 }).execute());
  assert.deepEqual([server.vmState, server.taskState], ['active', null]);
  assert.match(server.fault?.message ?? '', /No valid host was found/);
  assert.deepEqual(await house.core.audit(), []);
});

for (const stage of ['resized', 'leave', 'arrive', 'revert'] as const)
  test(`a delete wins, ${stage}: nothing is left on either host`, async () => {
    const slow = stage === 'leave' ? { 'fake:offerDisks': 'slow:400' } : stage === 'arrive' ? { 'fake:fetchDisks': 'slow:400' } : {};
    const id = await house.boot('active', slow);
    await house.act(id, resize);
    if (stage === 'resized' || stage === 'revert') await house.ended(id);
    if (stage === 'revert') await house.act(id, { revertResize: null });
    if (stage === 'leave' || stage === 'arrive')
      await house.core.until(
        () => house.server(id),
        (server) => server.taskState === (stage === 'leave' ? 'resize_migrating' : 'resize_finish'),
      );
    assert.equal((await house.ask(`DELETE /servers/${id}`)).status, 204);
    assert.equal((await house.core.settled(id))?.deleted, true);
    await house.core.quiet();
    for (const driver of Object.values(house.core.drivers)) assert.equal(await driver.guest(id), undefined);
    assert.deepEqual(await house.core.audit(), []);
  });

test('a resize is confirmed by itself when its window has passed', async () => {
  const quick = await openActHouse({ hosts: 2, conductor: { pollMs: 50, resendMs: 100, resizeConfirmSeconds: 1, movesMs: 50 } });
  try {
    const id = await quick.boot();
    await quick.act(id, resize);
    await quick.core.until(
      () => quick.server(id),
      (server) => server.vmState === 'resized',
    );
    const server = await quick.core.until(
      () => quick.server(id),
      (one) => one.vmState === 'active',
    );
    assert.equal(server.flavor.flavorId, '2');
    await quick.core.quiet();
    assert.deepEqual(await quick.core.audit(), []);
  } finally {
    await quick.close();
  }
});

test('where it may stay on its host, a resize needs no other', async () => {
  const lonely = await openActHouse({ hosts: 1, parts: { resizeToSameHost: true } });
  try {
    for (const [end, flavorRef] of [
      ['revertResize', '1'],
      ['confirmResize', '2'],
    ] as const) {
      const id = await lonely.boot();
      assert.equal((await lonely.act(id, resize)).status, 202);
      const server = await lonely.ended(id);
      assert.deepEqual([server.vmState, server.host], ['resized', 'host-0'], server.fault?.message);
      assert.deepEqual(await lonely.core.audit(), []);
      await lonely.act(id, { [end]: null });
      const ended = await lonely.ended(id);
      assert.deepEqual([ended.vmState, ended.flavor.flavorId], ['active', flavorRef], ended.fault?.message);
      assert.deepEqual(await lonely.core.audit(), []);
    }
  } finally {
    await lonely.close();
  }
});
