import type { ClientRequest, IncomingHttpHeaders } from 'node:http';
import type { Agent as SecureAgent } from 'node:https';
import type { Readable } from 'node:stream';
import { Agent, request } from '../lib/node-http.ts';

/** Connections kept open between neighbours; one for the whole process is enough. */
export interface Connections {
  /** Resolves when the answer's head is there. Rejects when none comes, or with the signal's reason. */
  send(url: URL, asked: Asked): Promise<Answer>;
  /** Ends what is open. */
  close(): void;
}
export interface Asked {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Readable | undefined;
  /** Holds for the answer's body too. */
  readonly signal: AbortSignal | undefined;
}
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Must be read or destroyed: its connection is in use until then. */
  readonly body: Readable;
}

const KEPT = { keepAlive: true, maxSockets: 32, maxFreeSockets: 32, keepAliveMsecs: 30_000 } as const;
const REPEATABLE = new Set(['GET', 'HEAD', 'PUT', 'DELETE']);

export function openConnections(): Connections {
  const plain = new Agent(KEPT);
  let secure: Promise<{ agent: SecureAgent; request: typeof request }> | undefined; // TLS is loaded only where a neighbour speaks it
  const openSecure = async () => {
    const https = await import('node:https');
    return { agent: new https.Agent(KEPT), request: https.request };
  };
  const once = async (url: URL, { method, headers, body, signal }: Asked): Promise<Answer> => {
    signal?.throwIfAborted();
    if (url.protocol === 'https:') secure ??= openSecure();
    const way = url.protocol === 'https:' && secure ? await secure : { agent: plain, request };
    return new Promise((resolve, reject) => {
      const call = way.request(url, { method, headers, agent: way.agent, ...(signal ? { signal } : {}) }, (answer) =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer }),
      );
      call.once('error', (cause) => reject(signal?.aborted ? signal.reason : new CallFailed(cause, call)));
      if (body === undefined || typeof body === 'string') call.end(body);
      else pour(body, call);
    });
  };
  return {
    async send(url, asked) {
      try {
        return await once(url, asked);
      } catch (cause) {
        // The other side may close a kept connection just as it is used again.
        const closedMeanwhile = cause instanceof CallFailed && cause.reused && cause.code === 'ECONNRESET';
        if (closedMeanwhile && REPEATABLE.has(asked.method) && (asked.body === undefined || typeof asked.body === 'string'))
          return once(url, asked);
        throw cause;
      }
    },
    close() {
      plain.destroy();
      void secure?.then(({ agent }) => agent.destroy());
    },
  };
}

class CallFailed extends Error {
  readonly code: string | undefined;
  readonly reused: boolean;
  constructor(cause: NodeJS.ErrnoException, call: ClientRequest) {
    super(cause.message, { cause });
    this.code = cause.code;
    this.reused = call.reusedSocket;
  }
}

/** A source that breaks off ends the call, so that the other side never takes half a body for the whole. */
function pour(body: Readable, call: ClientRequest): void {
  body.once('error', (cause) => call.destroy(cause));
  body.once('close', () => {
    if (!body.readableEnded) call.destroy(new Error('the body broke off'));
  });
  call.once('close', () => {
    if (!body.readableEnded) body.destroy(); // refused before it was read to its end
  });
  body.pipe(call);
}
