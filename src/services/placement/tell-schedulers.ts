import type { Query } from '../../db/engine.ts';
import { writeChanges } from '../../db/tables/compute/changes.ts';
import type { Micros } from '../../lib/clock.ts';

/** Lets schedulers read again those hosts whose providers were changed here: they keep hosts in memory and follow the change feed. */
export async function tellSchedulers(tx: Query, providers: Iterable<string>, at: Micros): Promise<void> {
  const uuids = [...new Set(providers)];
  for (let from = 0; from < uuids.length; from += 500) {
    const hosts = await tx
      .selectFrom('hypervisors')
      .select('host')
      .where('uuid', 'in', uuids.slice(from, from + 500))
      .execute();
    await writeChanges(
      tx,
      hosts.map(({ host }) => ({ noun: 'host', key: host, what: 'reported', projectId: null, body: {}, at })),
    );
  }
}
