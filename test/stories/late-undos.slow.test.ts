import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { waitFor } from '../house/running.ts';
import { openVolumeWorld, type VolumeWorld } from '../support/volume-world.ts';

// A volume that is free again while some guest still writes to it is somebody's loss: what a job has begun is taken back whatever the hour, and tried again.
let world: VolumeWorld;
before(async () => {
  world = await openVolumeWorld();
});
after(() => world.house.remove());

/** Ends the time of a job that waits for its host, and has it looked at now. */
async function endTimeOf(kind: string): Promise<void> {
  const db = new DatabaseSync(join(world.house.dataDir, 'cloud.db'), { timeout: 10_000 });
  await waitFor(
    () => db.prepare(`UPDATE jobs SET deadline = 1, not_before = 0 WHERE kind = ? AND status = 'waiting'`).run(kind).changes === 1,
    10_000,
    () => `no ${kind} waits for its host`,
    10,
  );
  db.close();
}
const attachments = (server: string) => `/servers/${server}/os-volume_attachments`;

test('an attach whose time is over while the guest takes the volume: it is unplugged again, then free', async () => {
  const server = await world.boot({ metadata: { 'fake:attachVolume': 'slow:2500' } });
  await world.serverIs(server, 'ACTIVE');
  const volume = await world.makeVolume();
  assert.equal((await world.compute(`POST ${attachments(server)}`, { volumeAttachment: { volumeId: volume } })).status, 200);
  await endTimeOf('attach-volume');
  await world.volumeIs(volume, 'available');
  assert.match(await world.console(server), new RegExp(`volume ${volume} was unplugged`));
  await world.end(server);
});

test('a swap whose time is over: the guest has the old volume again before the new one is free', async () => {
  const server = await world.boot({ metadata: { 'fake:swapVolume': 'slow:2500' } });
  await world.serverIs(server, 'ACTIVE');
  const [old, next] = [await world.makeVolume(), await world.makeVolume()];
  await world.attach(server, old);
  await world.volumes(`POST /volumes/${old}/action`, { 'os-reset_status': { migration_status: 'migrating' } }, world.admin);
  const put = { volumeAttachment: { volumeId: next } };
  assert.equal((await world.compute(`PUT ${attachments(server)}/${old}`, put, '2.96', world.admin)).status, 202);
  await endTimeOf('swap-volume');
  await world.volumeIs(next, 'available');
  assert.match(await world.console(server), new RegExp(`volume ${old} took the place of ${next}`));
  assert.deepEqual(
    (await world.attachments(server)).map((one) => one.volumeId),
    [old],
  );
  await world.end(server);
});

test('a host that fails to unplug a volume is asked again', async () => {
  const server = await world.boot({ metadata: { 'fake:attachVolume': 'lose-reply-once', 'fake:detachVolume': 'fail-once' } });
  await world.serverIs(server, 'ACTIVE');
  const volume = await world.makeVolume();
  assert.equal((await world.compute(`POST ${attachments(server)}`, { volumeAttachment: { volumeId: volume } })).status, 200);
  await world.volumeIs(volume, 'available');
  assert.match(await world.console(server), new RegExp(`volume ${volume} was unplugged`));
  await world.end(server);
});
