import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { imageClient } from '../../src/clients/image.ts';
import { volumeClient } from '../../src/clients/volume.ts';
import { CloudError } from '../../src/model/errors.ts';
import { type Client, startHouse, waitFor } from '../house/running.ts';
import { requires } from '../requires.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form
type Any = any;
/** Where a process dies in the middle of what it does with volumes. */
const POINTS = [
  'build-server.volumes.before',
  'build-server.volumes.middle',
  'build-server.volumes.after',
  'attach-volume.connect.middle',
  'attach-volume.plug.before',
  'attach-volume.plug.middle',
  'attach-volume.plug.after',
  'detach-volume.unplug.before',
  'detach-volume.unplug.middle',
  'detach-volume.free.middle',
  'delete-server.release.middle',
] as const;
const AT = { 'openstack-api-version': 'compute 2.89' };

const asked = async <T>(work: Promise<T>): Promise<T | undefined> =>
  work.catch((cause) => {
    // The process dies while it answers, or before.
    if (cause instanceof CloudError && ['unavailable', 'badGateway'].includes(cause.kind)) return undefined;
    throw cause;
  });

for (const point of POINTS)
  test(`killed at ${point}, the next process brings servers and volumes to their end`, async () => {
    let house = await startHouse({ env: { KILONOVA_CRASH_AT: point } });
    const { dataDir } = house;
    const reborn = async () => {
      await waitFor(
        () => house.child.signalCode !== null,
        20_000,
        () => `it was not killed at ${point}\n${house.output()}`,
      );
      house = await startHouse({ dataDir });
      return house.as('demo');
    };
    try {
      let demo = await house.as('demo');
      const image = (await demo.image.ask<Any>('GET', '/v2/images')).body.images[0].id;
      let volumes = volumeClient(demo.volume);
      const projectId = (await demo.identity.ask<Any>('GET', '/v3/auth/projects')).body.projects[0].id;
      const data = await volumes.create({ projectId, sizeGiB: 1, name: 'data' });
      const root = {
        source_type: 'image',
        uuid: image,
        destination_type: 'volume',
        volume_size: 1,
        boot_index: 0,
        delete_on_termination: true,
      };
      const server = { name: 's', flavorRef: '1', networks: 'none', block_device_mapping_v2: [root] };
      const { body } = await demo.compute.ask<Any>('POST', '/servers', { body: { server }, headers: AT });
      const { id } = body.server;
      if (point.startsWith('build-server')) demo = await reborn();
      await serverIs(demo, id, 'ACTIVE');
      const place = `/servers/${id}/os-volume_attachments`;
      await asked(demo.compute.ask('POST', place, { body: { volumeAttachment: { volumeId: data.id } }, headers: AT }));
      if (point.startsWith('attach-volume')) demo = await reborn();
      volumes = volumeClient(demo.volume);
      const volumeIs = (status: string) =>
        waitFor(
          async () => (await volumes.show(data.id)).status === status,
          20_000,
          () => `the volume is not ${status} after ${point}`,
          50,
        );
      await volumeIs('in-use');
      await waitFor(
        async () => (await idleServer(demo, id)) !== undefined,
        20_000,
        () => 'the server stays busy',
        50,
      );
      await asked(demo.compute.ask('DELETE', `${place}/${data.id}`, { headers: AT }));
      if (point.startsWith('detach-volume')) demo = await reborn();
      volumes = volumeClient(demo.volume);
      await volumeIs('available');
      await asked(demo.compute.ask('DELETE', `/servers/${id}`, { headers: AT }));
      if (point.startsWith('delete-server')) demo = await reborn();
      volumes = volumeClient(demo.volume);
      await waitFor(
        async () => (await volumes.list()).length === 1,
        20_000,
        () => `volumes were left after ${point}`,
        50,
      );
      assert.equal((await volumes.show(data.id)).status, 'available');
    } finally {
      await house.remove();
    }
  });

async function idleServer(client: Client, id: string): Promise<Any> {
  const { instanceActions } = (await client.compute.ask<Any>('GET', `/servers/${id}/os-instance-actions`, { headers: AT })).body;
  const { events } = (
    await client.compute.ask<Any>('GET', `/servers/${id}/os-instance-actions/${instanceActions[0].request_id}`, { headers: AT })
  ).body.instanceAction;
  return events.every((event: Any) => event.finish_time !== null) ? events : undefined;
}

async function serverIs(client: Client, id: string, status: string): Promise<void> {
  let seen: Any;
  await waitFor(
    async () => {
      seen = (await client.compute.ask<Any>('GET', `/servers/${id}`, { headers: AT })).body.server;
      return seen.status === status;
    },
    30_000,
    () => `the server is ${JSON.stringify(seen?.status)}: ${JSON.stringify(seen?.fault)}`,
    50,
  );
}

test('an image in qcow2 becomes a volume, and the volume an image, with the same bytes', { skip: requires('qemu-img') }, async () => {
  const house = await startHouse();
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-qcow2-'));
  try {
    const demo = await house.as('demo');
    const images = imageClient(demo.image, { cacheMs: 0 });
    const volumes = volumeClient(demo.volume);
    const projectId = (await demo.identity.ask<Any>('GET', '/v3/auth/projects')).body.projects[0].id;
    const raw = Buffer.alloc(8 * 1024 * 1024, 'what the disk holds ');
    writeFileSync(join(dir, 'disk.raw'), raw);
    execFileSync('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', join(dir, 'disk.raw'), join(dir, 'disk.qcow2')]);
    const image = await images.create({ name: 'q', diskFormat: 'qcow2', containerFormat: 'bare' });
    await images.upload(image.id, Readable.from([readFileSync(join(dir, 'disk.qcow2'))]));
    const made = await volumes.create({ projectId, sizeGiB: 1, imageId: image.id });
    const volumeIs = (status: string) =>
      waitFor(
        async () => (await volumes.show(made.id)).status === status,
        60_000,
        () => `the volume is not ${status}`,
        50,
      );
    await volumeIs('available');
    const file = join(house.dataDir, 'volumes', `volume-${made.id}`);
    assert.equal(statSync(file).size, 1024 ** 3);
    assert.ok(readFileSync(file).subarray(0, raw.length).equals(raw));
    const upload = { image_name: 'back', disk_format: 'qcow2', container_format: 'bare' };
    const { body } = await demo.volume.ask<Any>('POST', `/volumes/${made.id}/action`, {
      body: { 'os-volume_upload_image': upload },
      expect: [202],
    });
    await volumeIs('available');
    const back = await images.show(body['os-volume_upload_image'].image_id);
    assert.deepEqual([back.status, back.diskFormat, back.virtualSizeBytes], ['active', 'qcow2', 1024 ** 3]);
    const chunks: Buffer[] = [];
    for await (const chunk of await images.download(back.id)) chunks.push(chunk as Buffer);
    writeFileSync(join(dir, 'back.qcow2'), Buffer.concat(chunks));
    execFileSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', join(dir, 'back.qcow2'), join(dir, 'back.raw')]);
    assert.ok(readFileSync(join(dir, 'back.raw')).subarray(0, raw.length).equals(raw));
  } finally {
    await house.remove();
    rmSync(dir, { recursive: true });
  }
});
