import type { Database } from '../../db/engine.ts';
import type { QuotaLimits } from '../../db/tables/network/quotas.ts';
import type { Clock } from '../../lib/clock.ts';

/** What the handlers of the network service work with. */
export interface NetworkParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly quotas: QuotaLimits;
}
