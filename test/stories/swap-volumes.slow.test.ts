import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openVolumeWorld, type VolumeWorld } from '../support/volume-world.ts';

let world: VolumeWorld;
before(async () => {
  world = await openVolumeWorld();
});
after(() => world.house.remove());

const migrating = (id: string, status = 'migrating') =>
  world.volumes(`POST /volumes/${id}/action`, { 'os-reset_status': { migration_status: status } }, world.admin);
const put = (server: string, volume: string, next: string, at = '2.96') =>
  world.compute(`PUT /servers/${server}/os-volume_attachments/${volume}`, { volumeAttachment: { volumeId: next } }, at, world.admin);

test('a volume that its service moves is swapped for another under the running guest', async () => {
  const server = await world.boot();
  await world.serverIs(server, 'ACTIVE');
  const [old, next] = [await world.makeVolume(), await world.makeVolume({ size: 2 })];
  await world.attach(server, old);
  const [before] = await world.attachments(server);
  assert.equal((await put(server, old, next)).status, 409, 'nobody moves it');
  await migrating(old);
  assert.equal((await world.volumes(`GET /volumes/${old}`)).volume.migration_status, 'migrating');
  const demos = await world.compute(`PUT /servers/${server}/os-volume_attachments/${old}`, { volumeAttachment: { volumeId: next } });
  assert.equal(demos.status, 403, 'swapping is the services’');
  assert.equal((await put(server, old, next)).status, 202);
  await world.volumeIs(next, 'in-use');
  await world.volumeIs(old, 'available');
  const action = await world.ended(server, 'swap_volume');
  assert.deepEqual([action.events.map((event: { event: string }) => event.event), action.message], [['compute_swap_volume'], null]);
  const [now, ...others] = await world.attachments(server);
  assert.deepEqual(others, []);
  assert.deepEqual([now.volumeId, now.device, now.bdm_uuid], [next, before.device, before.bdm_uuid]);
  assert.notEqual(now.attachment_id, before.attachment_id);
  const shown = (await world.compute(`GET /servers/${server}`)).body.server;
  assert.deepEqual(shown['os-extended-volumes:volumes_attached'], [{ id: next, delete_on_termination: false }]);
  assert.match(await world.console(server), new RegExp(`volume ${next} took the place of ${old}`));
  await world.end(server);
  await world.volumeIs(next, 'available');
});

test('a swap that cannot be is refused before anything changes', async () => {
  const server = await world.boot();
  await world.serverIs(server, 'ACTIVE');
  const [old, small, taken] = [await world.makeVolume({ size: 2 }), await world.makeVolume(), await world.makeVolume({ size: 2 })];
  await world.attach(server, old);
  await world.attach(server, taken);
  await migrating(old);
  const refusals: [string, number, RegExp][] = [
    [small, 400, /same size or larger/],
    [taken, 400, /must be detached/],
    [old, 400, /must be detached/],
    ['6b1a4e9f-4a2b-4bd2-9b54-6f5b0b8f0001', 400, /could not be found/],
  ];
  for (const [next, status, why] of refusals) {
    const answer = await put(server, old, next, '2.84');
    assert.equal(answer.status, status, JSON.stringify(answer.body));
    assert.match(JSON.stringify(answer.body), why);
  }
  await world.compute(`POST /servers/${server}/action`, { 'os-stop': null });
  await world.serverIs(server, 'SHUTOFF');
  assert.equal((await put(server, old, await world.makeVolume({ size: 2 }))).status, 409, 'a guest that is off swaps nothing');
  assert.equal((await world.volumes(`GET /volumes/${old}`)).volume.status, 'in-use');
  await migrating(old, 'none');
  await world.end(server);
});

test('a swap that fails leaves the old volume where it was and the new one free', async () => {
  const server = await world.boot({ metadata: { 'fake:swapVolume': 'fail' } });
  await world.serverIs(server, 'ACTIVE');
  const [old, next] = [await world.makeVolume(), await world.makeVolume()];
  await world.attach(server, old);
  await migrating(old);
  assert.equal((await put(server, old, next)).status, 202);
  const action = await world.ended(server, 'swap_volume');
  assert.equal(action.events[0].result, 'Error');
  await world.volumeIs(next, 'available');
  await world.volumeIs(old, 'in-use');
  assert.deepEqual(
    (await world.attachments(server)).map((one) => one.volumeId),
    [old],
  );
  await world.end(server);
  await world.volumeIs(old, 'available');
});

test('a reply that is lost makes the guest give the new volume back', async () => {
  const server = await world.boot({ metadata: { 'fake:swapVolume': 'lose-reply-once' } });
  await world.serverIs(server, 'ACTIVE');
  const [old, next] = [await world.makeVolume(), await world.makeVolume()];
  await world.attach(server, old);
  await migrating(old);
  assert.equal((await put(server, old, next)).status, 202);
  await world.ended(server, 'swap_volume');
  await world.volumeIs(next, 'available');
  assert.deepEqual(
    (await world.attachments(server)).map((one) => one.volumeId),
    [old],
  );
  assert.match(await world.console(server), new RegExp(`volume ${old} took the place of ${next}`));
  await world.end(server);
});
