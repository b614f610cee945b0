import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import secureJson from 'secure-json-parse';
import { answerAt } from '../lib/answer.ts';
import { newRequestId } from '../lib/ids.ts';
import type { Log } from '../lib/log.ts';
import { METHODS } from '../lib/node-http.ts';
import { atLeast, type Version } from '../lib/shape.ts';
import { type Caller, nobody } from '../model/caller.ts';
import { CloudError, invalidInput, malformedBody, notAuthenticated, policyForbids, routeNotFound } from '../model/errors.ts';
import type { Policy } from '../model/policy.ts';
import type { Call, Method, Reply, Route, RouteTable } from './call.ts';
import { statusOf } from './faults.ts';
import { type Microversions, negotiate } from './negotiate.ts';
import { mustFit } from './validate.ts';

/** Finds out whose token it is. Throws notAuthenticated for one that is unknown, expired or revoked. */
export type TokenCheck = (token: string, headers?: IncomingHttpHeaders) => Promise<Caller>;

/** What an error's wording may depend on. `version` is absent as long as none was agreed upon. */
export interface ErrorRequest {
  readonly method: string;
  readonly accept: string | undefined;
  readonly origin: string;
  readonly requestId: string;
  readonly version?: Version | undefined;
}

/** How one API words its errors. */
export interface Dialect {
  /** Body and headers of an error answer. `message` is already fit for the caller. */
  fault(error: CloudError, status: number, request: ErrorRequest): { body: string; headers: Record<string, string> };
  /** Answer to a path or method without a route; default: routeNotFound in the dialect's own form. */
  noRoute?(request: ErrorRequest & { path: string }): { status: number; body: string; headers: Record<string, string> };
  /** Header for the request id besides x-openstack-request-id. */
  requestIdHeader?: string;
}

export interface AppOptions<P> {
  readonly name: string;
  /** Path prefixes under which the app stands, first the canonical one: ['/v2.1', '/v2']. Later ones are legacy when `legacyMounts` says so. */
  readonly mounts: readonly string[];
  readonly legacyMounts?: readonly string[];
  readonly routes: RouteTable<P>;
  readonly parts: P;
  readonly policy: Policy;
  readonly checkToken: TokenCheck;
  readonly dialect: Dialect;
  readonly log: Log;
  readonly microversions?: Microversions;
  /** Largest JSON body in bytes. */
  readonly bodyLimit?: number;
  /** URL prefix within the app that may stand before every route: '/:project_id' for compute. */
  readonly optionalPrefix?: string;
  /** Refuses a call by its path parameters when the optional prefix was given; for compute: another project's id is a 400. */
  readonly checkPrefix?: (params: Readonly<Record<string, string>>, caller: Caller) => void;
  /** A slash behind a path makes it another path, as for Nova; else it is ignored. */
  readonly exactPaths?: true;
  readonly publicUrl?: string | undefined;
  /** Whether the mount itself, without a slash behind it, sends clients to the form with one. */
  readonly slashedRoot?: boolean;
  /** The whole body is read before anything is answered, be it a refusal; and unknown paths know their microversion. */
  readonly bodyFirst?: true;
  /** Content types that a JSON body may have besides application/json; any when absent. */
  readonly contentTypes?: readonly string[];
}

/** An API that can be asked: by the front door with node's own request and answer. */
export interface App {
  readonly name: string;
  readonly mounts: readonly string[];
  /** Handles a request whose URL begins with `mount`. */
  handle(request: IncomingMessage, response: ServerResponse, mount: string): void;
  ready(): Promise<void>;
  close(): Promise<void>;
  /** Every route with its policy rule, for the test that walks them. */
  readonly routes: readonly { readonly key: string; readonly policy: string | undefined; readonly auth: string | undefined }[];
}

interface Arrival {
  mount: string;
  requestId: string;
  version?: Version;
}
const arrivals = new WeakMap<IncomingMessage, Arrival>();
/** Longest silence within a body that is not streamed. */
const BODY_IDLE_MS = 60_000;
const SAFE_HOST = /^[A-Za-z0-9.:[\]_-]{1,255}$/;

export async function createApp<P>(options: AppOptions<P>): Promise<App> {
  const app: FastifyInstance = fastify({
    logger: false,
    bodyLimit: options.bodyLimit ?? 1_048_576,
    routerOptions: { maxParamLength: 5000, ignoreTrailingSlash: options.exactPaths !== true, ignoreDuplicateSlashes: false },
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    frameworkErrors: (error, request, reply) => {
      void answerError(
        options,
        request.raw,
        reply,
        error.code === 'FST_ERR_BAD_URL' ? invalidInput({ why: 'The URL is not well formed.' }) : error,
      );
    },
  });
  app.removeAllContentTypeParsers();
  const streamed = new Set<string>();
  app.addContentTypeParser('*', (request, payload, done) => {
    if (streamed.has(`${request.method} ${request.routeOptions.url ?? ''}`)) return done(null, undefined);
    const chunks: Buffer[] = [];
    let size = 0;
    const limit = options.bodyLimit ?? 1_048_576;
    const tooLarge = () => new CloudError('request.too_large', 'tooLarge', `The request body is larger than ${limit} bytes.`);
    if (Number(request.headers['content-length'] ?? 0) > limit) return done(tooLarge()); // not one byte of it is read
    payload.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
    });
    const broken = (cause?: unknown) =>
      new CloudError('request.broken', 'invalid', 'The request ended before its body did.', {}, { cause });
    // A body that stops coming must not hold its connection for ever.
    request.raw.setTimeout(BODY_IDLE_MS, () => payload.destroy(broken()));
    payload.on('error', (cause) => done(cause instanceof CloudError ? cause : broken(cause)));
    payload.on('end', () => {
      request.raw.setTimeout(0);
      if (size > limit) done(tooLarge());
      else done(null, Buffer.concat(chunks));
    });
  });
  app.setErrorHandler((error, request, reply) => answerError(options, request.raw, reply, error));
  app.setNotFoundHandler(async (request, reply) => {
    const arrival = arrivals.get(request.raw);
    try {
      await authenticate(options, request.raw, open.has(pathOf(request.url)) ? 'none' : undefined);
      if (options.bodyFirst && options.microversions && arrival) arrival.version = negotiate(options.microversions, request.headers);
    } catch (cause) {
      return answerError(options, request.raw, reply, cause);
    }
    return answerNoRoute(request, reply);
  });
  const answerNoRoute = (request: FastifyRequest, reply: FastifyReply) => {
    const arrival = arrivals.get(request.raw);
    if (!options.dialect.noRoute) return answerError(options, request.raw, reply, routeNotFound({}));
    const answer = options.dialect.noRoute({ ...errorRequest(options, request.raw), path: pathOf(request.url) });
    setCommonHeaders(options, reply, arrival?.requestId ?? newRequestId());
    if (arrival?.version) setVersionHeaders(options, reply, arrival.version);
    return reply.code(answer.status).headers(answer.headers).send(Buffer.from(answer.body));
  };

  const grouped = groupByPath(options.routes);
  /** Paths that no method asks a token for: a wrong method there is none of the token's business. */
  const open = new Set<string>();
  if (options.bodyFirst)
    for (const [key, route] of Object.entries(options.routes)) if (route.auth === 'none') open.add(key.slice(key.indexOf(' ') + 1));
  for (const [key, variants] of grouped) {
    const [method, path] = key.split(' ') as [Method, string];
    const urls = options.optionalPrefix && path !== '/' ? [path, `${options.optionalPrefix}${path}`] : [path];
    for (const url of urls) {
      if (variants.some(({ route }) => route.stream)) streamed.add(`${method} ${url}`);
      app.route({
        method,
        url,
        // The token is looked at before the body is read, as nearly every OpenStack service does.
        [options.bodyFirst ? 'preHandler' : 'onRequest']: async (request: FastifyRequest, reply: FastifyReply) => {
          try {
            const caller = await authenticate(options, request.raw, variants[0]?.route.auth);
            callers.set(request.raw, caller);
          } catch (cause) {
            await answerError(options, request.raw, reply, cause);
            return reply;
          }
        },
        handler: (request, reply) =>
          // The router takes '/things/' for '/things/:id' with an empty id.
          options.exactPaths && Object.values(request.params as Record<string, string>).includes('')
            ? answerNoRoute(request, reply)
            : serve(options, variants, path, request, reply),
      });
    }
  }
  await app.ready();
  return {
    name: options.name,
    mounts: options.mounts,
    routes: Object.entries(options.routes).map(([key, route]) => ({ key, policy: route.policy, auth: route.auth })),
    handle(request, response, mount) {
      const given = request.headers['x-openstack-request-id'];
      const requestId = newRequestId();
      arrivals.set(request, { mount, requestId });
      if (
        options.slashedRoot &&
        (request.method === 'GET' || request.method === 'HEAD') &&
        /^(\?|$)/.test(request.url?.slice(mount.length) ?? '')
      ) {
        const location = `${originOf(request, options)}${mount}/${request.url?.slice(mount.length) ?? ''}`;
        response.writeHead(302, { location, 'content-length': 0, 'x-openstack-request-id': requestId }).end();
        return;
      }
      if (typeof given === 'string' && !/^req-[0-9a-f-]{36}$/i.test(given)) delete request.headers['x-openstack-request-id'];
      request.url = request.url?.slice(mount.length) || '/';
      if (request.url.startsWith('?')) request.url = `/${request.url}`;
      app.routing(request, response);
    },
    ready: async () => {
      await app.ready();
    },
    close: () => app.close(),
  };
}

const callers = new WeakMap<IncomingMessage, Caller>();

interface Variant<P> {
  readonly word: string | undefined;
  readonly route: Route<P>;
}

function groupByPath<P>(routes: RouteTable<P>): Map<string, Variant<P>[]> {
  const grouped = new Map<string, Variant<P>[]>();
  for (const [key, route] of Object.entries(routes)) {
    const [place, word] = key.split('#') as [string, string | undefined];
    const [method, path] = place.trim().split(/ +/) as [string, string]; // a second blank sets apart variants of one path
    if (!METHODS.includes(method) || !path?.startsWith('/')) throw new Error(`route "${key}" is not "METHOD /path"`);
    const group = grouped.get(`${method} ${path}`) ?? [];
    group.push({ word, route });
    grouped.set(`${method} ${path}`, group);
  }
  return grouped;
}

async function authenticate<P>(options: AppOptions<P>, request: IncomingMessage, auth: Route<P>['auth']): Promise<Caller> {
  if (auth === 'none') return nobody;
  const token = request.headers['x-auth-token'] ?? request.headers['x-storage-token'];
  if (typeof token !== 'string' || token === '') {
    if (auth === 'optional') return nobody;
    throw notAuthenticated({});
  }
  try {
    return await options.checkToken(token, request.headers);
  } catch (cause) {
    if (auth === 'optional' && cause instanceof CloudError && cause.kind === 'unauthorized') return nobody;
    throw cause;
  }
}

async function serve<P>(
  options: AppOptions<P>,
  variants: readonly Variant<P>[],
  path: string,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const arrival = arrivals.get(request.raw);
  const mount = arrival?.mount ?? options.mounts[0] ?? '';
  const requestId = arrival?.requestId ?? newRequestId();
  const legacy = options.legacyMounts?.includes(mount) ?? false;
  try {
    const version =
      options.microversions && !legacy ? negotiate(options.microversions, request.headers) : (options.microversions?.min ?? '0.0');
    if (arrival && options.microversions && !legacy) arrival.version = version;
    mustBeMediaType(options, request);
    const caller = callers.get(request.raw) ?? nobody;
    const params = wellFormed(request.params as Record<string, string>);
    options.checkPrefix?.(params, caller);
    const { route, body } = choose(variants, version, request);
    const origin = originOf(request.raw, options);
    let signal: AbortSignal | undefined;
    let log: Log | undefined;
    let asked = route.policyOn !== 'object';
    const own = { project_id: caller.projectId, user_id: caller.userId };
    const call: Call = {
      method: request.method as Method,
      url: request.url,
      route: path,
      legacy,
      params,
      query: readQuery(request.url),
      body,
      request: request.raw,
      headers: request.headers,
      version,
      caller,
      token: (request.headers['x-auth-token'] as string | undefined) ?? null,
      origin,
      base: `${origin}${mount}`,
      requestId,
      // Few ask for these two, and they cost more than the rest of a call.
      get log() {
        log ??= options.log.child({ requestId });
        return log;
      },
      get signal() {
        signal ??= whileListening(reply);
        return signal;
      },
      allow(target, rule = route.policy) {
        asked = true;
        if (rule !== undefined && rule !== 'none' && !options.policy.allows(rule, caller, target)) throw policyForbids({ rule });
      },
      allows: (rule, target = own) => options.policy.allows(rule, caller, target),
    };
    if (route.query) mustFit(route.query, version, call.query, { legacy, known: options.microversions });
    if (route.body) mustFit(route.body, version, body, { legacy, known: options.microversions });
    if (route.policy && route.policyOn !== 'object') call.allow(own);
    const answer = await route.run(options.parts, call as Call<never>);
    if (!asked) throw new Error(`${request.method} ${path} answered without asking its policy rule`);
    return send(options, reply, answer, version, legacy, requestId);
  } catch (cause) {
    return answerError(options, request.raw, reply, cause);
  }
}

/** Aborts when the client goes away. The request itself closes as soon as its body has been read; only the answer's end tells whether somebody
 *  still listens. */
function whileListening(reply: FastifyReply): AbortSignal {
  const abort = new AbortController();
  const left = () => {
    if (!reply.raw.writableFinished) abort.abort();
  };
  if (reply.raw.closed) left();
  else reply.raw.once('close', left);
  return abort.signal;
}

/** The route among those of one path: by version, and by the body's only key where the table says `#word`. */
function choose<P>(variants: readonly Variant<P>[], version: Version, request: FastifyRequest): { route: Route<P>; body: unknown } {
  const lives = (route: Route<P>) => (!route.since || atLeast(version, route.since)) && (!route.until || atLeast(route.until, version));
  const worded = variants.some(({ word }) => word !== undefined);
  if (!worded) {
    const found = variants.find(({ route }) => lives(route));
    if (!found) throw notInVersion(version, variants);
    if (found.route.rawBody) return { route: found.route, body: request.body instanceof Buffer ? request.body : Buffer.alloc(0) };
    const wantsBody = found.route.body !== undefined && !found.route.stream;
    return { route: found.route, body: wantsBody ? readBody(request) : undefined };
  }
  const body = readBody(request);
  const keys = body && typeof body === 'object' && !Array.isArray(body) ? Object.keys(body) : [];
  if (keys.length !== 1) throw malformedBody({});
  const named = variants.filter(({ word }) => word === keys[0]);
  if (named.length === 0) throw invalidInput({ why: `There is no such action: ${keys[0]?.slice(0, 100)}` });
  const found = named.find(({ route }) => lives(route));
  if (!found) throw notInVersion(version, named);
  return { route: found.route, body };
}

/** A route that other microversions have: a 404 that says which. */
function notInVersion<P>(version: Version, variants: readonly Variant<P>[]): CloudError {
  const windows = variants.map(({ route: { since, until } }) =>
    since && until ? `${since} to ${until}` : since ? `${since} and later` : `up to ${until}`,
  );
  return new CloudError(
    'route.not_in_version',
    'notFound',
    `API version ${version} is not supported on this method. Microversions ${windows.join(', ')} have it.`,
  );
}

/** Services that name their content types refuse others on every request, with or without a body. */
function mustBeMediaType<P>(options: AppOptions<P>, request: FastifyRequest) {
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type && options.contentTypes && !options.contentTypes.includes(type)) {
    throw new CloudError(
      'request.media_type',
      'unsupportedMedia',
      `Unsupported Content-Type: ${type.slice(0, 100)}. Send application/json.`,
    );
  }
}

function readBody(request: FastifyRequest): unknown {
  const bytes = request.body;
  if (!(bytes instanceof Buffer) || bytes.length === 0) throw malformedBody({});
  let value: unknown;
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    value = secureJson.parse(text, null, { protoAction: 'error', constructorAction: 'ignore' });
  } catch (cause) {
    throw malformedBody({}, { cause });
  }
  // An escape can bring a lone surrogate or a NUL into valid UTF-8, which databases refuse; and what is nested too deeply breaks whoever walks it.
  mustBeText(value, 0);
  return value;
}

function mustBeText(value: unknown, depth: number): void {
  if (depth > 200) throw malformedBody({});
  if (typeof value === 'string') {
    if (!value.isWellFormed() || value.includes('\0'))
      throw invalidInput({ why: 'A text in the body holds a NUL or half of a surrogate pair.' });
  } else if (Array.isArray(value)) for (const item of value) mustBeText(item, depth + 1);
  else if (value !== null && typeof value === 'object')
    for (const [key, item] of Object.entries(value)) {
      mustBeText(key, depth + 1);
      mustBeText(item, depth + 1);
    }
}

function wellFormed(params: Record<string, string>): Record<string, string> {
  // `.` and `..` name nothing, and a neighbour asked for them would answer for another path.
  for (const value of Object.values(params))
    if (value.includes('\0') || !value.isWellFormed() || value === '.' || value === '..') throw routeNotFound({});
  return params;
}

function readQuery(url: string): Record<string, string[]> {
  const words: Record<string, string[]> = Object.create(null);
  const start = url.indexOf('?');
  if (start < 0) return words;
  for (const [key, value] of new URLSearchParams(url.slice(start + 1))) {
    if (key.includes('\0') || value.includes('\0')) throw invalidInput({ why: 'The query holds a NUL.' });
    const list = words[key];
    if (list) list.push(value);
    else words[key] = [value];
  }
  return words;
}

function originOf<P>(request: IncomingMessage, options: AppOptions<P>): string {
  if (options.publicUrl) return options.publicUrl.replace(/\/+$/, '');
  const host = request.headers.host;
  if (host && SAFE_HOST.test(host)) return `http://${host}`;
  return `http://${request.socket.localAddress ?? '127.0.0.1'}:${request.socket.localPort ?? 0}`;
}

function setCommonHeaders<P>(options: AppOptions<P>, reply: FastifyReply, requestId: string) {
  reply.header('x-openstack-request-id', requestId);
  if (options.dialect.requestIdHeader) reply.header(options.dialect.requestIdHeader, requestId);
}

function setVersionHeaders<P>(options: AppOptions<P>, reply: FastifyReply, version: Version) {
  const micro = options.microversions;
  if (!micro) return;
  reply.header('openstack-api-version', `${micro.service} ${version}`);
  if (micro.legacyHeader) reply.header(micro.legacyHeader, version);
  reply.header('vary', [micro.vary ?? 'OpenStack-API-Version', ...(micro.legacyHeader ? [micro.legacyHeader] : [])]);
}

function send<P>(options: AppOptions<P>, reply: FastifyReply, answer: Reply, version: Version, legacy: boolean, requestId: string) {
  setCommonHeaders(options, reply, requestId);
  if (!legacy) setVersionHeaders(options, reply, version);
  reply.code(answer.status);
  const headers = answer.headers ?? {};
  if (headers['content-type'] === '') {
    const { 'content-type': _none, ...others } = headers;
    return reply.headers(others).send(undefined);
  }
  if (!headers['content-type'] && answer.status !== 204) reply.header('content-type', 'application/json');
  reply.headers(headers);
  if (answer.raw !== undefined) {
    if (answer.raw instanceof Readable) return reply.send(answer.raw);
    return reply.send(typeof answer.raw === 'string' ? Buffer.from(answer.raw) : answer.raw);
  }
  if (answer.body === undefined) {
    return reply.send(answer.status === 204 ? undefined : Buffer.alloc(0));
  }
  const settled = options.microversions ? answerAt(version, answer.body) : answer.body;
  return reply.send(Buffer.from(JSON.stringify(settled)));
}

async function answerError<P>(options: AppOptions<P>, request: IncomingMessage, reply: FastifyReply, cause: unknown) {
  const arrival = arrivals.get(request);
  const requestId = arrival?.requestId ?? newRequestId();
  const error = asCloudError(cause, requestId);
  const status = statusOf(error.kind);
  // What is not there on purpose is no failure, though its status is a 501.
  if (status >= 500 && error.kind !== 'notImplemented') {
    options.log.error(
      { requestId, code: error.code, detail: error.detail, err: cause, method: request.method, path: request.url?.split('?')[0] },
      'request failed',
    );
  } else if (error.detail) options.log.info({ requestId, code: error.code, detail: error.detail }, error.message);
  if (reply.sent || reply.raw.headersSent) {
    reply.raw.destroy();
    return reply;
  }
  setCommonHeaders(options, reply, requestId);
  if (arrival?.version) setVersionHeaders(options, reply, arrival.version);
  if (error.code === 'version.not_supported') setVersionHeaders(options, reply, error.params.version as Version); // 406 echoes the asked one
  const answer = options.dialect.fault(error, status, errorRequest(options, request));
  reply.code(status).headers(answer.headers);
  if (!request.complete) reply.header('connection', 'close'); // the rest of an unread body must not be taken for a request
  return reply.send(Buffer.from(answer.body));
}

const pathOf = (url: string) => url.split('?', 1)[0] ?? '/';
const errorRequest = <P>(options: AppOptions<P>, request: IncomingMessage): ErrorRequest => ({
  method: request.method ?? 'GET',
  accept: request.headers.accept,
  origin: originOf(request, options),
  requestId: arrivals.get(request)?.requestId ?? newRequestId(),
  version: arrivals.get(request)?.version,
});

function asCloudError(cause: unknown, requestId: string): CloudError {
  if (cause instanceof CloudError) return cause;
  if (cause && typeof cause === 'object' && 'statusCode' in cause && typeof cause.statusCode === 'number' && cause.statusCode < 500) {
    const text = cause instanceof Error ? cause.message : 'The request cannot be read.';
    if (cause.statusCode === 413) return new CloudError('request.too_large', 'tooLarge', 'The request body is too large.', {}, { cause });
    if (cause.statusCode === 415)
      return new CloudError('request.media_type', 'unsupportedMedia', 'Unsupported Content-Type.', {}, { cause });
    return invalidInput({ why: text }, { cause });
  }
  return new CloudError('unexpected', 'internal', `Something unexpected happened here; the log has it under ${requestId}.`, {}, { cause });
}
