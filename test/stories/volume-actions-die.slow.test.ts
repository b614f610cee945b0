import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CloudError } from '../../src/model/errors.ts';
import { waitFor } from '../house/running.ts';
import { type Any, openVolumeWorld } from '../support/volume-world.ts';

/** Where a process dies in the middle of what it does with a server's volumes. */
const POINTS = [
  'swap-volume.connect.middle',
  'swap-volume.swap.before',
  'swap-volume.swap.middle',
  'swap-volume.swap.after',
  'swap-volume.free.middle',
  'snapshot-volumes.snapshots.middle',
  'snapshot-volumes.snapshots.after',
  'snapshot-volumes.image.middle',
  'rebuild-server.reimage.before',
  'rebuild-server.reimage.middle',
  'rebuild-server.reimage.after',
  'move-server.volumes.middle',
  'move-server.joined.middle',
] as const;
const args = ['--hypervisor', 'fake', '--hosts', '2'];

for (const point of POINTS)
  test(`killed at ${point}, the next process brings the server and its volumes to their end`, async () => {
    let world = await openVolumeWorld({ args, env: { KILONOVA_CRASH_AT: point } });
    const { dataDir } = world.house;
    try {
      const server = await world.bootBacked();
      const [old, next] = [await world.makeVolume(), await world.makeVolume()];
      await world.attach(server, old);
      const root = (await world.attachments(server)).find((one) => one.device === '/dev/vda').volumeId;
      // The process may die while it answers.
      const ask = async (place: string, body: object) =>
        world.compute(place, body, '2.96', world.admin).catch((cause) => {
          if (!(cause instanceof CloudError)) throw cause;
          return undefined;
        });
      const kind = point.split('.')[0];
      const action =
        { 'swap-volume': 'swap_volume', 'snapshot-volumes': 'createImage', 'rebuild-server': 'rebuild' }[kind ?? ''] ?? 'migrate';
      if (action === 'swap_volume') {
        const status = { 'os-reset_status': { migration_status: 'migrating' } };
        await world.volumes(`POST /volumes/${old}/action`, status, world.admin);
        await ask(`PUT /servers/${server}/os-volume_attachments/${old}`, { volumeAttachment: { volumeId: next } });
      } else {
        const wish = { createImage: { name: 'copy' }, rebuild: { imageRef: world.imageId }, migrate: null };
        await ask(`POST /servers/${server}/action`, { [action]: wish[action as keyof typeof wish] });
      }
      await waitFor(
        () => world.house.child.signalCode !== null,
        20_000,
        () => `it was not killed at ${point}\n${world.house.output()}`,
      );
      world = await openVolumeWorld({ args, dataDir });
      const ended = await world.ended(server, action);
      assert.ok(
        ended.events.every((event: Any) => event.result === 'Success'),
        JSON.stringify(ended.events),
      );
      await world.serverIs(server, action === 'migrate' ? 'VERIFY_RESIZE' : 'ACTIVE');
      const has = (await world.attachments(server)).map((one) => one.volumeId);
      assert.deepEqual(has, [root, action === 'swap_volume' ? next : old]);
      for (const id of has) {
        await world.volumeIs(id, 'in-use');
        const { attachments } = await world.volumes(`GET /attachments/detail?volume_id=${id}`);
        assert.equal(attachments.length, 1, `volume ${id} has ${attachments.length} attachments`);
      }
      await world.volumeIs(action === 'swap_volume' ? old : next, 'available');
      if (action === 'createImage') {
        const { images } = (await world.admin.image.ask<Any>('GET', '/v2/images?name=copy')).body;
        assert.deepEqual([images.length, images[0].status], [1, 'active']);
        const { snapshots } = await world.volumes('GET /snapshots/detail');
        assert.deepEqual(
          JSON.parse(images[0].block_device_mapping)
            .map((one: Any) => one.snapshot_id)
            .sort(),
          snapshots.map((one: Any) => one.id).sort(),
        );
      }
    } finally {
      await world.house.remove();
    }
  });
