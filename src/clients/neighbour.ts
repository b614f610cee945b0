import type { Readable } from 'node:stream';
import { CloudError, type Kind, neighbourUnavailable } from '../model/errors.ts';
import { type Answer, type Connections, openConnections } from './connections.ts';

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
  /** Shared with other neighbours of this process; else its own. */
  readonly connections?: Connections;
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

export function neighbour(options: NeighbourOptions): Neighbour {
  const connections = options.connections ?? openConnections();
  const base = () => (typeof options.url === 'string' ? options.url : options.url()).replace(/\/+$/, '');
  const unavailable = (method: string, path: string, more: AskOptions, cause: unknown) =>
    more.signal?.aborted
      ? cause
      : neighbourUnavailable(
          { service: options.service },
          { cause, detail: `${method} ${path}: ${cause instanceof Error ? cause.message : String(cause)}` },
        );
  const send = async (method: string, path: string, more: AskOptions, fresh: boolean): Promise<Answer> => {
    const token = more.token === undefined ? await options.token?.(fresh) : more.token;
    const timeout = AbortSignal.timeout(more.timeoutMs ?? 30_000);
    const headers: Record<string, string> = { accept: 'application/json', ...(token ? { 'x-auth-token': token } : {}), ...more.headers };
    if (more.body !== undefined && !more.stream) headers['content-type'] ??= 'application/json';
    try {
      return await connections.send(new URL(`${base()}${path}`), {
        method,
        headers,
        body: more.stream ?? (more.body === undefined ? undefined : JSON.stringify(more.body)),
        signal: more.stream ? more.signal : more.signal ? AbortSignal.any([more.signal, timeout]) : timeout,
      });
    } catch (cause) {
      throw unavailable(method, path, more, cause);
    }
  };
  const exchange = async (method: string, path: string, more: AskOptions) => {
    const answer = await send(method, path, more, false);
    // A service token may have been revoked or have expired meanwhile: once more with a fresh one.
    if (answer.status !== 401 || !options.token || more.token !== undefined || more.stream) return answer;
    answer.body.resume();
    return send(method, path, more, true);
  };
  const refuse = async (answer: Answer, method: string, path: string): Promise<CloudError> => {
    const text = await textOf(answer.body);
    const status = answer.status;
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
      const fine = more.expect ? more.expect.includes(answer.status) : answer.status >= 200 && answer.status < 300;
      if (!fine) throw await refuse(answer, method, path);
      const text = await textOf(answer.body).catch((cause) => {
        throw unavailable(method, path, more, cause);
      });
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
      return { status: answer.status, headers: flat(answer.headers), body: body as T }; // the client that asks names what the service promises
    },
    async download(path, more = {}) {
      const answer = await exchange('GET', path, more);
      if (answer.status !== 200 && answer.status !== 204) throw await refuse(answer, 'GET', path);
      return { status: answer.status, headers: flat(answer.headers), body: answer.body };
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
    return messageInPage(text);
  }
  return undefined;
}

/** What an error page says (image services answer with one): its text behind the heading. */
function messageInPage(text: string): string | undefined {
  const said = /<\/h1>([\s\S]*?)(?:<br|<\/body)/i.exec(text)?.[1]?.trim();
  if (!said) return undefined;
  const signs: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', '#x27': "'", '#39': "'", amp: '&' };
  return said.replaceAll(/&(lt|gt|quot|#x27|#39|amp);/g, (_all, sign: string) => signs[sign] ?? '').slice(0, 2000);
}

const flat = (headers: Record<string, string | string[] | undefined>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, Array.isArray(value) ? value.join(', ') : value]],
    ),
  );

async function textOf(body: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
