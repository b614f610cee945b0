import type { App } from './app.ts';

export interface CorsOptions {
  readonly allowedOrigins: readonly string[];
  readonly allowHeaders: readonly string[];
  readonly allowMethods: readonly string[];
  readonly maxAgeSeconds: number;
}
export const corsDefaults: CorsOptions = {
  allowedOrigins: [],
  allowHeaders: [],
  allowMethods: ['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'PATCH'],
  maxAgeSeconds: 3600,
};

/** The app as pages of other origins may ask it. Every OPTIONS with an Origin is answered here; one of an origin that is not allowed gets no leave.
 *  Spec: Fetch standard, "CORS protocol"; oslo.middleware [cors]. */
export function withCors(app: App, options: CorsOptions): App {
  if (options.allowedOrigins.length === 0) return app;
  return {
    ...app,
    handle(request, response, mount) {
      const { origin } = request.headers;
      const allowed = origin !== undefined && (options.allowedOrigins.includes(origin) || options.allowedOrigins.includes('*'));
      if (allowed) {
        response.setHeader('access-control-allow-origin', origin);
        response.setHeader('access-control-allow-credentials', 'true');
      }
      if (request.method !== 'OPTIONS' || origin === undefined) return app.handle(request, response, mount);
      response.setHeader('vary', 'Origin');
      if (allowed) {
        response.setHeader('access-control-allow-methods', options.allowMethods.join(', '));
        response.setHeader('access-control-max-age', options.maxAgeSeconds);
        const asked = String(request.headers['access-control-request-headers'] ?? '')
          .split(',')
          .map((name) => name.trim().toLowerCase())
          .filter((name) => options.allowHeaders.some((known) => known.toLowerCase() === name));
        if (asked.length > 0) response.setHeader('access-control-allow-headers', asked.join(', '));
      }
      request.resume();
      response.writeHead(200, { 'content-length': 0 }).end();
    },
  };
}
