import type { Query } from '../../engine.ts';

/** An aggregate as the scheduler sees it. */
export interface AggregateFacts {
  readonly id: number;
  readonly uuid: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly hosts: readonly string[];
}

/** All aggregates with their hosts, in the order of their keys. */
export async function listAggregateFacts(db: Query): Promise<AggregateFacts[]> {
  const rows = await db.selectFrom('aggregates').select(['id', 'uuid', 'metadata']).orderBy('id').execute();
  if (rows.length === 0) return [];
  const members = await db.selectFrom('aggregate_hosts').selectAll().execute();
  const hosts = new Map<number, string[]>();
  for (const { aggregate_id, host } of members) {
    const known = hosts.get(aggregate_id);
    if (known) known.push(host);
    else hosts.set(aggregate_id, [host]);
  }
  return rows.map((row) => ({
    id: row.id,
    uuid: row.uuid,
    metadata: JSON.parse(row.metadata) as Record<string, string>, // words by key, checked by the API
    hosts: hosts.get(row.id) ?? [],
  }));
}
