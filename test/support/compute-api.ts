import { volumeClient } from '../../src/clients/volume.ts';
import type { Database } from '../../src/db/engine.ts';
import { migrate } from '../../src/db/migrate.ts';
import { type FrontDoor, openFrontDoor } from '../../src/http/front-door.ts';
import { type ManualClock, manualClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { type Caller, nobody } from '../../src/model/caller.ts';
import { CloudError, notAuthenticated } from '../../src/model/errors.ts';
import { imageGone } from '../../src/model/errors-misc-api.ts';
import { type ComputeApiParts, createComputeApp } from '../../src/services/compute-api/app.ts';
import { openChangeHub } from '../../src/services/compute-api/change-hub.ts';
import { ownDatabase } from './compute-database.ts';
import { leanFetch } from './lean-fetch.ts';

export const ADMIN_PROJECT = 'a'.repeat(32);
export const DEMO_PROJECT = 'd'.repeat(32);
const person = (userId: string, projectId: string, roles: string[]): Caller => ({ ...nobody, userId, userName: userId, projectId, roles });

/** Callers by the token they send. */
export const callers: Readonly<Record<string, Caller>> = {
  admin: person('1'.repeat(32), ADMIN_PROJECT, ['admin', 'manager', 'member', 'reader']),
  demo: person('2'.repeat(32), DEMO_PROJECT, ['member', 'reader']),
  other: person('3'.repeat(32), 'e'.repeat(32), ['member', 'reader']),
  reader: person('5'.repeat(32), DEMO_PROJECT, ['reader']),
  roleless: person('4'.repeat(32), 'f'.repeat(32), []),
};

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: bodies of every kind, looked into by assertions
  readonly body: any;
}
export interface Ask {
  /** Token; null for none. Default: admin. */
  readonly as?: string | null;
  /** Microversion; none when absent. */
  readonly at?: string | undefined;
  readonly body?: unknown;
  /** A body sent as it is, instead of JSON. */
  readonly raw?: string | Buffer;
  readonly headers?: Record<string, string>;
}

export interface ComputeHouse {
  readonly db: Database;
  readonly clock: ManualClock;
  readonly door: FrontDoor;
  /** `http://127.0.0.1:port`, without a slash. */
  readonly origin: string;
  /** Calls `METHOD /path`; paths that begin with /v2 are taken as they are, others are under /v2.1. */
  ask(place: string, more?: Ask): Promise<Answer>;
  close(): Promise<void>;
}

/** An image service without any image. */
export const noImages: ComputeApiParts['images'] = {
  show: async () => undefined,
  create: async () => '00000000-0000-4000-8000-00000000000e',
  remove: async () => {},
  location: (id, origin) => `${origin}/image/v2/images/${id}`,
};

/** A network service without any port or address. */
export const noNetworking: ComputeApiParts['networking'] = {
  async ask(method, path) {
    const noun = /^\/v2\.0\/([\w-]+)(?:\?|$)/.exec(path)?.[1];
    if (noun === undefined || method !== 'GET')
      throw new CloudError('network.answered_404', 'notFound', 'There is nothing of that kind.', { status: 404 });
    return { status: 200, headers: {}, body: { [noun.replaceAll('-', '_')]: [] } as never };
  },
  portsOf: async () => [],
  groupNames: async () => [],
};

/** Consoles of every kind but MKS at proxies that nobody runs, and no images for old clients. */
export const besides: Pick<ComputeApiParts, 'imageProxy' | 'consoles' | 'consoleAddress'> = {
  consoles: {
    enabled: { vnc: true, spice: true, serial: true, mks: false },
    urls: {
      novnc: 'http://proxy.example/vnc_auto.html?path=ws',
      'spice-html5': 'http://proxy.example/spice_auto.html',
      'spice-direct': 'http://proxy.example/nova',
      serial: 'ws://proxy.example/',
      webmks: 'http://proxy.example/mks',
    },
    tokenTtlSeconds: 600,
  },
  consoleAddress: async (_server, protocol) => ({ host: `${protocol}.example`, port: 5900, tlsPort: 5901, path: null, socket: null }),
  imageProxy: {
    list: async () => [],
    show: async (id) => {
      throw imageGone({}, { detail: id });
    },
    remove: async () => {
      throw imageGone({});
    },
    change: async () => {
      throw imageGone({});
    },
    publicUrl: (origin) => `${origin}/image`,
  },
};

/** Neighbours of a cloud without any image, port or address, where every network asked for is fine and consoles are empty; nobody hears the bell. */
const neighbours: Pick<
  ComputeApiParts,
  | 'bus'
  | 'images'
  | 'networks'
  | 'networking'
  | 'volumes'
  | 'console'
  | 'diagnostics'
  | 'agents'
  | 'imageProxy'
  | 'consoles'
  | 'consoleAddress'
> = {
  bus: { ring() {} },
  images: noImages,
  networks: { validate: async (asked) => asked },
  networking: noNetworking,
  volumes: volumeClient(null),
  console: async () => '',
  diagnostics: async () => {
    throw new Error('no guest runs here');
  },
  agents: { cacheImages: async () => {} },
  ...besides,
};

/** The compute API on a database of its own and a real socket, with a table of callers instead of an identity service. */
export async function openComputeHouse(more: Partial<ComputeApiParts> & { policy?: Record<string, string> } = {}): Promise<ComputeHouse> {
  const { policy, ...parts } = more;
  const { db, drop } = await ownDatabase();
  await migrate(db);
  const clock = manualClock();
  const app = await createComputeApp({
    parts: { ...neighbours, db, clock, log: silentLog, changes: openChangeHub({ db, clock, log: silentLog }), ...parts },
    checkToken: async (token) => {
      const caller = Object.hasOwn(callers, token) ? callers[token] : undefined;
      if (!caller) throw notAuthenticated({});
      return caller;
    },
    ...(policy ? { policyOverrides: policy } : {}),
    log: silentLog,
    identityUrl: 'http://identity.example/v3',
  });
  const door = await openFrontDoor({ apps: [app], plain: () => false, host: '127.0.0.1', port: 0 });
  const origin = `http://127.0.0.1:${door.address.port}`;
  return {
    db,
    clock,
    door,
    origin,
    async ask(place, { as = 'admin', at, body, raw, headers } = {}) {
      const [method = 'GET', path = '/'] = place.split(' ');
      const response = await leanFetch(`${origin}${path.startsWith('/v2') ? '' : '/v2.1'}${path}`, {
        method,
        headers: {
          ...(as === null ? {} : { 'x-auth-token': as }),
          ...(at ? { 'openstack-api-version': `compute ${at}` } : {}),
          ...(body !== undefined || raw !== undefined ? { 'content-type': 'application/json' } : {}),
          ...headers,
        },
        ...(raw !== undefined ? { body: raw as never } : body !== undefined ? { body: JSON.stringify(body) } : {}),
      });
      const text = await response.text();
      let value: unknown;
      try {
        value = text === '' ? undefined : JSON.parse(text);
      } catch {
        value = undefined;
      }
      return { status: response.status, headers: response.headers, text, body: value };
    },
    async close() {
      await door.close();
      await app.close();
      await drop();
    },
  };
}
