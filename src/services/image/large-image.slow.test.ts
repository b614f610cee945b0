import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { openImageHouse } from './image-test-house.ts';

const MIB = 1024 * 1024;
const SIZE_MIB = 300;

/** The client, in a process of its own so that only the service's memory is measured: sends, then reads back with pauses and prints the MD5. */
const CLIENT = `
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { request } from 'node:http';
const [url, size] = process.argv.slice(1);
const headers = { 'x-auth-token': 'ann', 'content-type': 'application/octet-stream' };
const chunk = Buffer.alloc(${MIB}, 'kilonova');
const sent = request(url, { method: 'PUT', headers });
const answered = once(sent, 'response');
for (let n = 0; n < Number(size); n++) if (!sent.write(chunk)) await once(sent, 'drain');
sent.end();
const [put] = await answered;
put.resume();
process.stdout.write('\\n');
const [answer] = await once(request(url, { headers }).end(), 'response');
const hash = createHash('md5');
let bytes = 0;
for await (const part of answer) {
  hash.update(part);
  // Now and then the reader stops for a while: the service must wait, not read ahead into memory.
  if (Math.floor((bytes + part.length) / ${50 * MIB}) > Math.floor(bytes / ${50 * MIB})) await new Promise((resolve) => setTimeout(resolve, 200));
  bytes += part.length;
}
console.log(JSON.stringify({ put: put.statusCode, bytes, md5: hash.digest('hex') }));
process.exit(0);
`;

test('300 MiB go up and down, also to a slow reader, and the service grows little', async (t) => {
  const house = await openImageHouse();
  try {
    await house.upload('ann', await house.create('ann'), Buffer.alloc(8 * MIB)); // what is loaded once is not growth
    const hash = createHash('md5');
    const chunk = Buffer.alloc(MIB, 'kilonova');
    for (let n = 0; n < SIZE_MIB; n++) hash.update(chunk);
    const md5 = hash.digest('hex');
    const id = await house.create('ann');
    let peak = 0;
    const rss = () => process.memoryUsage.rss() / MIB;
    const watch = setInterval(() => {
      peak = Math.max(peak, rss());
    }, 10);
    t.after(() => clearInterval(watch));
    let base = rss();
    const client = spawn(process.execPath, ['--input-type=module', '-e', CLIENT, `${house.url()}/v2/images/${id}/file`, String(SIZE_MIB)]);
    client.stderr.pipe(process.stderr);
    const lines = createInterface(client.stdout)[Symbol.asyncIterator]();
    await lines.next(); // the upload has been answered
    const up = peak - base;
    [base, peak] = [rss(), 0];
    const report = (await lines.next()).value as string; // readline's iterator gives strings
    const down = peak - base;
    assert.deepEqual(JSON.parse(report), { put: 204, bytes: SIZE_MIB * MIB, md5 });
    const image = (await house.ask('ann', 'GET', `/v2/images/${id}`)).body;
    assert.deepEqual([image.size, image.checksum], [SIZE_MIB * MIB, md5]);
    t.diagnostic(`the service grew by ${up.toFixed(1)} MiB in the upload, ${down.toFixed(1)} MiB in the download`);
    assert.ok(up < 64, `the service grew by ${up.toFixed(1)} MiB in the upload`);
    // V8 looks for dead buffers when there are 64 MiB of them; a service that read ahead would hold most of the 300.
    assert.ok(down < 96, `the service grew by ${down.toFixed(1)} MiB in the download`);
  } finally {
    await house.close();
  }
});
