import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { isIPv4 } from 'node:net';
import type { Plain } from '../http/front-door.ts';
import { sha256 } from '../lib/ids.ts';

/** Each part by name, with what is wrong with it or null. */
export type Health = () => Promise<Readonly<Record<string, string | null>>>;

/** Whether somebody may read the numbers of this process: who asks from this very machine, and not through a proxy on it, or who knows the token
 *  (`Authorization: Bearer ...`, as Prometheus sends it). */
function mayMeasure(request: IncomingMessage, token: string | null): boolean {
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1];
  if (given !== undefined) return token !== null && timingSafeEqual(Buffer.from(sha256(given)), Buffer.from(sha256(token)));
  const proxied = ['forwarded', 'x-forwarded-for', 'x-real-ip', 'via'].some((name) => request.headers[name] !== undefined);
  const from = (request.socket.remoteAddress ?? '').replace(/^::ffff:/, '');
  return !proxied && (from === '::1' || (isIPv4(from) && from.startsWith('127.')));
}

/** What stands at the front door besides the APIs: `/healthz`, `/metrics`, the list of compute's versions at `/`, and for every path without a
 *  version the same path under each, with 300. */
export function plainRoutes(options: {
  health: Health;
  metrics: () => Promise<string>;
  /** Lets whoever knows it read `/metrics` from elsewhere; nobody when null. */
  metricsToken: string | null;
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
      if (!mayMeasure(request, options.metricsToken)) {
        const message = 'Metrics are told on this machine, or to who sends the token of [kilonova] metrics_token.';
        response.setHeader('www-authenticate', 'Bearer');
        json(response, 401, { error: { code: 401, title: 'Unauthorized', message } });
        return true;
      }
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
