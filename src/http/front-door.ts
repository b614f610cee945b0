import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer } from '../lib/node-http.ts';
import type { App } from './app.ts';

/** Something at the door that is no API: `/healthz`, `/metrics`, `/`. Answers true when it took the request. */
export type Plain = (request: IncomingMessage, response: ServerResponse, path: string) => boolean;

export interface FrontDoor {
  readonly server: Server;
  /** Where it listens; port 0 at `listen` becomes a real one here. */
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

/** One listener for several APIs, each under its own prefix; the longest prefix wins. Throws what `listen` throws (EADDRINUSE ...). */
export async function openFrontDoor(options: { apps: readonly App[]; plain: Plain; host: string; port: number }): Promise<FrontDoor> {
  const mounts = options.apps.flatMap((app) => app.mounts.map((mount) => ({ app, mount }))).sort((a, b) => b.mount.length - a.mount.length);
  const server = createServer(
    { maxHeaderSize: 64 * 1024, requestTimeout: 0, headersTimeout: 30_000, keepAliveTimeout: 75_000 },
    (request, response) => {
      const url = request.url ?? '/';
      const path = url.split('?', 1)[0] ?? '/';
      for (const { app, mount } of mounts) {
        if (path === mount || (path.startsWith(mount) && path[mount.length] === '/')) return app.handle(request, response, mount);
      }
      if (options.plain(request, response, path)) return;
      const body = Buffer.from(
        JSON.stringify({ error: { code: 404, title: 'Not Found', message: `Nothing is served at ${path.slice(0, 100)}.` } }),
      );
      response.writeHead(404, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
    },
  );
  server.on('clientError', (cause, socket) => {
    const why = 'code' in cause && cause.code === 'HPE_INVALID_CONTENT_LENGTH' ? 'content-length header must be an integer' : '';
    const head = `HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: ${why.length}\r\nconnection: close\r\n\r\n`;
    if (socket.writable) socket.end(`${head}${why}`);
    else socket.destroy();
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, options.host, resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    server,
    address: { host: options.host, port: address.port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), 1000).unref();
      }),
  };
}
