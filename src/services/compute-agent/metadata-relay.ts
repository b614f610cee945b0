import { createHmac } from 'node:crypto';
import { rmSync } from 'node:fs';
import type { IncomingMessage, Agent as KeptConnections, ServerResponse } from 'node:http';
import type { Log } from '../../lib/log.ts';
import { Agent, createServer, request as httpRequest } from '../../lib/node-http.ts';

export interface RelayOptions {
  /** Where the guest's requests come in; made with mode 0600. */
  readonly socketPath: string;
  readonly serverUuid: string;
  readonly projectId: string;
  /** The guest's own address, for X-Forwarded-For; null when it has none. */
  readonly address: string | null;
  /** Base URL of the metadata service; a function when it may change. */
  readonly metadataUrl: string | (() => string);
  readonly sharedSecret: string;
  readonly log: Log;
  /** Called once, when the guest asks for the first time. */
  readonly onFirstRequest?: () => void;
}
export type Stop = () => Promise<void>;

const BODY_LIMIT = 64 * 1024;
const DEADLINE_MS = 15_000;
const CONNECTIONS = 32;
/** What a guest may not say of itself, and what belongs to one connection only. */
const DROPPED = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'host',
  'forwarded',
  'content-length',
  'expect',
]);
const isDropped = (name: string) =>
  DROPPED.has(name) ||
  name.startsWith('x-instance-id') ||
  name.startsWith('x-tenant-id') ||
  name.startsWith('x-forwarded') ||
  name.startsWith('x-metadata-provider');

/** Hands one guest's metadata requests on, saying and signing whose they are: whoever reaches the socket is that guest. Bodies over 64 KiB are refused
 *  (413), a service that does not answer in 15 s is a 503 or 504. Rejects when the socket cannot be made; a left-over one is replaced. */
export async function relayMetadata(options: RelayOptions): Promise<Stop> {
  const agent = new Agent({ keepAlive: true, maxSockets: 8, timeout: DEADLINE_MS });
  const signature = createHmac('sha256', options.sharedSecret).update(options.serverUuid).digest('hex');
  const own = {
    'x-instance-id': options.serverUuid,
    'x-tenant-id': options.projectId,
    'x-instance-id-signature': signature,
    ...(options.address === null ? {} : { 'x-forwarded-for': options.address }),
  };
  let first = true;
  const server = createServer(
    { maxHeaderSize: 16 * 1024, headersTimeout: DEADLINE_MS, requestTimeout: DEADLINE_MS, keepAliveTimeout: 5000 },
    (request, response) => {
      if (first) {
        first = false;
        options.onFirstRequest?.();
      }
      relay(request, response, options, own, agent);
    },
  );
  server.maxConnections = CONNECTIONS;
  server.on('clientError', (_cause, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n');
    else socket.destroy();
  });
  rmSync(options.socketPath, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    // The socket is made within this call: so it never exists with wider rights, not even for a moment.
    const before = process.umask(0o177);
    try {
      server.listen(options.socketPath, resolve);
    } finally {
      process.umask(before);
    }
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => {
        agent.destroy();
        rmSync(options.socketPath, { force: true });
        resolve();
      });
      server.closeAllConnections();
    });
}

function refuse(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = Buffer.from(text);
  response.writeHead(status, { 'content-type': 'text/plain; charset=UTF-8', 'content-length': body.length, connection: 'close' }).end(body);
}

function relay(
  request: IncomingMessage,
  response: ServerResponse,
  options: RelayOptions,
  own: Record<string, string>,
  agent: KeptConnections,
): void {
  // A whole URL, as to a proxy, would name another host.
  if (!request.url?.startsWith('/')) {
    refuse(response, 400, 'Bad Request');
    return;
  }
  const chunks: Buffer[] = [];
  let size = 0;
  let over = false;
  request.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size <= BODY_LIMIT) chunks.push(chunk);
    else if (!over) {
      over = true;
      refuse(response, 413, 'Request Entity Too Large');
    }
  });
  request.on('error', () => response.destroy());
  request.on('end', () => {
    if (!over) forward(request, response, Buffer.concat(chunks), options, own, agent);
  });
}

function forward(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  options: RelayOptions,
  own: Record<string, string>,
  agent: KeptConnections,
): void {
  const base = new URL(typeof options.metadataUrl === 'string' ? options.metadataUrl : options.metadataUrl());
  const passed = Object.fromEntries(Object.entries(request.headers).filter(([name]) => !isDropped(name)));
  const outward = httpRequest(
    {
      host: base.hostname.replace(/^\[|\]$/g, ''),
      port: base.port || 80,
      method: request.method,
      path: `${base.pathname.replace(/\/+$/, '')}${request.url ?? '/'}`,
      headers: { ...passed, ...own, 'content-length': body.length },
      agent,
      signal: AbortSignal.timeout(DEADLINE_MS),
    },
    (answer) => {
      const headers = Object.fromEntries(
        Object.entries(answer.headers).filter(([name]) => !DROPPED.has(name) || name === 'content-length'),
      );
      response.writeHead(answer.statusCode ?? 502, headers);
      answer.on('error', () => response.destroy());
      answer.pipe(response);
    },
  );
  outward.on('error', (cause) => {
    if (response.destroyed) return;
    options.log.warn({ err: cause, server: options.serverUuid }, 'the metadata service did not answer');
    if (cause.name === 'TimeoutError' || cause.name === 'AbortError')
      refuse(response, 504, 'The metadata service does not answer in time.');
    else refuse(response, 503, 'The metadata service does not answer. Try again in a moment.');
  });
  response.on('close', () => {
    if (!response.writableFinished) outward.destroy();
  });
  outward.end(body);
}
