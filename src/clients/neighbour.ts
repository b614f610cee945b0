import type { Readable } from 'node:stream';
import { Agent, type Dispatcher, request } from 'undici';
import { CloudError, type Kind, neighbourUnavailable } from '../model/errors.ts';

/** A service beside ours, reached over HTTP like a real one of OpenStack, in one process too. */
export interface Neighbour {
  /** Asks and reads a JSON answer. Any status in `expect` (default: every 2xx) is a success; others throw a CloudError whose kind follows the status
   *  and whose `params.status` holds it. A service that does not answer within `timeoutMs` throws neighbourUnavailable. */
  ask<T = unknown>(
    method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    path: string,
    more?: AskOptions,
  ): Promise<NeighbourAnswer<T>>;
  /** The answer's body as a stream, for image data. The caller must read or destroy it. */
  download(path: string, more?: AskOptions): Promise<{ status: number; headers: Record<string, string>; body: Readable }>;
}
export interface AskOptions {
  readonly body?: unknown;
  /** A body sent as it is, with its content type in `headers`. */
  readonly stream?: Readable;
  readonly headers?: Readonly<Record<string, string>>;
  readonly expect?: readonly number[];
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Uses this token instead of the service's own; null: none. */
  readonly token?: string | null;
}
export interface NeighbourAnswer<T> {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: T;
}

export interface NeighbourOptions {
  /** Name for errors: 'image'. */
  readonly service: string;
  /** Base URL without a trailing slash; a function when it is only known after the start. */
  readonly url: string | (() => string);
  /** A token of our service user; asked again with `fresh` after a 401. */
  readonly token?: (fresh: boolean) => Promise<string>;
  readonly dispatcher?: Dispatcher;
}

const KIND: Readonly<Record<number, Kind>> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'notFound',
  409: 'conflict',
  410: 'gone',
  413: 'tooLarge',
  429: 'tooMany',
  503: 'unavailable',
};

/** Connections kept open between neighbours; one for the whole process is enough. */
export const keepAliveAgent = (): Dispatcher =>
  new Agent({ connections: 32, pipelining: 1, keepAliveTimeout: 30_000, headersTimeout: 0, bodyTimeout: 0 });

export function neighbour(options: NeighbourOptions): Neighbour {
  const base = () => (typeof options.url === 'string' ? options.url : options.url()).replace(/\/+$/, '');
  const send = async (method: string, path: string, more: AskOptions, fresh: boolean): Promise<Dispatcher.ResponseData> => {
    const token = more.token === undefined ? await options.token?.(fresh) : more.token;
    const timeout = AbortSignal.timeout(more.timeoutMs ?? 30_000);
    const headers: Record<string, string> = { accept: 'application/json', ...(token ? { 'x-auth-token': token } : {}), ...more.headers };
    if (more.body !== undefined && !more.stream) headers['content-type'] ??= 'application/json';
    try {
      return await request(`${base()}${path}`, {
        method: method as Dispatcher.HttpMethod,
        headers,
        body: more.stream ?? (more.body === undefined ? null : JSON.stringify(more.body)),
        signal: more.stream ? (more.signal ?? null) : more.signal ? AbortSignal.any([more.signal, timeout]) : timeout,
        ...(options.dispatcher ? { dispatcher: options.dispatcher } : {}),
      });
    } catch (cause) {
      if (more.signal?.aborted) throw cause;
      throw neighbourUnavailable(
        { service: options.service },
        { cause, detail: `${method} ${path}: ${cause instanceof Error ? cause.message : String(cause)}` },
      );
    }
  };
  const exchange = async (method: string, path: string, more: AskOptions) => {
    const answer = await send(method, path, more, false);
    // A service token may have been revoked or have expired meanwhile: once more with a fresh one.
    if (answer.statusCode !== 401 || !options.token || more.token !== undefined || more.stream) return answer;
    await answer.body.dump();
    return send(method, path, more, true);
  };
  const refuse = async (answer: Dispatcher.ResponseData, method: string, path: string): Promise<CloudError> => {
    const text = await answer.body.text();
    const status = answer.statusCode;
    return new CloudError(
      `${options.service}.answered_${status}`,
      KIND[status] ?? 'badGateway',
      messageIn(text) ?? `The ${options.service} service answered ${status}.`,
      { status },
      {
        detail: `${method} ${path} -> ${status} ${text.slice(0, 500)}`,
      },
    );
  };
  return {
    async ask<T>(method: string, path: string, more: AskOptions = {}) {
      const answer = await exchange(method, path, more);
      const fine = more.expect ? more.expect.includes(answer.statusCode) : answer.statusCode >= 200 && answer.statusCode < 300;
      if (!fine) throw await refuse(answer, method, path);
      const text = method === 'HEAD' ? '' : await answer.body.text();
      let body: unknown;
      try {
        body = text === '' ? undefined : JSON.parse(text);
      } catch (cause) {
        throw new CloudError(
          `${options.service}.nonsense`,
          'badGateway',
          `The ${options.service} service answered something that is not JSON.`,
          {},
          { cause, detail: text.slice(0, 500) },
        );
      }
      return { status: answer.statusCode, headers: flat(answer.headers), body: body as T }; // the client that asks names what the service promises
    },
    async download(path, more = {}) {
      const answer = await exchange('GET', path, more);
      if (answer.statusCode !== 200 && answer.statusCode !== 204) throw await refuse(answer, 'GET', path);
      return { status: answer.statusCode, headers: flat(answer.headers), body: answer.body };
    },
  };
}

function messageIn(text: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (parsed === null || typeof parsed !== 'object') return undefined;
    for (const value of [parsed, ...Object.values(parsed)]) {
      if (value !== null && typeof value === 'object' && 'message' in value && typeof value.message === 'string') return value.message;
    }
  } catch {
    return undefined;
  }
  return undefined;
}

const flat = (headers: Record<string, string | string[] | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );
