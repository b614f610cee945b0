import type { Revocation, TokenCheck } from '../../clients/identity.ts';
import type { Database } from '../../db/engine.ts';
import { type App, createApp, type Dialect } from '../../http/app.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { compilePolicy } from '../../model/policy.ts';
import type { CatalogBuilder } from './catalog.ts';
import { localStanding, localTokenCheck } from './check-token.ts';
import { openFeed } from './feed.ts';
import { openKeyRing } from './key-ring.ts';
import type { TokenKeys } from './keys.ts';
import type { Parts } from './parts.ts';
import { identityPolicy } from './policy.ts';
import { identityRoutes } from './routes.ts';

export interface IdentityApp extends App {
  /** The check that the app itself uses, for the services in its process. */
  readonly checkToken: TokenCheck;
  /** Hears of everything that makes tokens old, right after it was committed; the answer ends it. */
  onRevoked(listener: (revocation: Revocation) => void): () => void;
}

const TOKEN_SECONDS = 3600;
const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  413: 'Request Entity Too Large',
  415: 'Unsupported Media Type',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

/** Keystone's way to word an error. */
const dialect: Dialect = {
  fault: (error, status, { origin }) => ({
    body: JSON.stringify({ error: { code: status, title: TITLES[status] ?? 'Error', message: error.message } }),
    headers: {
      'content-type': 'application/json',
      vary: 'X-Auth-Token',
      ...(status === 401 ? { 'www-authenticate': `Keystone uri="${origin}/identity"` } : {}),
    },
  }),
};

/** The identity service, Keystone's v3 API under `/identity`. Processes of one cloud may have keys of their own: they know each other's by the database.
 *  Throws an Error that names a rule of `policyOverrides` which cannot be read. */
export async function createIdentityApp(options: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly keys: TokenKeys;
  readonly catalog: CatalogBuilder;
  readonly publicUrl?: string | undefined;
  readonly policyOverrides?: Readonly<Record<string, string>>;
  readonly tokenSeconds?: number;
  readonly onRevoked?: (revocation: Revocation) => void;
}): Promise<IdentityApp> {
  const { db, clock, log, catalog } = options;
  const keys = openKeyRing({ db, clock, own: options.keys });
  const tokenSeconds = options.tokenSeconds ?? TOKEN_SECONDS;
  const feed = openFeed({ db, clock, keepSeconds: 2 * tokenSeconds });
  if (options.onRevoked) feed.onRevoked(options.onRevoked);
  const standing = localStanding({ db, clock, keys, feed });
  const checkToken = localTokenCheck(standing);
  const parts: Parts = { db, clock, log, keys, feed, catalog, tokenSeconds, standing };
  const app = await createApp<Parts>({
    name: 'identity',
    mounts: ['/identity'],
    routes: identityRoutes,
    parts,
    policy: compilePolicy(identityPolicy, options.policyOverrides),
    checkToken,
    dialect,
    log,
    publicUrl: options.publicUrl,
  });
  return { ...app, checkToken, onRevoked: feed.onRevoked };
}
