import { loginAs } from '../house/running.ts';

export interface Answer {
  /** 0: no answer came. */
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what the API answers is read field by field, and nothing is promised of it here
  readonly body: any;
  readonly text: string;
}
export interface Asker {
  ask(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
}

const ASK_MS = 90_000;
/** Shorter than tokens live. */
const TOKEN_MS = 1_800_000;
/** Pause of a client that found nobody. */
const AWAY_MS = 300;

/** Asks the cloud as one user and takes any answer, also none. `path` begins with the service: /v2.1/servers, /volume/v3/volumes; bytes are sent as they are. */
export async function askerFor(base: string, dataDir: string, user: 'admin' | 'demo', wrong: (what: string) => void): Promise<Asker> {
  let { token } = await loginAs(base, dataDir, user);
  let loggedIn = performance.now();
  const asker: Asker = {
    async ask(method, path, body, headers = {}) {
      const began = performance.now();
      try {
        const answer = await fetch(`${base}${path}`, {
          method,
          headers: {
            'x-auth-token': token,
            'openstack-api-version': 'compute 2.94, volume 3.70',
            ...(body === undefined ? {} : { 'content-type': body instanceof Uint8Array ? 'application/octet-stream' : 'application/json' }),
            ...headers,
          },
          ...(body === undefined ? {} : { body: body instanceof Uint8Array ? new Uint8Array(body) : JSON.stringify(body) }),
          signal: AbortSignal.timeout(ASK_MS),
        });
        const text = await answer.text();
        if (answer.status === 401 && performance.now() - loggedIn > TOKEN_MS) {
          // A long run outlives its token.
          ({ token } = await loginAs(base, dataDir, user));
          loggedIn = performance.now();
          return asker.ask(method, path, body, headers);
        }
        // What a part that was struck explains is no fault; whatever is not thought of is. A card that cannot be plugged is a 500 in Nova's API.
        if ((answer.status === 500 || answer.status === 501) && !/Failed to (at|de)tach network adapter/.test(text))
          wrong(`${method} ${path} ${JSON.stringify(body)} -> ${answer.status} ${text}`);
        if (answer.status === 400 || answer.status === 405) unfit.add(`${method} ${path.replace(/[0-9a-f-]{36}/g, ':id')} ${text}`);
        let parsed: unknown = {};
        try {
          parsed = text === '' ? {} : JSON.parse(text);
        } catch {}
        return { status: answer.status, body: parsed, text };
      } catch (cause) {
        if (performance.now() - began >= ASK_MS) wrong(`${method} ${path} was not answered in ${ASK_MS / 1000} s`);
        await new Promise((resolve) => setTimeout(resolve, AWAY_MS));
        return { status: 0, body: {}, text: String(cause) };
      }
    },
  };
  return asker;
}
/** Requests that were answered with 400: for whoever writes deeds. */
export const unfit = new Set<string>();
