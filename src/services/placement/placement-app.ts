import type { Database } from '../../db/engine.ts';
import { type App, createApp, type TokenCheck } from '../../http/app.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { placementDialect } from './dialect.ts';
import { placementVersions } from './microversions.ts';
import { type CandidateOptions, candidateDefaults, type PlacementParts } from './parts.ts';
import { placementPolicy } from './policy.ts';
import { placementRoutes } from './routes.ts';
import { openForest } from './search/forest.ts';

export interface PlacementAppOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly checkToken: TokenCheck;
  readonly policyOverrides?: Readonly<Record<string, string>>;
  readonly newDefaultsOnly?: boolean;
  readonly candidates?: Partial<CandidateOptions>;
  readonly publicUrl?: string | undefined;
  /** It has a server to itself: it stands at its root too, and links are from there. */
  readonly alone?: boolean;
}

/** The placement API at /placement, over the tables in which the conductor makes its claims.  Spec: placement api-ref. */
export const createPlacementApp = (options: PlacementAppOptions): Promise<App> =>
  createApp<PlacementParts>({
    name: 'placement',
    mounts: options.alone ? ['/placement', ''] : ['/placement'],
    routes: placementRoutes,
    parts: {
      db: options.db,
      clock: options.clock,
      forest: openForest(options.db),
      linkMount: !options.alone,
      candidates: { ...candidateDefaults, ...options.candidates },
    },
    policy: placementPolicy(options.policyOverrides, { newDefaultsOnly: options.newDefaultsOnly ?? false }),
    checkToken: options.checkToken,
    dialect: placementDialect,
    log: options.log,
    microversions: placementVersions,
    bodyFirst: true,
    bodyLimit: 16 * 1024 * 1024,
    publicUrl: options.publicUrl,
  });
