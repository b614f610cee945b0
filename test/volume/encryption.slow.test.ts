import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { requires } from '../requires.ts';
import { openVolumeHouse, type VolumeHouse } from './house.ts';

const GIB = 1024 ** 3;

describe('encrypted volumes', { skip: requires('qemu-img') }, () => {
  let house: VolumeHouse;
  let type: string;
  before(async () => {
    house = await openVolumeHouse();
    type = await house.type('secret');
    const encryption = { provider: 'luks', control_location: 'front-end' };
    await house.ask('admin', `POST /v3/types/${type}/encryption`, { encryption });
  });
  after(() => house.close());
  const fileOf = (id: string, kind = 'volume') => join(house.dir, 'volumes', `${kind}-${id}`);
  const make = (wish: object) => house.volume('ann', wish);
  const secretOf = async (id: string) => (await house.ask('service', `GET /v3/volumes/${id}/encryption/secret`)).body.secret as string;
  /** Reads and writes what a guest would see. */
  const io = async (id: string, command: string) => {
    const key = join(house.dir, 'a-key');
    await writeFile(key, await secretOf(id), { mode: 0o600 });
    const image = `driver=luks,key-secret=k,file.filename=${fileOf(id)}`;
    const args = ['--object', `secret,id=k,file=${key}`, '--image-opts', image, '-c', command];
    return execFileSync('qemu-io', args, { encoding: 'utf8' });
  };

  test('what is written is not in the file; copies open with their own word for the same key; it grows; its key goes with it', async () => {
    const id = await make({ size: 1, volume_type: 'secret' });
    assert.equal((await house.show(id, 'ann')).encrypted, true);
    const at = `/v3/types/${type}/encryption`;
    const now = (await house.ask('admin', `GET ${at}`)).body.encryption_id;
    assert.match((await house.ask('admin', `DELETE ${at}/${now}`)).body.badRequest.message, /Volume type in use/);
    const { body: told } = await house.ask('ann', `GET /v3/volumes/${id}/encryption`);
    assert.deepEqual([told.provider, told.cipher, told.key_size, told.control_location], ['luks', 'aes-xts-plain64', 256, 'front-end']);
    assert.deepEqual((await house.ask('ann', `GET /v3/volumes/${id}/encryption/key_size`)).body, { key_size: 256 });
    for (const who of ['ann', 'admin']) assert.equal((await house.ask(who, `GET /v3/volumes/${id}/encryption/secret`)).status, 403);
    const text = 'Tell nobody of this. ';
    await io(id, 'write -P 0x4b 0 64k');
    await writeFile(join(house.dir, 'text'), text.repeat(512).slice(0, 8192));
    await io(id, `write -s ${join(house.dir, 'text')} 65536 8k`);
    await rm(join(house.dir, 'text'));
    const head = (await readFile(fileOf(id))).subarray(0, 4 * 1024 ** 2);
    assert.equal(head.subarray(0, 4).toString(), 'LUKS');
    assert.ok(!head.includes(text) && !head.includes(Buffer.alloc(512, 0x4b)));
    assert.equal((await stat(fileOf(id))).mode & 0o777, 0o600);

    const snap = await house.ask('ann', 'POST /v3/snapshots', { snapshot: { volume_id: id, name: 's' } });
    await house.idle();
    const copy = await make({ snapshot_id: snap.body.snapshot.id, size: 2 });
    assert.notEqual((await house.ask('ann', `GET /v3/volumes/${copy}/encryption`)).body.encryption_key_id, told.encryption_key_id);
    assert.doesNotMatch(await io(copy, 'read -P 0x4b 0 64k'), /failed/i);
    assert.match(await io(copy, 'length'), /^2 GiB/);
    assert.match(
      (await house.ask('ann', 'POST /v3/volumes', { volume: { source_volid: id, volume_type: '__DEFAULT__' } })).body.badRequest.message,
      /encrypted/,
    );

    assert.equal((await house.ask('ann', `POST /v3/volumes/${copy}/action`, { 'os-extend': { new_size: 3 } })).status, 202);
    await house.idle();
    assert.match(await io(copy, 'length'), /^3 GiB/);
    assert.ok((await stat(fileOf(copy))).size > 3 * GIB, 'the header has room of its own');
    const upload = { 'os-volume_upload_image': { image_name: 'i' } };
    assert.match((await house.ask('ann', `POST /v3/volumes/${copy}/action`, upload)).body.badRequest.message, /is encrypted/);
    const retype = { 'os-retype': { new_type: '__DEFAULT__', migration_policy: 'never' } };
    assert.match((await house.ask('ann', `POST /v3/volumes/${copy}/action`, retype)).body.badRequest.message, /encrypted anew/);
    const plain = await make({ size: 1 });
    assert.deepEqual((await house.ask('ann', `GET /v3/volumes/${plain}/encryption`)).body, { encryption_key_id: null });
    assert.equal((await house.ask('service', `GET /v3/volumes/${plain}/encryption/secret`)).status, 404);

    const secret = await secretOf(copy);
    assert.match(secret, /^[0-9a-f]{64}$/);
    await house.ask('ann', `DELETE /v3/volumes/${copy}`);
    await house.idle();
    assert.equal((await house.db.read.selectFrom('volume_keys').select('uuid').execute()).length, 1);
    assert.deepEqual(execFileSync('ls', [join(house.dir, 'volumes')], { encoding: 'utf8' }).match(/part|key/g), null);
  });
});
