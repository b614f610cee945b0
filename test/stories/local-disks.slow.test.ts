import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openVolumeWorld, type VolumeWorld } from '../support/volume-world.ts';

let world: VolumeWorld;
before(async () => {
  world = await openVolumeWorld();
  const flavor = { id: 'disks', name: 'disks', vcpus: 1, ram: 64, disk: 1, 'OS-FLV-EXT-DATA:ephemeral': 3, swap: 512 };
  await world.compute('POST /flavors', { flavor }, '2.96', world.admin);
});
after(() => world.house.remove());

const blank = (size: number | undefined, guest_format?: string) => ({
  source_type: 'blank',
  destination_type: 'local',
  ...(size === undefined ? {} : { volume_size: size }),
  ...(guest_format === undefined ? {} : { guest_format }),
});
const wish = (...disks: object[]) => ({ flavorRef: 'disks', block_device_mapping_v2: disks });

test('ephemeral and swap disks that a create names are what the guest gets', async () => {
  const id = await world.boot(wish(blank(1, 'ext3'), blank(2)));
  await world.serverIs(id, 'ACTIVE');
  const console = await world.console(id);
  assert.match(console, /ephemeral disk of 1024 MiB as \/dev\/vdb\n.*ephemeral disk of 2048 MiB as \/dev\/vdc\n.*swap disk of 512 MiB\n/);
  // A volume comes after them.
  const volume = await world.makeVolume();
  await world.attach(id, volume);
  assert.equal((await world.attachments(id))[0].device, '/dev/vdd');
  await world.compute(`POST /servers/${id}/action`, { rebuild: { imageRef: world.imageId } });
  await world.ended(id, 'rebuild');
  await world.serverIs(id, 'ACTIVE');
  assert.match(await world.console(id), new RegExp(`ephemeral disk of 2048 MiB as /dev/vdc\\n(.*\\n)*.*volume ${volume} as /dev/vdd`));
  await world.end(id);
});

test('a swap disk alone leaves the flavor’s ephemeral one; without a size an ephemeral disk is as large as the flavor grants', async () => {
  const one = await world.boot(wish(blank(100, 'swap')));
  await world.serverIs(one, 'ACTIVE');
  assert.match(await world.console(one), /ephemeral disk of 3072 MiB\n.*swap disk of 100 MiB as \/dev\/vdb\n/);
  const two = await world.boot(wish(blank(undefined)));
  await world.serverIs(two, 'ACTIVE');
  assert.match(await world.console(two), /ephemeral disk of 3072 MiB as \/dev\/vdb\n.*swap disk of 512 MiB\n/);
  await Promise.all([world.end(one), world.end(two)]);
});

test('more than the flavor grants is refused', async () => {
  for (const disks of [[blank(2), blank(2)], [blank(513, 'swap')], [blank(1, 'swap'), blank(1, 'swap')]]) {
    const server = { name: 's', imageRef: world.imageId, networks: 'none', ...wish(...disks) };
    assert.equal((await world.compute('POST /servers', { server })).status, 400);
  }
});
