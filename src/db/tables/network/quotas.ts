import { sql } from 'kysely';
import { overQuota } from '../../../model/errors-network.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { met, prepared } from '../../prepared.ts';
import { insertIgnore } from '../../statements.ts';

/** What is counted, with the limit a project has unless someone set another; -1: none.  Spec: neutron.conf [quotas]. */
export const quotaDefaults = {
  network: 100,
  subnet: 100,
  port: 500,
  router: 10,
  floatingip: 50,
  security_group: 10,
  security_group_rule: 100,
} as const;
export type QuotaResource = keyof typeof quotaDefaults;
export type QuotaLimits = Readonly<Record<QuotaResource, number>>;

const raise = prepared((db, p: { projectId: string; resource: string; count: number; standard: number }) => {
  const limit = sql<number>`coalesce(limit_value, ${p.standard})`;
  return db
    .updateTable('net_quotas')
    .set((eb) => ({ used: eb('used', '+', p.count) }))
    .where('project_id', '=', p.projectId)
    .where('resource', '=', p.resource)
    .where(sql<boolean>`(${limit} < 0 or used + ${p.count} <= ${limit})`);
});

/** Takes room for `count` more, or throws overQuota (409). One conditional statement on a row that exists. */
export async function takeQuota(
  tx: Query,
  kind: EngineKind,
  limits: QuotaLimits,
  projectId: string,
  resource: QuotaResource,
  count: number,
): Promise<void> {
  if (count === 0) return;
  const take = async () => met(await raise(tx, { projectId, resource, count, standard: limits[resource] }));
  if (await take()) return;
  await insertIgnore(tx, kind, 'net_quotas', { project_id: projectId, resource, limit_value: null, used: 0 });
  if (!(await take())) throw overQuota({ resource });
}

/** Gives room back. */
export async function giveQuota(tx: Query, projectId: string, resource: QuotaResource, count: number): Promise<void> {
  if (count === 0) return;
  await tx
    .updateTable('net_quotas')
    .set((eb) => ({ used: eb('used', '-', count) }))
    .where('project_id', '=', projectId)
    .where('resource', '=', resource)
    .execute();
}

export interface QuotaRow {
  readonly limit: number;
  readonly used: number;
}
/** Limits and use of one project, for every resource. */
export async function readQuotas(db: Query, limits: QuotaLimits, projectId: string): Promise<Record<QuotaResource, QuotaRow>> {
  const rows = await db.selectFrom('net_quotas').selectAll().where('project_id', '=', projectId).execute();
  const byName = new Map(rows.map((row) => [row.resource, row]));
  return Object.fromEntries(
    Object.entries(limits).map(([resource, limit]) => {
      const row = byName.get(resource);
      return [resource, { limit: row?.limit_value ?? limit, used: row?.used ?? 0 }];
    }),
  ) as Record<QuotaResource, QuotaRow>; // one entry for each key of limits
}
