import type { Database } from '../../db/engine.ts';
import { type QuotaLimits, quotaDefaults } from '../../db/tables/network/quotas.ts';
import { type App, createApp, type TokenCheck } from '../../http/app.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { compilePolicy } from '../../model/policy.ts';
import { networkDialect } from './dialect.ts';
import type { NetworkParts, ServerEvent } from './parts.ts';
import { networkPolicies } from './policy.ts';
import { networkRoutes } from './routes.ts';

export interface NetworkAppOptions {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly checkToken: TokenCheck;
  readonly policyOverrides?: Readonly<Record<string, string>>;
  readonly publicUrl?: string | undefined;
  /** Limits of projects without their own; -1: none. */
  readonly quotas?: Partial<QuotaLimits>;
  /** Takes what compute should know of its servers' ports; never throws and never waits. Absent: nobody is told. */
  readonly tellCompute?: (events: readonly ServerEvent[]) => void;
}

/** The networking API v2.0, mounted at /network: networks, subnets, ports with real addresses, routers, floating addresses, security groups,
 *  quotas. The extension list names what is served.  Spec: network api-ref v2. */
export const createNetworkApp = (options: NetworkAppOptions): Promise<App> =>
  createApp<NetworkParts>({
    name: 'network',
    mounts: ['/network'],
    routes: networkRoutes,
    parts: {
      db: options.db,
      clock: options.clock,
      quotas: { ...quotaDefaults, ...options.quotas },
      tellCompute: options.tellCompute ?? (() => {}),
    },
    policy: compilePolicy(networkPolicies, options.policyOverrides),
    checkToken: options.checkToken,
    dialect: networkDialect,
    log: options.log,
    publicUrl: options.publicUrl,
  });
