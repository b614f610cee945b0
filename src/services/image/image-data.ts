import type { IncomingMessage } from 'node:http';
import { findImage, moveImage } from '../../db/tables/image/images.ts';
import type { Call, Reply } from '../../http/call.ts';
import type { Clock } from '../../lib/clock.ts';
import { newUuid } from '../../lib/ids.ts';
import {
  imageDeactivated,
  imageFormatsMissing,
  imageGoneInUpload,
  imageMediaType,
  imageNotFound,
  imageTooLarge,
  imageTransition,
  imageUploadBroken,
} from '../../model/errors-image.ts';
import type { DiskFormat, Image } from '../../model/image.ts';
import { faultPage } from './dialect.ts';
import { type ImageParts, seenImage } from './find-image.ts';
import type { WrittenData } from './store.ts';

const DRAIN_BYTES = 256 * 1024 * 1024;
const DRAIN_MS = 10_000;
const IDLE_MS = 300_000;

/** Takes an image's data as a stream. Whatever goes wrong, nothing of it is left and the image is queued again.
 *  Throws 400, 409 (another upload was first, or there is data), 410 (deleted meanwhile), 413 (too large, disk full), 415 (media type, format).
 *  Spec: image api-ref "Upload binary image data". */
export async function uploadImage(parts: ImageParts, call: Call): Promise<Reply> {
  try {
    await upload(parts, call);
    return { status: 204 };
  } catch (cause) {
    await drain(call.request, parts.clock); // most clients read the answer only when they have sent everything
    throw cause;
  }
}

async function upload(parts: ImageParts, call: Call): Promise<void> {
  const type = call.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/octet-stream')
    throw imageMediaType({ got: (type ?? 'nothing').slice(0, 100), want: 'application/octet-stream' });
  const { image, target } = await seenImage(parts, call);
  call.allow(target);
  const missing = [...(image.diskFormat ? [] : ['disk_format']), ...(image.containerFormat ? [] : ['container_format'])];
  if (image.status === 'queued' && missing.length > 0) throw imageFormatsMissing({ missing: missing.join(', ') });
  const announced = Number(call.headers['content-length'] ?? 0);
  if (announced > parts.maxImageBytes) throw imageTooLarge({ limit: parts.maxImageBytes });
  const token = newUuid();
  const { format, status } = await begin(parts, image.id, token);
  if (!format) throw imageTransition({ from: status, to: 'saving' });
  try {
    const written = await receive(parts, call, image.id, token, format);
    mustMatchHeaders(call, written);
    await parts.store.publish(image.id, token);
    if (!(await finish(parts, image.id, token, written))) throw imageGoneInUpload({ id: image.id });
  } catch (cause) {
    await takeBack(parts, image.id, token);
    throw cause;
  }
}

/** Takes the image for this upload: of several at once, one gets a format back, the others only see its status. */
async function begin({ db, clock }: ImageParts, id: string, token: string): Promise<{ format: DiskFormat | null; status: string }> {
  const now = clock.now();
  return db.transaction(async (tx) => {
    const took = await moveImage(tx, id, { status: ['queued'] }, { status: 'saving', upload: token, updated_at: now });
    const found = await findImage(tx, id);
    if (!found) throw imageNotFound({ id });
    if (took && (!found.image.diskFormat || !found.image.containerFormat))
      throw imageFormatsMissing({ missing: 'disk_format, container_format' });
    return { format: took ? found.image.diskFormat : null, status: found.image.status };
  });
}

async function receive(parts: ImageParts, call: Call, id: string, token: string, format: DiskFormat): Promise<WrittenData> {
  try {
    return await parts.store.write(id, token, impatient(call.request, parts.clock), { format, maxBytes: parts.maxImageBytes });
  } catch (cause) {
    if (call.request.destroyed && !call.request.complete) throw imageUploadBroken({ why: 'the client hung up or fell silent' }, { cause });
    throw cause;
  }
}

/** The body's chunks. A client that sends nothing for IDLE_MS while it is waited for is cut off: no image may be in `saving` for ever. */
async function* impatient(request: IncomingMessage, clock: Clock): AsyncIterable<Buffer> {
  const arm = () => clock.after(IDLE_MS, () => request.destroy());
  let disarm = arm();
  try {
    // The stream must outlive an error of ours: the answer goes over the same connection.
    for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      disarm();
      yield chunk;
      release(chunk);
      disarm = arm();
    }
  } finally {
    disarm();
  }
}

/** The data's facts into the row, in one step with its being active. False when the image is no longer this upload's. */
export function finish({ db, clock }: Pick<ImageParts, 'db' | 'clock'>, id: string, token: string, written: WrittenData): Promise<boolean> {
  const facts = {
    status: 'active',
    upload: null,
    size: written.sizeBytes,
    virtual_size: written.virtualSizeBytes,
    checksum: written.checksum,
    os_hash_algo: written.hashAlgo,
    os_hash_value: written.hashValue,
    updated_at: clock.now(),
  };
  return db.transaction((tx) => moveImage(tx, id, { status: ['saving'], upload: token }, facts));
}

/** Undoes an upload. While the row says it is ours, nobody else touches the data; so data goes first, then the row. */
async function takeBack({ db, clock, log, store }: ImageParts, id: string, token: string): Promise<void> {
  try {
    await store.remove(id, token);
    const row = await db.read.selectFrom('images').select(['status', 'upload', 'deleted']).where('uuid', '=', id).executeTakeFirst();
    if (row && (row.deleted === 1 || row.upload === token)) await store.remove(id);
    const now = clock.now();
    await db.transaction((tx) =>
      moveImage(tx, id, { status: ['saving'], upload: token }, { status: 'queued', upload: null, updated_at: now }),
    );
  } catch (cause) {
    log.warn({ image: id, err: cause }, 'a broken upload could not be undone now; the next start of the image service does it');
  }
}

/** Gives a chunk's memory back at once. The garbage collector alone lets about 64 MiB of dead chunks gather before it looks. Only for chunks
 *  that nobody else holds and that have their memory to themselves. */
function release({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function mustMatchHeaders(call: Call, written: WrittenData): void {
  const announced = call.headers['x-openstack-image-size'];
  if (typeof announced === 'string' && announced !== String(written.sizeBytes))
    throw imageUploadBroken({ why: `${announced.slice(0, 20)} bytes were announced, ${written.sizeBytes} came` });
  const md5 = call.headers['content-md5'];
  if (typeof md5 !== 'string' || md5 === '') return;
  const given = /^[0-9a-f]{32}$/i.test(md5) ? md5.toLowerCase() : Buffer.from(md5, 'base64').toString('hex');
  if (given !== written.checksum) throw imageUploadBroken({ why: 'the data does not have the MD5 that Content-MD5 says' });
}

/** Reads and forgets the rest of a refused body, within limits. */
async function drain(request: IncomingMessage, clock: Clock): Promise<void> {
  if (request.complete || request.destroyed) return;
  await new Promise<void>((resolve) => {
    let left = DRAIN_BYTES;
    const done = () => {
      cancel();
      request.off('data', take);
      request.pause();
      resolve();
    };
    const take = (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) done();
    };
    const cancel = clock.after(DRAIN_MS, done);
    request.on('data', take);
    for (const event of ['end', 'error', 'close']) request.once(event, done);
    request.resume();
  });
}

/** The data, whole or one range of it; 204 when there is none yet.
 *  Throws imageDeactivated (403), imageDataMissing (503).  Spec: image api-ref "Download binary image data". */
export async function downloadImage(parts: ImageParts, call: Call): Promise<Reply> {
  const { image, target } = await seenImage(parts, call);
  call.allow(target);
  if (image.status === 'deactivated' && !call.allows('context_is_admin')) throw imageDeactivated({ id: image.id });
  const size = image.sizeBytes;
  if ((image.status !== 'active' && image.status !== 'deactivated') || size === null) return { status: 204 };
  const range = call.headers['if-range'] === undefined ? readRange(call.headers.range, size) : undefined;
  if (range === 'none') {
    return {
      status: 416,
      raw: faultPage(416, `The image has ${size} bytes; the range asked for lies outside.`),
      headers: { 'content-type': 'text/html; charset=UTF-8', 'content-range': `bytes */${size}` },
    };
  }
  const [first, last] = range ?? [0, size - 1];
  const headers: Record<string, string> = {
    'content-type': 'application/octet-stream',
    'content-length': String(last - first + 1),
    'accept-ranges': 'bytes',
    ...(range ? { 'content-range': `bytes ${first}-${last}/${size}` } : md5Header(image)),
  };
  const status = range ? 206 : 200;
  if (call.method === 'HEAD' || size === 0) return { status, raw: Buffer.alloc(0), headers };
  return { status, raw: await parts.store.read(image.id, first, last), headers };
}

// Hexadecimal, not base64 as the header's standard has it: so it has always been here, and clients compare it with `checksum`.
const md5Header = (image: Image): Record<string, string> => (image.checksum ? { 'content-md5': image.checksum } : {});

/** First and last byte; undefined for the whole (several ranges, other units, nonsense), 'none' when nothing of it exists.  Spec: RFC 9110, 14. */
export function readRange(header: string | undefined, size: number): readonly [number, number] | 'none' | undefined {
  const match = /^\s*bytes\s*=\s*(\d{0,15})\s*-\s*(\d{0,15})\s*$/i.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  if (match[1] === '') {
    const tail = Math.min(Number(match[2]), size);
    return tail === 0 ? 'none' : [size - tail, size - 1];
  }
  const first = Number(match[1]);
  const last = match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (match[2] !== '' && Number(match[2]) < first) return undefined;
  return first >= size ? 'none' : [first, last];
}
