import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFresh } from '../../../test/support/fresh-database.ts';
import { leanFetch } from '../../../test/support/lean-fetch.ts';
import type { Database } from '../../db/engine.ts';
import { migrate } from '../../db/migrate.ts';
import { openDatabase } from '../../db/open.ts';
import { openFrontDoor } from '../../http/front-door.ts';
import { type ManualClock, manualClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { type Caller, nobody } from '../../model/caller.ts';
import { notAuthenticated } from '../../model/errors.ts';
import { createNetworkApp, type NetworkAppOptions } from './network-app.ts';
import { seedNetwork } from './seed-network.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many forms
  readonly body: any;
}
export interface NetworkHouse {
  readonly url: string;
  readonly db: Database;
  readonly clock: ManualClock;
  /** `as`: a token, one of admin, service, alice, bob, reader; null: none. */
  ask(as: string | null, method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

const caller = (project: string, ...roles: string[]): Caller => ({
  ...nobody,
  userId: `${project}-user`,
  projectId: project,
  projectName: project,
  roles,
});
export const callers: Readonly<Record<string, Caller>> = {
  admin: caller('admin-project', 'admin', 'member', 'reader'),
  service: caller('service-project', 'service'),
  alice: caller('alice-project', 'member', 'reader'),
  bob: caller('bob-project', 'member', 'reader'),
  reader: caller('alice-project', 'reader'),
  roleless: caller('alice-project'),
};

/** The network service behind a real listener, on its own database, with a table of callers instead of identity. */
export async function openNetworkHouse(options: Partial<NetworkAppOptions> & { seed?: boolean; url?: string } = {}): Promise<NetworkHouse> {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-network-'));
  const db = await (options.url ? openDatabase({ url: options.url }) : openFresh(join(dir, 'cloud.db')));
  await migrate(db);
  const clock = manualClock();
  if (options.seed !== false) await seedNetwork({ db, clock, ownerProjectId: 'admin-project' });
  const app = await createNetworkApp({
    log: silentLog,
    ...options,
    db,
    clock,
    checkToken: async (token) => {
      const found = Object.hasOwn(callers, token) ? callers[token] : undefined;
      if (!found) throw notAuthenticated({});
      return found;
    },
  });
  const door = await openFrontDoor({ apps: [app], plain: () => false, host: '127.0.0.1', port: 0 });
  const url = `http://127.0.0.1:${door.address.port}/network`;
  return {
    url,
    db,
    clock,
    async ask(as, method, path, body, headers = {}) {
      const answer = await leanFetch(`${url}${path}`, {
        method,
        headers: {
          ...(as === null ? {} : { 'x-auth-token': as }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      });
      const text = await answer.text();
      return { status: answer.status, headers: answer.headers, body: text === '' ? undefined : JSON.parse(text) };
    },
    async close() {
      await door.close();
      await app.close();
      await db.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
