import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { requires } from '../../../test/requires.ts';
import { smallDisk } from '../../../test/servers/small-disk.ts';
import { readRange } from './image-data.ts';
import { type ImageHouse, openImageHouse, qcow2Head } from './image-test-house.ts';
import { openImageStore } from './store.ts';

const OCTETS = 'application/octet-stream';

/** Asks again until it is so: there is no event to wait for on the other side of a socket. */
async function until(truth: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await truth()); tries++) {
    if (tries > 2000) throw new Error('it never came to be');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

describe('image data', () => {
  let house: ImageHouse;
  before(async () => {
    house = await openImageHouse();
  });
  after(() => house.close());
  const show = async (id: string) => (await house.ask('admin', 'GET', `/v2/images/${id}`)).body;
  const files = (id: string) => readdirSync(house.storeDir).filter((name) => name.startsWith(id));
  /** An upload whose body is in the test's hands. */
  const startUpload = (id: string, headers: Record<string, string> = {}) => {
    const sent = request(`${house.url()}/v2/images/${id}/file`, {
      method: 'PUT',
      headers: { 'x-auth-token': 'ann', 'content-type': OCTETS, ...headers },
    });
    sent.on('error', () => undefined); // some of these end with a broken connection on purpose
    return sent;
  };

  test('what goes in comes out, with size and hashes; the file is private', async () => {
    const id = await house.create('ann');
    const data = randomBytes(3_000_000);
    const sent = await house.upload('ann', id, data);
    assert.deepEqual([sent.status, sent.text], [204, '']);
    const image = await show(id);
    const md5 = createHash('md5').update(data).digest('hex');
    assert.deepEqual(
      [image.status, image.size, image.virtual_size, image.checksum, image.os_hash_algo, image.os_hash_value],
      ['active', data.length, data.length, md5, 'sha512', createHash('sha512').update(data).digest('hex')],
    );
    assert.equal(statSync(join(house.storeDir, id)).mode & 0o777, 0o600);
    const answer = await fetch(`${house.url()}/v2/images/${id}/file`, { headers: { 'x-auth-token': 'ann' } });
    assert.equal(answer.headers.get('content-type'), OCTETS);
    assert.equal(answer.headers.get('content-length'), String(data.length));
    assert.equal(answer.headers.get('content-md5'), md5);
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(data));
    const head = await house.ask('ann', 'HEAD', `/v2/images/${id}/file`);
    assert.deepEqual([head.status, head.headers.get('content-length'), head.text], [200, String(data.length), '']);
  });

  test('an image without data answers 204, an empty one 200', async () => {
    const id = await house.create('ann');
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}/file`)).status, 204);
    assert.equal((await house.upload('ann', id, '')).status, 204);
    assert.equal((await show(id)).size, 0);
    const empty = await house.ask('ann', 'GET', `/v2/images/${id}/file`);
    assert.deepEqual([empty.status, empty.text], [200, '']);
  });

  test('ranges', async () => {
    const id = await house.create('ann');
    await house.upload('ann', id, '0123456789');
    const get = async (range: string) => {
      const answer = await house.ask('ann', 'GET', `/v2/images/${id}/file`, undefined, { range });
      return [answer.status, answer.headers.get('content-range'), answer.status === 416 ? '' : answer.text];
    };
    assert.deepEqual(await get('bytes=0-3'), [206, 'bytes 0-3/10', '0123']);
    assert.deepEqual(await get('bytes=8-'), [206, 'bytes 8-9/10', '89']);
    assert.deepEqual(await get('bytes=-2'), [206, 'bytes 8-9/10', '89']);
    assert.deepEqual(await get('bytes=5-999'), [206, 'bytes 5-9/10', '56789']);
    assert.deepEqual(await get('bytes=10-'), [416, 'bytes */10', '']);
    assert.deepEqual(await get('bytes=0-1,4-5'), [200, null, '0123456789']);
    assert.equal(readRange('bytes=3-1', 10), undefined);
    assert.equal(readRange('bytes=-0', 10), 'none');
    assert.equal(readRange('bytes=0-0', 0), 'none');
  });

  test('only octets are taken, only once, only with both formats', async () => {
    const id = await house.create('ann');
    assert.equal((await house.ask('ann', 'PUT', `/v2/images/${id}/file`, 'x', { 'content-type': 'text/plain' })).status, 415);
    assert.equal((await show(id)).status, 'queued');
    await house.upload('ann', id, 'first');
    const again = await house.upload('ann', id, randomBytes(2_000_000));
    assert.match(again.text, /409 Conflict[\s\S]*Image status transition from active to saving is not allowed/);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}/file`)).text, 'first');
    const bare = await house.create('ann', { disk_format: null });
    assert.match((await house.upload('ann', bare, 'x')).text, /400 Bad Request[\s\S]*disk_format must be set prior to saving data/);
    assert.match(
      (await house.patch('ann', id, [{ op: 'replace', path: '/disk_format', value: 'iso' }])).text,
      /403 Forbidden[\s\S]*can be only replaced for a queued image/,
    );
  });

  test('a wrong MD5 or size in the headers is a 400 and leaves nothing', async () => {
    const id = await house.create('ann');
    for (const headers of [{ 'content-md5': '0'.repeat(32) }, { 'x-openstack-image-size': '7' }]) {
      const answer = await house.ask('ann', 'PUT', `/v2/images/${id}/file`, 'data', { 'content-type': OCTETS, ...headers });
      assert.equal(answer.status, 400);
      assert.deepEqual([(await show(id)).status, files(id)], ['queued', []]);
    }
    const md5 = createHash('md5').update('data').digest('base64');
    const fine = await house.ask('ann', 'PUT', `/v2/images/${id}/file`, 'data', { 'content-type': OCTETS, 'content-md5': md5 });
    assert.equal(fine.status, 204);
  });

  test('data that are not what they are called are a 415 and the image is queued again', async () => {
    const cases: [string, Buffer, RegExp][] = [
      ['qcow2', Buffer.from('no header at all'), /no qcow2 header/],
      ['qcow2', Buffer.from([0x51, 0x46, 0x49, 0xfb, 0, 0]), /cut off/],
      ['qcow2', qcow2Head({ backing: 512n }), /backing file/],
      ['qcow2', qcow2Head({ features: 4n }), /data in another file/],
      ['qcow2', qcow2Head({ features: 1n << 40n }), /not known/],
      ['qcow2', qcow2Head({ version: 9 }), /version 9/],
      ['qcow2', qcow2Head({ size: (1n << 64n) - 1n }), /not possible/],
      ['raw', qcow2Head(), /declared as raw, but the data is qcow2/],
      ['raw', Buffer.from('KDMV and more'), /vmdk/],
      ['aki', qcow2Head(), /declared as aki/],
      ['iso', Buffer.alloc(40_000), /no ISO 9660/],
    ];
    for (const [format, data, why] of cases) {
      const id = await house.create('ann', { disk_format: format });
      const answer = await house.upload('ann', id, data);
      assert.equal(answer.status, 415, String(why));
      assert.match(answer.text, why);
      assert.deepEqual([(await show(id)).status, files(id)], ['queued', []]);
    }
    const id = await house.create('ann', { disk_format: 'qcow2' });
    assert.equal((await house.upload('ann', id, qcow2Head({ size: 5_000_000_000n }))).status, 204);
    assert.equal((await show(id)).virtual_size, 5_000_000_000);
    const iso = Buffer.alloc(40_000);
    iso.write('CD001', 32_769);
    assert.equal((await house.upload('ann', await house.create('ann', { disk_format: 'iso' }), iso)).status, 204);
  });

  test('a client that hangs up leaves nothing, and the next one succeeds', async () => {
    for (const headers of [{ 'content-length': '10000000' }, { 'transfer-encoding': 'chunked' }]) {
      const id = await house.create('ann');
      const sent = startUpload(id, headers);
      sent.write(randomBytes(500_000));
      await until(async () => (await show(id)).status === 'saving' && files(id).length === 1);
      sent.destroy();
      await until(async () => (await show(id)).status === 'queued');
      assert.deepEqual(files(id), []);
      assert.equal((await house.upload('ann', id, 'second try')).status, 204);
    }
  });

  test('a client that falls silent is cut off after five minutes', async () => {
    const id = await house.create('ann');
    const sent = startUpload(id);
    sent.write('some');
    await until(async () => (await show(id)).status === 'saving' && files(id).length === 1);
    await house.clock.advance(299_000);
    assert.equal((await show(id)).status, 'saving');
    // When exactly the service begins to wait is not to be seen from here: so time goes on until it has waited long enough.
    await until(async () => {
      await house.clock.advance(301_000);
      return (await show(id)).status === 'queued';
    });
    assert.deepEqual(files(id), []);
  });

  test('of uploads at once to one image one wins, whole', async () => {
    const id = await house.create('ann');
    const bodies = Array.from({ length: 6 }, (_, n) => Buffer.alloc(400_000, n));
    const answers = await Promise.all(bodies.map((body) => house.upload('ann', id, body)));
    assert.deepEqual(answers.map(({ status }) => status).sort(), [204, 409, 409, 409, 409, 409]);
    const winner = answers.findIndex(({ status }) => status === 204);
    assert.equal((await show(id)).checksum, createHash('md5').update(bodies[winner]!).digest('hex'));
    assert.deepEqual(files(id), [id]);
  });

  test('deleted during the upload: 410 and nothing is left', async () => {
    const id = await house.create('ann');
    const sent = startUpload(id);
    const answered = once(sent, 'response');
    sent.write('some');
    await until(async () => (await show(id)).status === 'saving');
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}`)).status, 204);
    sent.end('more');
    const [answer] = await answered;
    assert.equal(answer.statusCode, 410);
    assert.deepEqual(files(id), []);
  });

  test('a delete does not disturb a download', async () => {
    const id = await house.create('ann');
    const data = randomBytes(20_000_000);
    await house.upload('ann', id, data);
    const answer = await fetch(`${house.url()}/v2/images/${id}/file`, { headers: { 'x-auth-token': 'ann' } });
    assert.equal((await house.ask('ann', 'DELETE', `/v2/images/${id}`)).status, 204);
    assert.deepEqual(files(id), []);
    assert.ok(Buffer.from(await answer.arrayBuffer()).equals(data));
  });

  test('data lost from the directory is a 503 that says so', async () => {
    const id = await house.create('ann');
    await house.upload('ann', id, 'data');
    rmSync(join(house.storeDir, id));
    const answer = await house.ask('ann', 'GET', `/v2/images/${id}/file`);
    assert.equal(answer.status, 503);
    assert.match(answer.text, /is not where it was stored/);
  });

  test('after a kill the next start undoes half-done uploads and keeps whole ones', async () => {
    const [whole, half, published, foreign] = await Promise.all([
      house.create('ann'),
      house.create('ann'),
      house.create('ann'),
      '12345678-1234-4234-8234-123456789abc',
    ]);
    await house.upload('ann', whole, 'whole');
    await house.restart(async () => {
      // What a process killed in the middle of an upload, and between rename and commit, leaves behind.
      const mine = await house.db.read.selectFrom('images').select('uuid').where('uuid', 'in', [half, published]).execute();
      assert.equal(mine.length, 2);
      await house.db.transaction((tx) =>
        tx.updateTable('images').set({ status: 'saving', upload: 'x' }).where('uuid', 'in', [half, published]).execute(),
      );
      writeFileSync(join(house.storeDir, `${half}.x.part`), 'ha');
      writeFileSync(join(house.storeDir, published), 'published');
      writeFileSync(join(house.storeDir, foreign), 'not ours');
    });
    assert.deepEqual([(await show(half)).status, (await show(published)).status], ['queued', 'queued']);
    assert.deepEqual([files(half), files(published), files(foreign)], [[], [], [foreign]]);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${whole}/file`)).text, 'whole');
    assert.equal((await house.upload('ann', half, 'again')).status, 204);
  });
});

test('more than maxImageBytes is a 413, announced or not', async () => {
  const house = await openImageHouse({ maxImageBytes: 1000 });
  try {
    const id = await house.create('ann');
    assert.equal((await house.upload('ann', id, Buffer.alloc(1001))).status, 413);
    const stream = new ReadableStream({
      start(controller) {
        for (let n = 0; n < 50; n++) controller.enqueue(Buffer.alloc(100));
        controller.close();
      },
    });
    assert.equal((await house.upload('ann', id, stream)).status, 413);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}`)).body.status, 'queued');
    assert.equal((await house.upload('ann', id, Buffer.alloc(1000))).status, 204);
  } finally {
    await house.close();
  }
});

test('a data directory that cannot be used is said so, at the start and later', async () => {
  const house = await openImageHouse();
  try {
    const file = join(house.dir, 'a-file');
    writeFileSync(file, '');
    await assert.rejects(openImageStore(join(file, 'images')), /Insufficient permissions on image storage media/);
    const id = await house.create('ann');
    rmSync(house.storeDir, { recursive: true });
    const answer = await house.upload('ann', id, 'data');
    assert.equal(answer.status, 503);
    assert.match(answer.text, /Insufficient permissions on image storage media/);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}`)).body.status, 'queued');
    mkdirSync(house.storeDir);
    assert.equal((await house.upload('ann', id, 'data')).status, 204);
  } finally {
    await house.close();
  }
});

test('a full disk is a 413 that says so, and nothing is left', { skip: requires('small-disk') }, async () => {
  const disk = smallDisk(4);
  const house = await openImageHouse({ storeDir: disk.dir });
  try {
    const id = await house.create('ann');
    const full = await house.upload('ann', id, Buffer.alloc(8_000_000));
    assert.equal(full.status, 413);
    assert.match(full.text, /Image storage media is full/);
    assert.equal((await house.ask('ann', 'GET', `/v2/images/${id}`)).body.status, 'queued');
    assert.deepEqual(readdirSync(house.storeDir), []);
    assert.equal((await house.upload('ann', id, Buffer.alloc(2_000_000))).status, 204);
  } finally {
    await house.close();
    disk.remove();
  }
});
