import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { connect, isIP, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import { rebuildError } from '../../model/errors.ts';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';
import type { MoveOffer } from '../driver.ts';
import type { MoveTls } from './move-tls.ts';

/** Where a driver answers others: a socket of this machine, or a port. */
export type MoveAddress = { readonly path: string } | { readonly host: string; readonly port: number; readonly tls?: boolean };
/** One question to another driver. It is a line of JSON; so is the answer, and what follows depends on the question. */
export interface MoveQuestion {
  readonly want: 'disks' | 'disk' | 'base' | 'image' | 'shared' | 'config' | 'incoming' | 'nbd' | 'memory' | 'state';
  readonly uuid: string;
  readonly token: string;
  /** Of a disk, or the image below one. */
  readonly name?: string;
  /** The machine that is to be built, with `incoming`. */
  readonly layout?: unknown;
}

const LONGEST_LINE = 256 * 1024;
const BLOCK = 64 * 1024;
const NOTHING = Buffer.alloc(BLOCK);
const lost = () => hypervisorFailed({ why: 'the other host closed the line' });

/** The next line of a socket, as JSON; what comes behind it stays in the socket. Throws hypervisorFailed when there is none in time. */
export async function readLine(socket: Socket, timeoutMs: number): Promise<unknown> {
  const stop = AbortSignal.timeout(timeoutMs);
  const parts: Buffer[] = [];
  for (let size = 0; size <= LONGEST_LINE; ) {
    const chunk = socket.read() as Buffer | null; // sockets without an encoding give bytes
    if (chunk === null) {
      if (socket.readableEnded || socket.destroyed) throw lost();
      const closed = new AbortController();
      const both = AbortSignal.any([stop, closed.signal]);
      const leave = () => closed.abort();
      socket.once('close', leave).once('end', leave);
      await once(socket, 'readable', { signal: both }).catch(() => {
        throw stop.aborted ? hypervisorFailed({ why: `the other host did not answer within ${timeoutMs} ms` }) : lost();
      });
      socket.off('close', leave).off('end', leave);
      continue;
    }
    const at = chunk.indexOf(10);
    parts.push(at < 0 ? chunk : chunk.subarray(0, at));
    size += chunk.length;
    if (at < 0) continue;
    if (at + 1 < chunk.length) socket.unshift(chunk.subarray(at + 1));
    try {
      return JSON.parse(Buffer.concat(parts).toString());
    } catch {
      break;
    }
  }
  throw hypervisorFailed({ why: 'the other host said something that is no line of ours' });
}
export const writeLine = (socket: Socket, line: object) => void socket.write(`${JSON.stringify(line)}\n`);

export type Refusal = { readonly error: Parameters<typeof rebuildError>[0] };
/** Reads an answer. Throws the error the other driver sent. */
export async function readAnswer<T>(socket: Socket, timeoutMs: number): Promise<T> {
  const answer = (await readLine(socket, timeoutMs)) as T | Refusal; // the other driver's own form
  if (typeof answer === 'object' && answer !== null && 'error' in answer) throw rebuildError(answer.error);
  return answer as T; // not a refusal
}

/** Asks the driver behind an offer; its socket comes with the answer, for what follows. Throws hypervisorFailed, what the other one threw. */
export type AskMove = <T>(
  offer: MoveOffer,
  question: Omit<MoveQuestion, 'uuid' | 'token'>,
  timeoutMs: number,
) => Promise<{ answer: T; socket: Socket }>;

/** `tls`: what this host encrypts its questions to other hosts with; null: they are plain. */
export const createAskMove =
  (tls: () => MoveTls | null): AskMove =>
  (offer, question, timeoutMs) =>
    askMove(offer, question, timeoutMs, tls());

async function askMove<T>(
  offer: MoveOffer,
  question: Omit<MoveQuestion, 'uuid' | 'token'>,
  timeoutMs: number,
  tls: MoveTls | null,
): Promise<{ answer: T; socket: Socket }> {
  const { path, host, port, uuid, token } = offer;
  if (
    typeof uuid !== 'string' ||
    typeof token !== 'string' ||
    (typeof path !== 'string' && (typeof host !== 'string' || typeof port !== 'number'))
  ) {
    throw hypervisorFailed({ why: 'the offer of the other host is not one of a QEMU driver' });
  }
  // Within one machine nobody listens; between hosts both want the same.
  if (typeof path !== 'string' && (offer.tls === true) !== (tls !== null)) {
    const [here, there] = tls ? ['encrypts', 'does not'] : ['does not encrypt', 'does'];
    throw hypervisorFailed({ why: `this host ${here} moves between hosts and the other one ${there} (live_migration_with_native_tls)` });
  }
  const socket =
    typeof path === 'string' ? connect(path) : tls ? connectSafely(tls, String(host), Number(port)) : connect(Number(port), String(host));
  try {
    const late = AbortSignal.timeout(Math.min(timeoutMs, 10_000));
    const ready = typeof path !== 'string' && tls ? 'secureConnect' : 'connect';
    await once(socket, ready, { signal: late }).catch((cause: unknown) => {
      const told = ready === 'connect' || !(cause instanceof Error) || cause.name === 'AbortError' ? '' : `: ${cause.message}`;
      throw hypervisorFailed({ why: `the other host cannot be reached${told}` }, { cause });
    });
    socket.on('error', () => undefined); // 'close' follows
    writeLine(socket, { ...question, uuid, token } satisfies MoveQuestion);
    return { answer: await readAnswer<T>(socket, timeoutMs), socket };
  } catch (cause) {
    socket.destroy();
    throw cause;
  }
}

/** Shows our certificate and wants one of the same authority, made out to the name or address that is called. */
const connectSafely = ({ ca, client }: MoveTls, host: string, port: number) =>
  connectTls({ host, port, ca, ...client, minVersion: 'TLSv1.2', ...(isIP(host) ? {} : { servername: host }) });

/** Two sockets as one line. */
export function joinSockets(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.end());
  }
}

/** Waits until the other side has taken what was written, or is gone; a large disk does so many thousand times. */
const drained = (socket: Socket) =>
  new Promise<void>((resolve) => {
    const done = () => {
      socket.off('drain', done).off('close', done);
      resolve();
    };
    socket.on('drain', done).on('close', done);
  });

/** Sends what a file holds, without its empty parts: pieces with offset and length, then none and the digest of all of it. */
export async function sendFile(file: string, socket: Socket): Promise<void> {
  const handle = await open(file, 'r');
  const hash = createHash('sha256');
  const put = async (bytes: Buffer) => {
    if (socket.destroyed) throw lost();
    if (!socket.write(bytes)) await drained(socket);
  };
  try {
    const { size } = await stat(file);
    for (let offset = 0; offset < size; ) {
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(BLOCK), 0, BLOCK, offset);
      if (bytesRead === 0) break;
      const data = buffer.subarray(0, bytesRead);
      if (!data.equals(NOTHING.subarray(0, bytesRead))) {
        hash.update(data);
        await put(Buffer.concat([pieceHead(offset, bytesRead), data]));
      }
      offset += bytesRead;
    }
    await put(Buffer.concat([pieceHead(0, 0), hash.digest()]));
  } finally {
    await handle.close();
  }
}
function pieceHead(offset: number, length: number): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64BE(BigInt(offset));
  head.writeUInt32BE(length, 8);
  return head;
}

/** Receives into a new file what sendFile sends. Throws hypervisorFailed when the line breaks or the digest is another. */
export async function receiveFile(
  from: Readable,
  file: string,
  size: number,
  progress: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const handle: FileHandle = await open(file, 'w', 0o600);
  const hash = createHash('sha256');
  const stop = () => from.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await handle.truncate(size);
    const take = byteTaker(from);
    for (;;) {
      const head = await take(12);
      const [offset, length] = [Number(head.readBigUInt64BE()), head.readUInt32BE(8)];
      if (length === 0) break;
      if (length > BLOCK || offset + length > size) throw hypervisorFailed({ why: 'the other host sent more than it said' });
      const data = await take(length);
      hash.update(data);
      await handle.write(data, 0, length, offset);
      progress(offset + length);
    }
    if (!hash.digest().equals(await take(32))) throw hypervisorFailed({ why: 'a disk arrived with another digest' });
    await handle.sync();
  } catch (cause) {
    throw signal.aborted ? signal.reason : cause;
  } finally {
    signal.removeEventListener('abort', stop);
    await handle.close();
  }
}
function byteTaker(from: Readable): (length: number) => Promise<Buffer> {
  const chunks = from[Symbol.asyncIterator]() as AsyncIterator<Buffer>; // sockets without an encoding give bytes
  let rest: Buffer = Buffer.alloc(0);
  return async (length) => {
    while (rest.length < length) {
      const next = await chunks.next().catch(() => ({ done: true as const, value: undefined }));
      if (next.done) throw lost();
      rest = rest.length === 0 ? next.value : Buffer.concat([rest, next.value]);
    }
    const taken = rest.subarray(0, length);
    rest = rest.subarray(length);
    return taken;
  };
}
