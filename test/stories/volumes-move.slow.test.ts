import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Any, openVolumeWorld, type VolumeWorld } from '../support/volume-world.ts';

let world: VolumeWorld;
before(async () => {
  world = await openVolumeWorld({ args: ['--hypervisor', 'fake', '--hosts', '2'] });
});
after(() => world.house.remove());

const hostOf = async (id: string): Promise<string> => {
  const { server } = (await world.compute(`GET /servers/${id}`, undefined, '2.96', world.admin)).body;
  return server['OS-EXT-SRV-ATTR:host'];
};
const act = async (id: string, body: Any, at = '2.96') => {
  const answer = await world.compute(`POST /servers/${id}/action`, body, at, world.admin);
  assert.ok(answer.status < 300, JSON.stringify(answer.body));
};
/** Each volume has one attachment, complete, on the server's host (null: set aside only), and compute and block storage agree on which. */
const isWhole = async (id: string, host: string | null, ids: readonly string[]) => {
  const known = await world.attachments(id);
  assert.deepEqual(known.map((one) => one.volumeId).sort(), [...ids].sort());
  for (const { volumeId, attachment_id } of known) {
    await world.volumeIs(volumeId, host === null ? 'reserved' : 'in-use');
    const { attachments } = await world.volumes(`GET /attachments/detail?volume_id=${volumeId}&all_tenants=1`, undefined, world.admin);
    assert.deepEqual(
      attachments.map((one: Any) => one.id),
      [attachment_id],
    );
    assert.equal(attachments[0].status, host === null ? 'reserved' : 'attached');
    if (host === null) continue;
    const { volume } = await world.volumes(`GET /volumes/${volumeId}`, undefined, world.admin);
    assert.deepEqual(
      volume.attachments.map((one: Any) => one.host_name),
      [host],
    );
  }
};
const withVolumes = async (metadata: Any = {}): Promise<{ id: string; volumes: string[]; host: string }> => {
  const id = await world.bootBacked({ metadata });
  const data = await world.makeVolume();
  await world.attach(id, data);
  const volumes = (await world.attachments(id)).map((one) => one.volumeId);
  const host = await hostOf(id);
  await isWhole(id, host, volumes);
  return { id, volumes, host };
};

test('a resize takes the volumes along, a revert brings them back', async () => {
  const { id, volumes, host } = await withVolumes();
  await act(id, { migrate: null });
  await world.serverIs(id, 'VERIFY_RESIZE');
  const there = await hostOf(id);
  assert.notEqual(there, host);
  await isWhole(id, there, volumes);
  await act(id, { revertResize: null });
  await world.serverIs(id, 'ACTIVE');
  assert.equal(await hostOf(id), host);
  await isWhole(id, host, volumes);
  await act(id, { migrate: null });
  await world.serverIs(id, 'VERIFY_RESIZE');
  await act(id, { confirmResize: null });
  await world.serverIs(id, 'ACTIVE');
  await isWhole(id, there, volumes);
  await world.end(id);
  await world.volumeIs(volumes[1] ?? '', 'available');
});

test('a live migration takes the volumes along', async () => {
  const { id, volumes, host } = await withVolumes();
  await act(id, { 'os-migrateLive': { host: null, block_migration: 'auto' } });
  await world.ended(id, 'live-migration');
  await world.serverIs(id, 'ACTIVE');
  assert.notEqual(await hostOf(id), host);
  await isWhole(id, await hostOf(id), volumes);
  await world.end(id);
});

for (const deed of ['fetchDisks', 'spawn']) {
  test(`a move that fails in ${deed} leaves the volumes where they were`, async () => {
    const id = await world.bootBacked();
    const host = await hostOf(id);
    const volumes = (await world.attachments(id)).map((one) => one.volumeId);
    const { services } = (await world.compute('GET /os-services?binary=nova-compute', undefined, '2.96', world.admin)).body;
    const other = services.map((one: Any) => one.host).find((one: string) => one !== host);
    await world.compute(`POST /servers/${id}/metadata`, { metadata: { [`fake:${deed}`]: `fail-on:${other}` } });
    await act(id, { migrate: null });
    await world.ended(id, 'migrate');
    await world.serverIs(id, 'ACTIVE');
    assert.equal(await hostOf(id), host);
    await isWhole(id, host, volumes);
    await world.end(id);
  });
}

test('a live migration that fails leaves the volumes where they were', async () => {
  const { id, volumes, host } = await withVolumes({ 'fake:migrateLive': 'fail' });
  await act(id, { 'os-migrateLive': { host: null, block_migration: 'auto' } });
  await world.ended(id, 'live-migration');
  await world.serverIs(id, 'ACTIVE');
  assert.equal(await hostOf(id), host);
  await isWhole(id, host, volumes);
  await world.end(id);
});

test('a shelved server on volumes leaves its host at once, without an image; its volumes stay set aside and come along when it is unshelved', async () => {
  const { id, volumes } = await withVolumes();
  const images = async () => (await world.demo.image.ask<Any>('GET', '/v2/images')).body.images.length;
  const before = await images();
  await act(id, { shelve: null });
  await world.serverIs(id, 'SHELVED_OFFLOADED');
  assert.equal(await images(), before);
  await isWhole(id, null, volumes);
  await act(id, { unshelve: null });
  await world.serverIs(id, 'ACTIVE');
  await isWhole(id, await hostOf(id), volumes);
  await world.end(id);
});

test('a server on volumes is evacuated with them', async () => {
  const { id, volumes, host } = await withVolumes();
  const down = async (forced_down: boolean) => {
    const { services } = (await world.compute(`GET /os-services?binary=nova-compute&host=${host}`, undefined, '2.96', world.admin)).body;
    await world.compute(`PUT /os-services/${services[0].id}`, { forced_down }, '2.96', world.admin);
  };
  await down(true);
  await act(id, { evacuate: {} }, '2.94');
  await world.ended(id, 'evacuate');
  await world.serverIs(id, 'ACTIVE');
  assert.notEqual(await hostOf(id), host);
  await isWhole(id, await hostOf(id), volumes);
  await down(false);
  await world.end(id);
});
