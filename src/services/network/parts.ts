import type { Database } from '../../db/engine.ts';
import type { QuotaLimits } from '../../db/tables/network/quotas.ts';
import type { Clock } from '../../lib/clock.ts';

/** What compute is told about a server's port; names are those of Nova's external events.  Spec: compute api-ref, "Run events". */
export interface ServerEvent {
  readonly name: 'network-changed' | 'network-vif-deleted';
  readonly server_uuid: string;
  /** The port. */
  readonly tag: string;
}

/** What the handlers of the network service work with. */
export interface NetworkParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly quotas: QuotaLimits;
  /** Takes events for compute; never throws and never waits. */
  readonly tellCompute: (events: readonly ServerEvent[]) => void;
}
