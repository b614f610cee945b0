import type { Micros } from '../../../lib/clock.ts';
import type { Query } from '../../engine.ts';

export interface ConsumerRow {
  readonly uuid: string;
  readonly projectId: string;
  readonly userId: string;
  readonly generation: number;
  readonly type: string | null;
  readonly createdAt: Micros;
}

/** One line of what a consumer holds of a provider. */
export interface Allocation {
  readonly consumer: ConsumerRow;
  readonly provider: string;
  readonly providerGeneration: number;
  readonly resourceClass: string;
  readonly used: number;
}

/** All that a consumer holds, or all that is held of a provider. */
export async function listAllocations(db: Query, of: { readonly consumer: string } | { readonly provider: string }): Promise<Allocation[]> {
  const rows = await db
    .selectFrom('allocations as a')
    .innerJoin('consumers as c', 'c.uuid', 'a.consumer_uuid')
    .innerJoin('resource_providers as p', 'p.uuid', 'a.provider_uuid')
    .select(['a.provider_uuid', 'a.resource_class', 'a.used', 'p.generation as provider_generation'])
    .select(['c.uuid', 'c.project_id', 'c.user_id', 'c.generation', 'c.consumer_type', 'c.created_at'])
    .where((eb) => ('consumer' in of ? eb('a.consumer_uuid', '=', of.consumer) : eb('a.provider_uuid', '=', of.provider)))
    .orderBy('a.provider_uuid')
    .orderBy('a.resource_class')
    .execute();
  return rows.map((row) => ({
    consumer: {
      uuid: row.uuid,
      projectId: row.project_id,
      userId: row.user_id,
      generation: row.generation,
      type: row.consumer_type,
      createdAt: row.created_at,
    },
    provider: row.provider_uuid,
    providerGeneration: row.provider_generation,
    resourceClass: row.resource_class,
    used: row.used,
  }));
}

/** What a project's consumers use, by resource class and consumer type, with the number of consumers of each type. */
export async function listProjectUsage(
  db: Query,
  projectId: string,
  userId: string | undefined,
): Promise<{ used: { resourceClass: string; type: string | null; used: number }[]; consumers: Map<string | null, number> }> {
  const rows = await db
    .selectFrom('allocations as a')
    .innerJoin('consumers as c', 'c.uuid', 'a.consumer_uuid')
    .select((eb) => ['a.resource_class', 'c.consumer_type', eb.fn.sum<number | string>('a.used').as('used')])
    .where('c.project_id', '=', projectId)
    .$if(userId !== undefined, (q) => q.where('c.user_id', '=', userId ?? ''))
    .groupBy(['a.resource_class', 'c.consumer_type'])
    .execute();
  const counts = await db
    .selectFrom('consumers as c')
    .select((eb) => ['c.consumer_type', eb.fn.countAll<number | string>().as('consumers')])
    .where('c.project_id', '=', projectId)
    .$if(userId !== undefined, (q) => q.where('c.user_id', '=', userId ?? ''))
    .where((eb) => eb.exists(eb.selectFrom('allocations as a').select('a.used').whereRef('a.consumer_uuid', '=', 'c.uuid')))
    .groupBy('c.consumer_type')
    .execute();
  return {
    used: rows.map((row) => ({ resourceClass: row.resource_class, type: row.consumer_type, used: Number(row.used) })),
    consumers: new Map(counts.map((row) => [row.consumer_type, Number(row.consumers)])),
  };
}
