import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { Log } from '../lib/log.ts';
import type { Shape, Version } from '../lib/shape.ts';
import type { Caller } from '../model/caller.ts';
import type { Target } from '../model/policy.ts';

export type Method = 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** One request, as a handler sees it: already authenticated, of a known version, its body and query valid for that version. */
export interface Call<B = unknown> {
  readonly method: Method;
  /** Path within the app, without its mount, with query: `/servers/detail?limit=2`. */
  readonly url: string;
  /** The route's own path: `/servers/:id`. */
  readonly route: string;
  /** Whether the client came by a legacy mount (`/v2`). */
  readonly legacy: boolean;
  readonly params: Readonly<Record<string, string>>;
  /** Every query word with all its values, in order. */
  readonly query: Readonly<Record<string, readonly string[]>>;
  readonly body: B;
  /** The request itself, for bodies read as a stream (`stream: true` routes). */
  readonly request: IncomingMessage;
  readonly headers: IncomingHttpHeaders;
  /** Effective microversion; '0.0' for services without any. */
  readonly version: Version;
  readonly caller: Caller;
  /** The raw token, for services that hand it back or revoke it; never logged. */
  readonly token: string | null;
  /** `http://host:port` as the client named it, or the configured public URL; without a trailing slash. */
  readonly origin: string;
  /** origin + mount: where this app is for the client. `http://host:8774/v2.1`. */
  readonly base: string;
  readonly requestId: string;
  readonly log: Log;
  /** Aborts when the client hangs up. */
  readonly signal: AbortSignal;
  /** Holds the route's rule (or a named one) against an object. Throws policyForbids (403). Routes with `policyOn: 'object'` must call it. */
  allow(target: Target, rule?: string): void;
  /** The same as a question, for rules that only hide fields. */
  allows(rule: string, target?: Target): boolean;
}

export interface Reply {
  readonly status: number;
  /** An object becomes JSON, cut to the version; undefined: no body. */
  readonly body?: unknown;
  /** Bytes sent as they are; name their Content-Type in `headers` (JSON when absent). */
  readonly raw?: Buffer | string | Readable;
  /** An empty content-type: no body and no such header either. */
  readonly headers?: Readonly<Record<string, string | string[]>>;
}

export interface Route<P = never> {
  readonly run: (parts: P, call: Call<never>) => Promise<Reply> | Reply;
  /** Shape of the JSON body; a route without one ignores bodies. */
  // biome-ignore lint/suspicious/noExplicitAny: a table holds shapes of many types; each handler names its own
  readonly body?: Shape<any>;
  /** Shape of the query: each property is the schema of one *value list* (array of strings). Absent: anything goes. */
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly query?: Shape<any>;
  /** Name of the policy rule; 'none' for routes that need no right beyond a token; routes with `auth: 'none'` need not name one. */
  readonly policy?: string;
  /** 'caller' (default): checked before `run` against the caller's own project; 'object': `run` calls `call.allow(target)`. */
  readonly policyOn?: 'caller' | 'object';
  /** 'none': no token needed; 'optional': taken when there (version documents, token introspection decides by itself). */
  readonly auth?: 'none' | 'optional';
  /** Microversions at which the route exists; outside it answers 404. */
  readonly since?: Version;
  readonly until?: Version;
  /** The body is not read: the handler takes it from `call.request` as a stream. */
  readonly stream?: true;
  /** `call.body` is the body's bytes as they came, read to its end: for handlers with their own words for what is wrong with it. */
  readonly rawBody?: true;
}
/** `METHOD /path/:param`, with `#word` behind it for a body's only key (`POST /servers/:id/action#os-start`). */
export type RouteTable<P> = Readonly<Record<string, Route<P>>>;

/** Types a handler against its table: `route<Parts, ServerCreate>(run)` is not needed; a plain function with Call<Body> fits. */
export type Handler<P, B = unknown> = (parts: P, call: Call<B>) => Promise<Reply> | Reply;

/** The one value of a query word, or undefined; the last wins, as in Nova. */
export const one = (call: Pick<Call, 'query'>, word: string): string | undefined => call.query[word]?.at(-1);
