import assert from 'node:assert/strict';
import { test } from 'node:test';
import { requires } from '../requires.ts';
import { openVolumeHouse } from './house.ts';

test('a type of encrypted volumes says so first: who may, and what is possible', { skip: requires('qemu-img') }, async () => {
  const house = await openVolumeHouse();
  try {
    const type = await house.type('secret');
    const at = `/v3/types/${type}/encryption`;
    const wish = (more: object = {}) => ({
      encryption: { provider: 'luks', cipher: 'aes-xts-plain64', key_size: 256, control_location: 'front-end', ...more },
    });
    assert.deepEqual((await house.ask('admin', `GET ${at}`)).body, {});
    assert.equal((await house.ask('ann', `POST ${at}`, wish())).status, 403);
    for (const [wrong, why] of [
      [{ provider: 'luks2' }, /provider luks2 is not served/],
      [{ control_location: 'back-end' }, /front-end/],
      [{ cipher: 'rot13-xts-plain64' }, /rot13 is not one of/],
      [{ cipher: 'aes-cbc-essiv' }, /essiv:sha256/],
      [{ key_size: 100 }, /key_size 100/],
      [{ provider: undefined }, /provider/],
    ] as const) {
      const refused = await house.ask('admin', `POST ${at}`, wish(wrong));
      assert.equal(refused.status, 400);
      assert.match(refused.body.badRequest.message, why);
    }
    const made = await house.ask('admin', `POST ${at}`, wish());
    assert.equal(made.status, 200);
    const { encryption_id: id } = made.body.encryption;
    assert.match((await house.ask('admin', `POST ${at}`, wish())).body.badRequest.message, /already exists/);
    const shown = (await house.ask('admin', `GET ${at}`)).body;
    assert.deepEqual([shown.volume_type_id, shown.encryption_id, shown.provider, shown.deleted], [type, id, 'luks', false]);
    assert.deepEqual((await house.ask('admin', `GET ${at}/cipher`)).body, { cipher: 'aes-xts-plain64' });
    assert.equal((await house.ask('admin', `PUT ${at}/${type}`, { encryption: { key_size: 128 } })).status, 404);
    assert.equal((await house.ask('admin', `PUT ${at}/${id}`, { encryption: { key_size: 128 } })).status, 200);
    assert.equal((await house.ask('admin', `DELETE ${at}/${id}`)).status, 202);
    assert.equal((await house.ask('admin', `POST ${at}`, wish({ cipher: null, key_size: null }))).status, 200);
  } finally {
    await house.close();
  }
});
