import type { ServerResponse } from 'node:http';
import type { Plain } from '../http/front-door.ts';

/** Each part by name, with what is wrong with it or null. */
export type Health = () => Promise<Readonly<Record<string, string | null>>>;

/** What stands at the front door besides the APIs: `/healthz`, `/metrics`, the list of compute's versions at `/`, and for every path without a
 *  version the same path under each, with 300. */
export function plainRoutes(options: {
  health: Health;
  metrics: () => Promise<string>;
  versions: (origin: string) => object;
  choices: (origin: string, path: string) => object;
  publicUrl: string | undefined;
}): Plain {
  const json = (response: ServerResponse, status: number, value: object) => {
    const body = Buffer.from(JSON.stringify(value));
    response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
  };
  return (request, response, path) => {
    const named = /^[\w.:[\]-]+$/.test(request.headers.host ?? '') ? request.headers.host : 'localhost';
    const origin = (options.publicUrl ?? `http://${named}`).replace(/\/+$/, '');
    if (path === '/') {
      json(response, 200, options.versions(origin));
      return true;
    }
    if (path === '/healthz') {
      options.health().then(
        (parts) => json(response, Object.values(parts).every((wrong) => wrong === null) ? 200 : 503, { parts }),
        () => json(response, 503, { parts: { health: 'could not be asked' } }),
      );
      return true;
    }
    if (path === '/metrics') {
      options.metrics().then(
        (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text),
        () => response.writeHead(500).end(),
      );
      return true;
    }
    request.resume();
    json(response, 300, options.choices(origin, path));
    return true;
  };
}
