import { isUtf8 } from 'node:buffer';
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../lib/clock.ts';
import { isUuid } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { createServer } from '../../lib/node-http.ts';
import type { Server } from '../../model/server.ts';
import { ec2Leaf } from './ec2-tree.ts';
import { hasPassword, type Leaf, openstackLeaf, type RenderOptions } from './openstack-tree.ts';

export interface MetadataOptions {
  /** The server as it is now, or undefined. */
  readonly find: (serverUuid: string) => Promise<Server | undefined>;
  /** Passwords that guests post for their users, encrypted. `store` answers false when there is one already. */
  readonly passwords: {
    read(serverUuid: string): Promise<string>;
    store(serverUuid: string, password: string): Promise<boolean>;
  };
  /** Nova's metadata_proxy_shared_secret. */
  readonly sharedSecret: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly host: string;
  readonly port: number;
  readonly render?: RenderOptions;
}
export interface MetadataService {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

/** Nova's largest password, in bytes. */
const PASSWORD_BYTES = 1020;
/** How long a server that was found is not looked up again. */
const KNOWN_US = 1_000_000;
const TYPES = { json: 'application/json', text: 'text/plain; charset=UTF-8', bytes: 'application/octet-stream' } as const;

/** The signature a proxy gives a request for an instance.  Spec: compute admin guide, "metadata_proxy_shared_secret". */
export const signInstanceId = (secret: string, instanceId: string): string => createHmac('sha256', secret).update(instanceId).digest('hex');

class Refusal extends Error {
  readonly status: number;
  readonly allow: string | undefined;
  constructor(status: number, message: string, allow?: string) {
    super(message);
    this.status = status;
    this.allow = allow;
  }
}

/** Nova's metadata service: answers guests through a proxy that says, and signs, which instance asks. Without a right signature 403, for a server that is
 *  not there or is another project's 404. Throws what `listen` throws. */
export async function openMetadata(options: MetadataOptions): Promise<MetadataService> {
  const known = new LRUCache<string, { at: number; server: Promise<Server | undefined> }>({ max: 5000 });
  const rendered = new LRUCache<string, Leaf>({ max: 5000, maxSize: 64 * 1024 * 1024, sizeCalculation: (leaf) => leaf.body.length + 200 });
  const find = (uuid: string): Promise<Server | undefined> => {
    const kept = known.get(uuid);
    if (kept && options.clock.now() - kept.at < KNOWN_US) return kept.server;
    const server = options.find(uuid);
    known.set(uuid, { at: options.clock.now(), server });
    server.catch(() => known.delete(uuid));
    return server;
  };

  const answer = async (request: IncomingMessage, body: Promise<Buffer | undefined> | undefined): Promise<Leaf> => {
    const uuid = instanceOf(request, options.sharedSecret);
    const post = request.method === 'POST' && isPasswordPath(pathOf(request));
    if (request.method !== 'GET' && request.method !== 'HEAD' && !post)
      throw new Refusal(405, 'Only GET is served here, and POST of a password.', 'GET, HEAD');
    const server = isUuid(uuid) ? await find(uuid) : undefined;
    if (!server || server.deleted || server.projectId !== single(request, 'x-tenant-id')) throw new Refusal(404, 'Not Found');
    const words = pathOf(request);
    if (isPasswordPath(words)) {
      if (post) await keepPassword(uuid, await body);
      return { type: 'text', body: post ? '' : await options.passwords.read(uuid) };
    }
    const key = `${uuid}/${server.revision}/${words.join('/')}`;
    const kept = rendered.get(key);
    if (kept) return kept;
    const render = options.render ?? {};
    const leaf = words[0] === 'openstack' ? openstackLeaf(server, words.slice(1), render) : ec2Leaf(server, words, render);
    if (!leaf) throw new Refusal(404, 'Not Found');
    rendered.set(key, leaf);
    return leaf;
  };

  /** Throws Refusal: 400 for one that is too large or no text, 409 when there is one. */
  const keepPassword = async (uuid: string, bytes: Buffer | undefined): Promise<void> => {
    if (!bytes) throw new Refusal(400, 'Request is too large.');
    const text = bytes.toString('utf8');
    if (!isUtf8(bytes) || text.includes('\0')) throw new Refusal(400, 'The password is no text.');
    const kept = text === '' ? (await options.passwords.read(uuid)) === '' : await options.passwords.store(uuid, text);
    if (!kept) throw new Refusal(409, 'There was a conflict when trying to complete your request.');
  };

  const server = createServer(
    { maxHeaderSize: 16 * 1024, requestTimeout: 30_000, headersTimeout: 10_000, keepAliveTimeout: 75_000 },
    (request, response) => {
      // Read at once: a body that nobody listens to would be lost while the server is looked up.
      const body = request.method === 'POST' ? bodyOf(request) : undefined;
      if (!body) request.resume();
      answer(request, body).then(
        (leaf) => send(request, response, 200, TYPES[leaf.type], leaf.body),
        (cause: unknown) => {
          const status = cause instanceof Refusal ? cause.status : 500;
          if (status === 500) options.log.error({ err: cause }, 'metadata request failed');
          if (cause instanceof Refusal && cause.allow) response.setHeader('allow', cause.allow);
          send(
            request,
            response,
            status,
            TYPES.text,
            cause instanceof Refusal ? cause.message : 'An unknown error has occurred. Please try your request again.',
          );
        },
      );
    },
  );
  server.on('clientError', (_cause, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const address = server.address() as AddressInfo; // a listener on host and port has one
  return {
    address: { host: options.host, port: address.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function send(request: IncomingMessage, response: ServerResponse, status: number, type: string, body: string | Buffer): void {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body;
  response.writeHead(status, { 'content-type': type, 'content-length': bytes.length });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

const isPasswordPath = ([tree, version = '', file, rest]: readonly string[]): boolean =>
  tree === 'openstack' && file === 'password' && rest === undefined && hasPassword(version);

/** A body that may be a password; undefined when it is larger than any, or broken off. Never rejects. */
const bodyOf = (request: IncomingMessage): Promise<Buffer | undefined> =>
  new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= PASSWORD_BYTES) chunks.push(chunk);
    });
    request.on('end', () => resolve(size > PASSWORD_BYTES ? undefined : Buffer.concat(chunks)));
    request.on('error', () => resolve(undefined));
    request.on('close', () => resolve(undefined));
  });

/** The one value of a header; Node joins repeated ones with a comma. */
function single(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  const shown = name.replace(/(^|-)(\w)/g, (_all, dash: string, letter: string) => dash + letter.toUpperCase()).replace('Id', 'ID');
  if (typeof value !== 'string' || value === '') throw new Refusal(400, `${shown} header is missing from request.`);
  if (value.includes(',')) throw new Refusal(400, `Multiple ${shown} headers found within request.`);
  return value;
}

function instanceOf(request: IncomingMessage, secret: string): string {
  const uuid = single(request, 'x-instance-id');
  single(request, 'x-tenant-id');
  const given = request.headers['x-instance-id-signature'];
  const right = Buffer.from(signInstanceId(secret, uuid));
  const claimed = Buffer.from(typeof given === 'string' ? given : '');
  // Compared in constant time, so that the time of an answer tells nothing about how much of a forged one was right.
  const same = timingSafeEqual(right, claimed.length === right.length ? claimed : Buffer.alloc(right.length));
  if (!same || claimed.length !== right.length) throw new Refusal(403, 'Invalid proxy request signature.');
  return uuid;
}

function pathOf(request: IncomingMessage): string[] {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  try {
    return path
      .split('/')
      .filter((word) => word !== '')
      .map(decodeURIComponent);
  } catch {
    throw new Refusal(404, 'Not Found');
  }
}
