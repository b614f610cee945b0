import type { Database } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import { type LimitName, networkQuotaDefaults, type QuotaDefaults, quotaDefaults } from './quota-defaults.ts';

/** What the handlers of this room work with. */
export interface ComputeParts {
  /** This machine in notifications. */
  readonly host?: string;
  /** Whether anybody outside is told of what fails here; nobody when absent. */
  readonly tellsOutside?: boolean;
  readonly db: Database;
  readonly clock: Clock;
  /** Nova's [api] max_limit: the longest page; 1000 when absent. */
  readonly maxLimit?: number;
  /** Nova's service_down_time in seconds: a service silent for longer is down; 60 when absent. */
  readonly serviceDownSeconds?: number;
  /** Nova's [quota] options that differ from their defaults. */
  readonly quotas?: Partial<QuotaDefaults>;
  /** Whether there is such a project, asked with the caller's token; absent: every id is one. */
  readonly isProject?: (projectId: string, token: string | null) => Promise<boolean>;
}

/** Who this API is in notifications.  Spec: notification guide, publisher_id. */
export const publisherOf = (parts: { readonly host?: string }) => `nova-api:${parts.host ?? 'localhost'}`;
export const maxLimitOf = (parts: ComputeParts) => parts.maxLimit ?? 1000;
export const serviceDownSecondsOf = (parts: ComputeParts) => parts.serviceDownSeconds ?? 60;
/** What a project without limits of its own may have. */
export const quotasOf = (parts: ComputeParts): QuotaDefaults => ({ ...quotaDefaults, ...parts.quotas });
/** The same with those limits that are only kept. */
export const limitsKept = (parts: ComputeParts): Record<LimitName, number> => ({ ...quotasOf(parts), ...networkQuotaDefaults });
