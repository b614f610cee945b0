import type { Bus } from '../../bus/bus.ts';
import type { AuditUnit } from '../../model/audit-period.ts';
import type { ComputeParts } from './parts.ts';

/** What is asked of the agents of hosts, through a conductor. */
export interface AgentPort {
  /** The hosts of an aggregate shall fetch images ahead of time. Only a wish: it may be lost. */
  cacheImages(aggregateId: number, imageIds: readonly string[]): Promise<void>;
}

/** What the handlers of operators' nouns work with. */
export interface AdminParts extends ComputeParts {
  readonly bus: Pick<Bus, 'ring'>;
  readonly agents: AgentPort;
  /** Nova's instance_usage_audit_period; months when absent. */
  readonly auditUnit?: AuditUnit;
}
