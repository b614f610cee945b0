import { sql } from 'kysely';
import {
  classLimits,
  DEFAULT_CLASS,
  readVolumeQuotas,
  setVolumeLimits,
  TYPE_RESOURCES,
  volumeQuotaDefaults,
} from '../../db/tables/volume/quotas.ts';
import type { Call, Reply } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
import { flagIn, projectOf } from './find.ts';
import type { VolumeParts } from './parts.ts';

const target = (call: Call): string => {
  const project = call.params.id ?? '';
  call.allow({ project_id: project });
  return project;
};

/** Limits of a project; with `usage` beside what is used.  Spec: block storage api-ref "Show quotas for a project". */
export async function showQuota({ db }: VolumeParts, call: Call): Promise<Reply> {
  const project = target(call);
  const quotas = await readVolumeQuotas(db.read, project);
  const usage = flagIn(call, 'usage');
  const set = Object.fromEntries(
    Object.entries(quotas).map(([name, { limit, used }]) => [name, usage ? { limit, in_use: used, reserved: 0 } : limit]),
  );
  return { status: 200, body: { quota_set: { ...set, id: project } } };
}

export async function showQuotaDefaults({ db }: VolumeParts, call: Call): Promise<Reply> {
  const project = target(call);
  return { status: 200, body: { quota_set: { ...(await classSet({ db })), id: project } } };
}

async function classSet({ db }: Pick<VolumeParts, 'db'>): Promise<Record<string, number>> {
  const limits = await classLimits(db.read);
  const types = await db.read.selectFrom('volume_types').select('name').orderBy('id').execute();
  const ofTypes = types.flatMap(({ name }) => TYPE_RESOURCES.map((what) => [`${what}_${name}`, limits[`${what}_${name}`] ?? -1]));
  return {
    ...Object.fromEntries(Object.keys(volumeQuotaDefaults).map((name) => [name, limits[name] ?? -1])),
    ...Object.fromEntries(ofTypes),
  };
}

/** Limits out of a body. Throws invalidInput (400) for names that are no resource, and for what is no limit. */
function limitsIn(given: Readonly<Record<string, unknown>>, known: Readonly<Record<string, unknown>>): Record<string, number> {
  const strange = Object.keys(given).filter(
    (name) => !Object.hasOwn(known, name) && !['tenant_id', 'project_id', 'id', 'skip_validation', 'class_name'].includes(name),
  );
  if (strange.length > 0) throw invalidInput({ why: `Bad key(s) in quota set: ${strange.join(', ').slice(0, 200)}` });
  return Object.fromEntries(
    Object.entries(given)
      .filter(([name]) => Object.hasOwn(known, name))
      .map(([name, value]) => {
        const limit = typeof value === 'string' && /^-?\d{1,10}$/.test(value) ? Number(value) : value;
        if (typeof limit !== 'number' || !Number.isInteger(limit) || limit < -1 || limit > 2 ** 31 - 1)
          throw invalidInput({ why: `${name} must be an integer from -1 to 2147483647, not ${JSON.stringify(value)?.slice(0, 50)}` });
        return [name, limit];
      }),
  );
}

export async function updateQuota({ db }: VolumeParts, call: Call<{ quota_set: Readonly<Record<string, unknown>> }>): Promise<Reply> {
  const project = target(call);
  const limits = limitsIn(call.body.quota_set, await readVolumeQuotas(db.read, project));
  await db.transaction((tx) => setVolumeLimits(tx, db.kind, project, limits));
  const quotas = await readVolumeQuotas(db.read, project);
  return { status: 200, body: { quota_set: Object.fromEntries(Object.entries(quotas).map(([name, { limit }]) => [name, limit])) } };
}

/** Takes a project's own limits away: those of the class hold again. */
export async function deleteQuota({ db }: VolumeParts, call: Call): Promise<Reply> {
  const project = target(call);
  await db.transaction((tx) => tx.updateTable('volume_quotas').set({ limit_value: null }).where('project_id', '=', project).execute());
  return { status: 200 };
}

export async function showQuotaClass({ db }: VolumeParts, call: Call): Promise<Reply> {
  return { status: 200, body: { quota_class_set: { ...(await classSet({ db })), id: call.params.id ?? '' } } };
}
export async function updateQuotaClass(
  { db }: VolumeParts,
  call: Call<{ quota_class_set: Readonly<Record<string, unknown>> }>,
): Promise<Reply> {
  if (call.params.id !== 'default') throw invalidInput({ why: 'There is one quota class: default.' });
  const limits = limitsIn(call.body.quota_class_set, await classSet({ db }));
  await db.transaction((tx) => setVolumeLimits(tx, db.kind, DEFAULT_CLASS, limits));
  return { status: 200, body: { quota_class_set: await classSet({ db }) } };
}

/** Spec: block storage api-ref "Show absolute limits for project". */
export async function showLimits({ db }: VolumeParts, call: Call): Promise<Reply> {
  const project = projectOf(call);
  const quotas = await readVolumeQuotas(db.read, project);
  const limit = (name: string) => quotas[name]?.limit ?? -1;
  const used = (name: string) => quotas[name]?.used ?? 0;
  const absolute = {
    maxTotalVolumes: limit('volumes'),
    maxTotalVolumeGigabytes: limit('gigabytes'),
    maxTotalSnapshots: limit('snapshots'),
    maxTotalBackups: limit('backups'),
    maxTotalBackupGigabytes: limit('backup_gigabytes'),
    totalVolumesUsed: used('volumes'),
    totalGigabytesUsed: used('gigabytes'),
    totalSnapshotsUsed: used('snapshots'),
    totalBackupsUsed: 0,
    totalBackupGigabytesUsed: 0,
  };
  return { status: 200, body: { limits: { rate: [], absolute } } };
}

export const usedGigabytes = async ({ db }: Pick<VolumeParts, 'db'>): Promise<number> =>
  Number((await sql<{ size: number | null }>`select sum(size) as size from volumes`.execute(db.read)).rows[0]?.size ?? 0);
