import type { Database } from '../../src/db/engine.ts';
import { migrate } from '../../src/db/migrate.ts';
import { openFrontDoor } from '../../src/http/front-door.ts';
import { type Clock, manualClock } from '../../src/lib/clock.ts';
import { newUuid } from '../../src/lib/ids.ts';
import { silentLog } from '../../src/lib/log.ts';
import { noAuth } from '../../src/services/placement/noauth.ts';
import { createPlacementApp, type PlacementAppOptions } from '../../src/services/placement/placement-app.ts';
import { ownDatabase } from '../support/compute-database.ts';
import { leanFetch } from '../support/lean-fetch.ts';

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
  /** Microversion; the newest when absent. */
  readonly at?: string;
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Record<string, string>;
}
export interface PlacementHouse {
  readonly db: Database;
  readonly origin: string;
  ask(place: string, more?: Ask): Promise<Answer>;
  /** A provider with inventories (amounts, or whole records), traits and aggregates; answers its uuid. */
  provider(wish: ProviderWish): Promise<string>;
  /** Claims for a new consumer; answers the status. */
  claim(allocations: Record<string, Record<string, number>>, consumer?: string): Promise<number>;
  close(): Promise<void>;
}
export interface ProviderWish {
  readonly name: string;
  readonly parent?: string;
  readonly has?: Record<string, number | object>;
  readonly traits?: readonly string[];
  readonly aggregates?: readonly string[];
}

/** The placement API on a real socket, with tokens as noauth2 reads them; on a database of its own unless one is given. */
export async function openPlacementHouse(
  more: Partial<PlacementAppOptions> & { db?: Database; clock?: Clock } = {},
): Promise<PlacementHouse> {
  const own = more.db ? undefined : await ownDatabase();
  const db = more.db ?? own?.db;
  if (!db) throw new Error('no database');
  if (own) await migrate(db);
  const app = await createPlacementApp({ clock: manualClock(), log: silentLog, checkToken: noAuth, ...more, db });
  const door = await openFrontDoor({ apps: [app], plain: () => false, host: '127.0.0.1', port: 0 });
  const origin = `http://127.0.0.1:${door.address.port}`;
  const house: PlacementHouse = {
    db,
    origin,
    async ask(place, { as = 'admin', at = 'latest', body, raw, headers = {} } = {}) {
      const [method = 'GET', path = '/'] = place.split(' ', 2);
      const answer = await leanFetch(`${origin}/placement${path}`, {
        method,
        headers: {
          'openstack-api-version': `placement ${at}`,
          ...(as === null ? {} : { 'x-auth-token': as }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined && raw === undefined ? {} : { body: raw ?? JSON.stringify(body) }),
      });
      const text = await answer.text();
      const json = answer.headers.get('content-type')?.startsWith('application/json') && text !== '';
      return { status: answer.status, headers: answer.headers, text, body: json ? JSON.parse(text) : undefined };
    },
    async provider({ name, parent, has = {}, traits = [], aggregates = [] }) {
      const uuid = newUuid();
      const must = async (place: string, body: unknown) => {
        const answer = await house.ask(place, { body });
        if (answer.status >= 300) throw new Error(`${place}: ${answer.text}`);
        return answer.body;
      };
      await must('POST /resource_providers', { name, uuid, ...(parent ? { parent_provider_uuid: parent } : {}) });
      const inventories = Object.fromEntries(
        Object.entries(has).map(([key, value]) => [key, typeof value === 'number' ? { total: value } : value]),
      );
      for (const key of Object.keys(has)) if (key.startsWith('CUSTOM_')) await house.ask(`PUT /resource_classes/${key}`);
      let generation = 0;
      const next = async (what: string, rest: object) => {
        const answer = await must(`PUT /resource_providers/${uuid}/${what}`, { resource_provider_generation: generation, ...rest });
        generation = answer.resource_provider_generation;
      };
      if (Object.keys(has).length > 0) await next('inventories', { inventories });
      for (const trait of traits) if (trait.startsWith('CUSTOM_')) await house.ask(`PUT /traits/${trait}`);
      if (traits.length > 0) await next('traits', { traits });
      if (aggregates.length > 0) await next('aggregates', { aggregates });
      return uuid;
    },
    async claim(held, consumer = newUuid()) {
      const allocations = Object.fromEntries(Object.entries(held).map(([uuid, resources]) => [uuid, { resources }]));
      const body = { allocations, project_id: 'p', user_id: 'u', consumer_generation: null, consumer_type: 'TEST' };
      return (await house.ask(`PUT /allocations/${consumer}`, { body })).status;
    },
    async close() {
      await door.close();
      await app.close();
      await own?.drop();
    },
  };
  return house;
}
