import type { Micros } from '../../../lib/clock.ts';
import type { Flavor } from '../../../model/server.ts';
import type { Query } from '../../engine.ts';

type Sizes = Pick<Flavor, 'name' | 'vcpus' | 'memoryMiB' | 'rootGiB' | 'ephemeralGiB'>;
const sizesOf = (text: string) => JSON.parse(text) as Sizes; // written by newServerRow

/** What the living servers of one project on one host may take: their flavors' sizes. */
export interface HostShare {
  readonly projectId: string;
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly diskGiB: number;
}

export async function sharesOnHost(q: Query, host: string): Promise<HostShare[]> {
  const rows = await q
    .selectFrom('servers')
    .select(['project_id', 'flavor'])
    .where('host', '=', host)
    .where('deleted', '=', 0)
    .orderBy('id')
    .execute();
  const shares = new Map<string, HostShare>();
  for (const row of rows) {
    const flavor = sizesOf(row.flavor);
    const share = shares.get(row.project_id) ?? { projectId: row.project_id, vcpus: 0, memoryMiB: 0, diskGiB: 0 };
    shares.set(row.project_id, {
      projectId: row.project_id,
      vcpus: share.vcpus + flavor.vcpus,
      memoryMiB: share.memoryMiB + flavor.memoryMiB,
      diskGiB: share.diskGiB + flavor.rootGiB + flavor.ephemeralGiB,
    });
  }
  return [...shares.values()];
}

/** A server as usage counts it: deleted ones too, as long as their rows are kept. */
export interface UsedServer {
  readonly uuid: string;
  readonly projectId: string;
  readonly name: string;
  readonly vmState: string;
  readonly launchedAt: Micros;
  readonly terminatedAt: Micros | null;
  readonly flavor: Sizes;
}

/** Where a page begins: behind this server. */
export interface UsageMarker {
  readonly uuid: string;
  readonly projectId: string;
}

export const findUsageMarker = async (q: Query, uuid: string): Promise<UsageMarker | undefined> => {
  const row = await q.selectFrom('servers').select(['uuid', 'project_id']).where('uuid', '=', uuid).executeTakeFirst();
  return row && { uuid: row.uuid, projectId: row.project_id };
};

/** Servers that ran at some time between `from` and `to`, by project and uuid. */
export async function serversUsed(
  q: Query,
  wish: { from: Micros; to: Micros; projectId: string | undefined; limit: number | undefined; after: UsageMarker | undefined },
): Promise<UsedServer[]> {
  const { projectId, limit, after } = wish;
  let rows = q
    .selectFrom('servers')
    .select(['uuid', 'project_id', 'name', 'vm_state', 'launched_at', 'terminated_at', 'flavor'])
    .where('launched_at', '<', wish.to)
    .where((eb) => eb.or([eb('terminated_at', 'is', null), eb('terminated_at', '>', wish.from)]))
    .orderBy('project_id')
    .orderBy('uuid');
  if (projectId !== undefined) rows = rows.where('project_id', '=', projectId);
  if (after)
    rows = rows.where((eb) =>
      eb.or([eb('project_id', '>', after.projectId), eb.and([eb('project_id', '=', after.projectId), eb('uuid', '>', after.uuid)])]),
    );
  if (limit !== undefined) rows = rows.limit(limit);
  return (await rows.execute()).map((row) => ({
    uuid: row.uuid,
    projectId: row.project_id,
    name: row.name,
    vmState: row.vm_state,
    launchedAt: row.launched_at ?? 0, // the condition leaves nulls out
    terminatedAt: row.terminated_at,
    flavor: sizesOf(row.flavor),
  }));
}
