import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type ActHouse, IMAGE, message, openActHouse } from './house.ts';

let house: ActHouse;
before(async () => {
  house = await openActHouse();
});
afterEach(() => house.wipe());
after(() => house.close());
const console = async (id: string) => (await house.act(id, { 'os-getConsoleOutput': {} })).body.output as string;

test('rescue answers the password, boots the image asked for, and unrescue goes back', async () => {
  const id = await house.boot();
  const other = house.core.images.add({ name: 'rescue' });
  const given = await house.act(id, { rescue: { adminPass: 'mine', rescue_image_ref: other } });
  assert.deepEqual([given.status, given.body], [200, { adminPass: 'mine' }]);
  assert.equal((await house.ended(id)).vmState, 'rescued');
  assert.match(await console(id), new RegExp(`booted for rescue from image ${other}`));
  assert.equal((await house.ask(`GET /servers/${id}`)).body.server.status, 'RESCUE');
  assert.equal((await house.act(id, { unrescue: null })).status, 202);
  assert.equal((await house.ended(id)).vmState, 'active');
  const own = await house.act(id, { rescue: {} });
  assert.match(own.body.adminPass, /^\w{12}$/);
  await house.ended(id);
  assert.match(await console(id), new RegExp(`booted for rescue from image ${IMAGE}`));
  assert.deepEqual(await house.core.audit(), []);
});

test('an image that is not there or has no data cannot rescue', async () => {
  const id = await house.boot();
  const queued = house.core.images.add({ status: 'queued' });
  for (const ref of ['00000000-0000-4000-8000-000000000000', queued]) {
    const refused = await house.act(id, { rescue: { rescue_image_ref: ref } });
    assert.deepEqual([refused.status, message(refused)], [400, `Requested rescue image '${ref}' is not supported`]);
  }
  for (const rescue of [{ rescue_image_ref: 'x' }, { adminPass: 1 }, { more: 1 }, 'now', []])
    assert.equal((await house.act(id, { rescue })).status, 400, JSON.stringify(rescue));
  assert.equal((await house.server(id)).vmState, 'active');
});

test('a server on a volume can be rescued from 2.87 on, with an image that comes beside the volume', async () => {
  const id = await house.boot();
  await house.put(id, { image_id: null, image: null });
  const plain = house.core.images.add();
  const stable = house.core.images.add({ properties: { hw_rescue_device: 'disk' } });
  for (const [at, ref, status] of [
    ['2.86', stable, 400],
    ['2.87', undefined, 400],
    ['2.87', plain, 400],
    ['2.87', stable, 200],
  ] as const) {
    const answer = await house.act(id, { rescue: ref === undefined ? null : { rescue_image_ref: ref } }, { at });
    assert.equal(answer.status, status, answer.text);
    if (status === 400) assert.match(message(answer), /^Instance .* cannot be rescued: Cannot rescue a volume-backed instance/);
  }
  assert.equal((await house.ended(id)).vmState, 'rescued');
});

test('the cloud’s own rescue image comes before the server’s; passwords can be kept back', async () => {
  const image = '99999999-0000-4000-8000-000000000001';
  const own = await openActHouse({ parts: { rescueImage: image, showPasswords: false } });
  try {
    own.core.images.add({ id: image });
    const id = await own.boot();
    assert.deepEqual((await own.act(id, { rescue: null })).body, {});
    await own.ended(id);
    assert.match((await own.act(id, { 'os-getConsoleOutput': {} })).body.output, new RegExp(`rescue from image ${image}`));
  } finally {
    await own.close();
  }
});
