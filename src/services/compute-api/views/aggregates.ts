import { type Aggregate, zoneOf } from '../../../db/tables/compute/aggregates.ts';
import { from } from '../../../lib/answer.ts';
import { isoMicros } from '../../../lib/clock.ts';

/** An aggregate just made: without hosts and metadata, as Nova shows it.  Spec: compute api-ref "Create Aggregate". */
export const aggregateMade = (aggregate: Aggregate) => ({
  id: aggregate.id,
  uuid: from('2.41', aggregate.uuid),
  name: aggregate.name,
  availability_zone: zoneOf(aggregate),
  created_at: isoMicros(aggregate.createdAt),
  updated_at: aggregate.updatedAt === null ? null : isoMicros(aggregate.updatedAt),
  deleted: false,
  deleted_at: null,
});

/** An aggregate.  Spec: compute api-ref "Show Aggregate Details". */
export const aggregateView = (aggregate: Aggregate) => ({
  ...aggregateMade(aggregate),
  hosts: aggregate.hosts,
  metadata: aggregate.metadata,
});
