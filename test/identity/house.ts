import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFrontDoor } from '../../src/http/front-door.ts';
import { type Clock, systemClock } from '../../src/lib/clock.ts';
import { silentLog } from '../../src/lib/log.ts';
import { createIdentityApp } from '../../src/services/identity/app.ts';
import { defaultCatalog } from '../../src/services/identity/catalog.ts';
import { openTokenKeys } from '../../src/services/identity/keys.ts';
import { seedIdentity } from '../../src/services/identity/seed.ts';
import { openFresh } from '../support/fresh-database.ts';
import { leanFetch } from '../support/lean-fetch.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form and fails where one is not as expected
  readonly body: any;
}

/** A seeded identity service behind a real listener. `otherProcess` is a second one on the same database with keys of its own, which knows nothing of the first. */
export async function openIdentity(more: { clock?: Clock } = {}) {
  const clock = more.clock ?? systemClock;
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-identity-'));
  const url = join(dir, 'cloud.db');
  const db = await openFresh(url);
  const passwords = { adminPassword: 'admin-pw', demoPassword: 'demo-pw', servicePassword: 'service-pw' };
  const seed = () => seedIdentity({ db, clock, log: silentLog, ...passwords });
  const ids = await seed();
  let turn = 0;
  const serve = async () => {
    const app = await createIdentityApp({
      db,
      clock,
      log: silentLog,
      keys: openTokenKeys(join(dir, 'keys', turn++ === 0 ? 'tokens.pem' : `tokens-${turn}.pem`)),
      catalog: defaultCatalog({ regionName: 'RegionOne' }),
    });
    const door = await openFrontDoor({ apps: [app], plain: () => false, host: '127.0.0.1', port: 0 });
    return { app, door, base: `http://127.0.0.1:${door.address.port}/identity` };
  };
  const first = await serve();
  const opened = [first];
  const ask = async (
    method: string,
    path: string,
    more: { token?: string | undefined; subject?: string | undefined; body?: unknown; base?: string } = {},
  ): Promise<Answer> => {
    const answer = await leanFetch(`${more.base ?? first.base}${path}`, {
      method,
      headers: {
        ...(more.token ? { 'x-auth-token': more.token } : {}),
        ...(more.subject ? { 'x-subject-token': more.subject } : {}),
        ...(more.body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(more.body === undefined ? {} : { body: JSON.stringify(more.body) }),
    });
    const text = await answer.text();
    return { status: answer.status, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) };
  };
  /** Logs in by name; `scope` as in the body, a project's name in the default domain, or nothing. */
  const login = (name: string, password: string, scope?: string | object) =>
    ask('POST', '/v3/auth/tokens', {
      body: {
        auth: {
          identity: { methods: ['password'], password: { user: { name, domain: { id: 'default' }, password } } },
          ...(scope === undefined
            ? {}
            : { scope: typeof scope === 'string' ? { project: { name: scope, domain: { id: 'default' } } } : scope }),
        },
      },
    });
  const tokenOf = async (name: string, password: string, scope?: string | object) => {
    const answer = await login(name, password, scope);
    if (answer.status !== 201) throw new Error(`login of ${name}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.headers.get('x-subject-token') ?? '';
  };
  return {
    db,
    dir,
    ids,
    seed,
    app: first.app,
    base: first.base,
    ask,
    login,
    tokenOf,
    admin: await tokenOf('admin', 'admin-pw', 'admin'),
    demo: await tokenOf('demo', 'demo-pw', 'demo'),
    async otherProcess() {
      const other = await serve();
      opened.push(other);
      return other;
    },
    async close() {
      for (const { door, app } of opened) {
        await door.close();
        await app.close();
      }
      await db.close();
      rmSync(dir, { recursive: true });
    },
  };
}
export type Identity = Awaited<ReturnType<typeof openIdentity>>;
