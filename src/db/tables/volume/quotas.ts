import { sql } from 'kysely';
import { volumeGigabytesExceeded, volumeLimitExceeded } from '../../../model/errors-volume.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

/** What is limited, with what a project has unless someone set another; -1: no limit. Beside them each type has `volumes_<name>`, `snapshots_<name>` and
 *  `gigabytes_<name>`, without a limit at first.  Spec: cinder.conf quota_*. */
export const volumeQuotaDefaults: Readonly<Record<string, number>> = {
  volumes: 10,
  snapshots: 10,
  gigabytes: 1000,
  backups: 10,
  backup_gigabytes: 1000,
  per_volume_gigabytes: -1,
  groups: 10,
};
export const TYPE_RESOURCES = ['volumes', 'snapshots', 'gigabytes'] as const;
/** Whose row holds the limits of the default class. */
export const DEFAULT_CLASS = '@default';
export type Take = readonly [resource: string, count: number];

/** What a new volume or snapshot takes; in one order for all, so that two takers never wait for each other. */
export const takesOf = (what: 'volumes' | 'snapshots', typeName: string, gigabytes: number): readonly Take[] => [
  ['gigabytes', gigabytes],
  [what, 1],
  [`gigabytes_${typeName}`, gigabytes],
  [`${what}_${typeName}`, 1],
];

/** The limits of the default class.  */
export async function classLimits(db: Query): Promise<Record<string, number>> {
  const rows = await db.selectFrom('volume_quotas').select(['resource', 'limit_value']).where('project_id', '=', DEFAULT_CLASS).execute();
  const set = Object.fromEntries(rows.flatMap((row) => (row.limit_value === null ? [] : [[row.resource, row.limit_value]])));
  return { ...volumeQuotaDefaults, ...set };
}

/** Takes room for all, or throws volumeLimitExceeded or volumeGigabytesExceeded (413). Conditional statements on rows that exist. */
export async function takeVolumeQuota(tx: Query, kind: EngineKind, projectId: string, takes: readonly Take[]): Promise<void> {
  const standards = await classLimits(tx);
  for (const [resource, count] of takes) {
    const standard = standards[resource] ?? -1;
    const limit = sql<number>`coalesce(limit_value, ${standard})`;
    const take = async () => {
      const done = await tx
        .updateTable('volume_quotas')
        .set((eb) => ({ used: eb('used', '+', count) }))
        .where('project_id', '=', projectId)
        .where('resource', '=', resource)
        .where(sql<boolean>`(${limit} < 0 or used + ${count} <= ${limit})`)
        .executeTakeFirst();
      return done.numUpdatedRows > 0n;
    };
    if (await take()) continue;
    await insertIgnore(tx, kind, 'volume_quotas', { project_id: projectId, resource, limit_value: null, used: 0 });
    if (await take()) continue;
    const row = await tx
      .selectFrom('volume_quotas')
      .selectAll()
      .where('project_id', '=', projectId)
      .where('resource', '=', resource)
      .executeTakeFirst();
    const allowed = row?.limit_value ?? standard;
    if (resource.startsWith('gigabytes'))
      throw volumeGigabytesExceeded({ name: resource, requested: count, quota: allowed, consumed: row?.used ?? 0 });
    throw volumeLimitExceeded({ what: resource.startsWith('snapshots') ? 'snapshots' : 'volumes', name: resource, allowed });
  }
}

/** Gives room back. */
export async function giveVolumeQuota(tx: Query, projectId: string, takes: readonly Take[]): Promise<void> {
  for (const [resource, count] of takes)
    await tx
      .updateTable('volume_quotas')
      .set((eb) => ({ used: eb('used', '-', count) }))
      .where('project_id', '=', projectId)
      .where('resource', '=', resource)
      .execute();
}

export interface VolumeQuota {
  readonly limit: number;
  readonly used: number;
}
/** Limit and use of each resource for one project, those of all types included. */
export async function readVolumeQuotas(db: Query, projectId: string): Promise<Record<string, VolumeQuota>> {
  const standards = await classLimits(db);
  const types = await db.selectFrom('volume_types').select('name').orderBy('id').execute();
  const rows = await db.selectFrom('volume_quotas').selectAll().where('project_id', '=', projectId).execute();
  const byName = new Map(rows.map((row) => [row.resource, row]));
  const names = [...Object.keys(volumeQuotaDefaults), ...types.flatMap(({ name }) => TYPE_RESOURCES.map((what) => `${what}_${name}`))];
  return Object.fromEntries(
    names.map((name) => {
      const row = byName.get(name);
      return [name, { limit: row?.limit_value ?? standards[name] ?? -1, used: row?.used ?? 0 }];
    }),
  );
}

/** Sets limits of a project, or of the default class. */
export async function setVolumeLimits(
  tx: Query,
  kind: EngineKind,
  projectId: string,
  limits: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [resource, limit] of Object.entries(limits).sort(([a], [b]) => (a < b ? -1 : 1))) {
    await insertIgnore(tx, kind, 'volume_quotas', { project_id: projectId, resource, limit_value: null, used: 0 });
    await tx
      .updateTable('volume_quotas')
      .set({ limit_value: limit })
      .where('project_id', '=', projectId)
      .where('resource', '=', resource)
      .execute();
  }
}
