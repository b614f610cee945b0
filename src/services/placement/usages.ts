import { listProjectUsage } from '../../db/tables/placement/allocation-reads.ts';
import { listOffers } from '../../db/tables/placement/offers.ts';
import type { Call, Reply } from '../../http/call.ts';
import { one } from '../../http/call.ts';
import { json } from './answers.ts';
import { readQuery } from './bodies.ts';
import { consumersHaveTypes } from './microversions.ts';
import type { PlacementParts } from './parts.ts';
import { mustFind } from './providers.ts';
import { usageQuery } from './shapes/providers.ts';

export async function showProviderUsages(parts: PlacementParts, call: Call): Promise<Reply> {
  const provider = await mustFind(parts, call);
  const offers = await listOffers(parts.db.read, provider.uuid);
  const usages = Object.fromEntries(offers.map((offer) => [offer.resourceClass, offer.used]));
  return json(call, { resource_provider_generation: provider.generation, usages }, parts.clock.now());
}

/** What a project uses; from 1.38 on by type of consumer.  Spec: placement api-ref, "List usages". */
export async function showProjectUsages({ db, clock }: PlacementParts, call: Call): Promise<Reply> {
  call.allow({ project_id: one(call, 'project_id') ?? null });
  const query = readQuery(call, usageQuery);
  const { used, consumers } = await listProjectUsage(db.read, query.project_id, query.user_id);
  if (!consumersHaveTypes(call.version)) return json(call, { usages: sums(used) }, clock.now());
  const type = query.consumer_type;
  const usages: Record<string, Record<string, number>> = {};
  const put = (name: string, rows: typeof used, count: number) => {
    if (rows.length > 0) usages[name] = { ...sums(rows), consumer_count: count };
  };
  if (type === 'all')
    put(
      'all',
      used,
      [...consumers.values()].reduce((a, b) => a + b, 0),
    );
  else
    for (const [name, count] of consumers) {
      if (type !== undefined && type !== (name ?? 'unknown')) continue;
      put(
        name ?? 'unknown',
        used.filter((row) => row.type === name),
        count,
      );
    }
  return json(call, { usages }, clock.now());
}

function sums(rows: readonly { resourceClass: string; used: number }[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const { resourceClass, used } of rows) total[resourceClass] = (total[resourceClass] ?? 0) + used;
  return total;
}
