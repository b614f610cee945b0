import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { CloudError, neighbourUnavailable } from '../../../src/model/errors.ts';
import { callers } from '../../support/compute-api.ts';
import { type ActHouse, DEMO_PROJECT, IMAGE, message, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse({ parts: { quotas: { instances: -1, cores: -1, ram: -1, metadata_items: 1 } } });
});
afterEach(() => house.wipe());
after(() => house.close());
const book = () => house.core.images;
const imageAt = (location: string | null) => book().images.get(location?.split('/').at(-1) ?? '');

test('a snapshot is an image of the caller’s with the server’s properties and the disk’s data', async () => {
  const id = await house.boot();
  const answer = await house.act(id, { createImage: { name: 'copy', metadata: { mine: 'yes' } } });
  assert.deepEqual([answer.status, answer.text], [202, '']);
  const location = answer.headers.get('location') ?? '';
  assert.match(location, new RegExp(`^${house.origin}/image/v2/images/[0-9a-f-]{36}$`));
  await house.ended(id);
  const image = imageAt(location);
  assert.deepEqual([image?.name, image?.status, image?.visibility, image?.minDiskGiB], ['copy', 'active', 'private', 2]);
  assert.deepEqual(image?.properties, {
    hw_disk_bus: 'virtio',
    base_image_ref: IMAGE,
    image_location: 'snapshot',
    image_state: 'available',
    image_type: 'snapshot',
    instance_uuid: id,
    owner_id: DEMO_PROJECT,
    user_id: callers.demo?.userId,
    mine: 'yes',
  });
  assert.match(Buffer.from(image?.data ?? '', 'base64').toString(), /^a disk of the fake hypervisor/);
  // What an image was made of the server boots as any other.
  const made = await house.ask('POST /servers', { body: { server: { name: 'child', imageRef: image?.id, flavorRef: '1' } } });
  assert.equal(made.status, 202, made.text);
  assert.equal((await house.ended(made.body.server.id)).vmState, 'active');
});

test('an admin sees in the details how long copy and upload took, from 2.84 on; its owner does not', async () => {
  const id = await house.boot();
  await house.act(id, { createImage: { name: 'timed' } });
  await house.ended(id);
  const eventsFor = async (as: string, at: string) => {
    const list = await house.ask(`GET /servers/${id}/os-instance-actions`, { as, at });
    const request = list.body.instanceActions.find((one: { action: string }) => one.action === 'createImage').request_id;
    const shown = await house.ask(`GET /servers/${id}/os-instance-actions/${request}`, { as, at });
    return shown.body.instanceAction.events as { event: string; details?: string }[];
  };
  const named = (events: { event: string; details?: string }[], name: string) => events.find(({ event }) => event === name)?.details;
  const seen = await eventsFor('admin', '2.84');
  assert.match(named(seen, 'phase_copy') ?? '', /^\d+ bytes; \d+\.\d{3} s$/);
  assert.match(named(seen, 'phase_upload') ?? '', /^\d+\.\d{3} s$/);
  assert.equal(named(await eventsFor('admin', '2.83'), 'phase_copy'), undefined);
  assert.equal(named(await eventsFor('demo', '2.84'), 'phase_copy'), undefined);
});

test('from 2.45 on the id stands in the body, and no place is told', async () => {
  const id = await house.boot();
  const answer = await house.act(id, { createImage: { name: 'copy' } }, { at: '2.45' });
  assert.deepEqual([answer.status, answer.headers.get('location')], [202, null]);
  assert.deepEqual(Object.keys(answer.body), ['image_id']);
  assert.ok(book().images.has(answer.body.image_id));
});

test('another project’s admin shares what they make', async () => {
  const id = await house.boot();
  const answer = await house.act(id, { createImage: { name: 'copy' } }, { at: '2.45', as: 'admin' });
  assert.equal(book().images.get(answer.body.image_id)?.visibility, 'shared');
});

test('metadata is held against its quota to 2.38, never after; names are names', async () => {
  const id = await house.boot();
  const createImage = { name: 'copy', metadata: { a: '1', b: '2' } };
  const over = await house.act(id, { createImage }, { at: '2.38' });
  assert.deepEqual([over.status, message(over)], [403, 'Maximum number of metadata items exceeds 1: 2 were asked for.']);
  assert.equal((await house.act(id, { createImage }, { at: '2.39' })).status, 202);
  await house.ended(id);
  for (const wrong of [{}, { name: '' }, { name: 'x'.repeat(256) }, { name: 'x', metadata: { a: 1 } }, { name: 'x', more: 1 }])
    assert.equal((await house.act(id, { createImage: wrong })).status, 400, JSON.stringify(wrong));
});

test('what the image service refuses is refused, and nothing is begun', async () => {
  const id = await house.boot();
  for (const [trouble, status] of [
    [new CloudError('image.answered_413', 'tooLarge', 'The limit has been exceeded'), 403],
    [new CloudError('image.answered_403', 'forbidden', 'You may not'), 403],
    [neighbourUnavailable({ service: 'image' }), 503],
  ] as const) {
    book().troubles.push(trouble);
    const refused = await house.act(id, { createImage: { name: 'copy' } });
    assert.deepEqual([refused.status, message(refused)], [status, trouble.message]);
    assert.equal((await house.server(id)).taskState, null);
  }
});

test('an upload that fails takes the image away; one too late for its server, too', async () => {
  const id = await house.boot();
  book().troubles.length = 0;
  const before = book().images.size;
  const slow = await house.boot('active', { 'fake:snapshot': 'slow:150' });
  const answer = await house.act(slow, { createImage: { name: 'late' } }, { at: '2.45' });
  await house.core.until(
    () => house.server(slow),
    (server) => server.taskState === 'image_pending_upload',
  );
  assert.equal((await house.ask(`DELETE /servers/${slow}`)).status, 204);
  await house.core.quiet();
  assert.ok(!book().images.has(answer.body.image_id), 'the image of a deleted server is left');
  await house.act(id, { createImage: { name: 'copy' } });
  book().troubles.push(new CloudError('image.answered_413', 'tooLarge', 'The store is full'));
  const server = await house.ended(id);
  assert.deepEqual([server.vmState, server.fault?.message, server.fault?.code], ['active', 'The store is full', 413]);
  assert.equal(book().images.size, before);
  assert.equal((await house.record(id))?.message, 'Error');
});

test('backups: only the newest of their type are kept', async () => {
  const id = await house.boot();
  const backup = async (type: string, rotation: number | string, at = '2.45') => {
    const answer = await house.act(id, { createBackup: { name: type, backup_type: type, rotation } }, { at });
    assert.equal(answer.status, 202, answer.text);
    await house.ended(id);
    return answer;
  };
  const [first, , third, weekly] = [
    await backup('daily', 2),
    await backup('daily', '2'),
    await backup('daily', 2),
    await backup('weekly', 1),
  ];
  const left = [...book().images.values()].filter((image) => image.properties.instance_uuid === id);
  assert.equal(left.length, 3);
  assert.ok(!left.some((image) => image.id === first.body.image_id));
  assert.ok(left.some((image) => image.id === third.body.image_id) && left.some((image) => image.id === weekly.body.image_id));
  assert.deepEqual([left[0]?.properties.image_type, left[0]?.properties.backup_type], ['backup', 'daily']);
  const none = await backup('daily', 0, '2.44');
  assert.equal(none.headers.get('location'), null, 'nothing is kept, so there is no place');
  assert.ok(![...book().images.values()].some((image) => image.properties.backup_type === 'daily'));
  assert.ok((await backup('daily', 1, '2.44')).headers.get('location'));
  for (const rotation of [-1, '-1', 'x', '', 1.5, '99999999999999999999', null])
    assert.equal((await house.act(id, { createBackup: { name: 'x', backup_type: 'x', rotation } })).status, 400, String(rotation));
});

test('an image service that is away for a while does not cost the backup', async () => {
  let strikes = 1;
  const slow = await openActHouse({
    onStep(_kind, step, phase) {
      if (step === 'rotate' && phase === 'before' && strikes-- > 0)
        slow.core.images.troubles.push(neighbourUnavailable({ service: 'image' }));
    },
  });
  try {
    const id = await slow.boot();
    const answer = await slow.act(id, { createBackup: { name: 'b', backup_type: 'd', rotation: 1 } }, { at: '2.45' });
    assert.equal((await slow.ended(id)).fault, null);
    assert.equal((await slow.record(id))?.message, null);
    assert.ok(slow.core.images.images.has(answer.body.image_id));
    assert.ok(strikes < 0, 'it was never away, or not asked again');
  } finally {
    await slow.close();
  }
});

test('backups of servers on volumes are refused', async () => {
  const id = await house.boot();
  await house.put(id, { image_id: null, image: null });
  const backup = await house.act(id, { createBackup: { name: 'x', backup_type: 'x', rotation: 1 } });
  assert.deepEqual([backup.status, message(backup)], [400, 'Backup is not supported for volume-backed instances.']);
});
