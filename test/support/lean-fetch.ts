// A small `fetch` for the tests of the fast suite: Node's own makes some dozen promises and a stream for each request, and the test runner follows
// every one of them, so that a suite of tens of thousands of requests takes twice as long with it. Foreign clients are the slow suites' business.
import { Agent, request } from 'node:http';

const agent = new Agent({ keepAlive: true, maxFreeSockets: 64 });

export type LeanAnswer = {
  readonly status: number;
  readonly ok: boolean;
  readonly headers: Headers;
  text(): Promise<string>;
  // biome-ignore lint/suspicious/noExplicitAny: as fetch has it
  json(): Promise<any>;
  arrayBuffer(): Promise<ArrayBuffer>;
};

/** Asks and reads the answer whole. Redirects are not followed. */
export function leanFetch(
  url: string,
  init: { method?: string; headers?: Record<string, string>; body?: string | Uint8Array; signal?: AbortSignal } = {},
): Promise<LeanAnswer> {
  const { method = 'GET', headers = {}, body, signal } = init;
  return new Promise((resolve, reject) => {
    const to = new URL(url);
    const length =
      body === undefined
        ? method === 'GET' || method === 'HEAD'
          ? {}
          : { 'content-length': '0' }
        : { 'content-length': `${Buffer.byteLength(body)}` };
    const asked = request(
      {
        host: to.hostname,
        port: to.port,
        path: to.pathname + to.search,
        method,
        agent,
        headers: { ...headers, ...length },
        ...(signal ? { signal } : {}),
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () => {
          const bytes = Buffer.concat(parts);
          const named = new Headers();
          for (let i = 0; i < answer.rawHeaders.length; i += 2) named.append(answer.rawHeaders[i] ?? '', answer.rawHeaders[i + 1] ?? '');
          const status = answer.statusCode ?? 0;
          resolve({
            status,
            ok: status >= 200 && status < 300,
            headers: named,
            text: async () => bytes.toString(),
            json: async () => JSON.parse(bytes.toString()),
            arrayBuffer: async () => Uint8Array.from(bytes).buffer,
          });
        });
      },
    );
    asked.on('error', reject);
    asked.end(body);
  });
}
