import type { EngineKind, Query } from '../../engine.ts';
import { prepared } from '../../prepared.ts';
import { insertIgnore } from '../../statements.ts';
import { endedStatuses } from './migrations.ts';

// Limits of quota classes stand in the same table under an empty project, with the class in the place of the user. Class 'default' holds for everybody.
const CLASS = '';
export const DEFAULT_CLASS = 'default';

type Limits<R extends string> = Record<R, number>;

const limitRows = prepared((db, p: { projectId: string; userId: string }) =>
  db
    .selectFrom('quota_limits')
    .select(['project_id', 'user_id', 'resource', 'hard_limit'])
    .where('project_id', 'in', [CLASS, p.projectId])
    .where('user_id', 'in', ['', DEFAULT_CLASS, p.userId]),
);

/** Own rows of a project, by what they hold for: the class of everybody, the project, the user. */
async function ownLimits<R extends string>(
  q: Query,
  known: Readonly<Limits<R>>,
  projectId: string,
  userId: string,
): Promise<{ byClass: Partial<Limits<R>>; project: Partial<Limits<R>>; user: Partial<Limits<R>> }> {
  const { rows } = await limitRows(q, { projectId, userId });
  const found = { byClass: {} as Partial<Limits<R>>, project: {} as Partial<Limits<R>>, user: {} as Partial<Limits<R>> };
  for (const row of rows) {
    if (!Object.hasOwn(known, row.resource)) continue;
    const resource = row.resource as R; // known by the line above
    if (row.project_id === CLASS) {
      if (row.user_id === DEFAULT_CLASS) found.byClass[resource] = row.hard_limit;
    } else if (row.user_id === '') found.project[resource] = row.hard_limit;
    else if (row.user_id === userId) found.user[resource] = row.hard_limit;
  }
  return found;
}

/** A project's limits, or with `userId` one user's in it: own rows over the project's over the default class over `defaults`. -1: none. */
export async function limitsOf<R extends string>(
  q: Query,
  defaults: Readonly<Limits<R>>,
  projectId: string,
  userId = '',
): Promise<Limits<R>> {
  const { byClass, project, user } = await ownLimits(q, defaults, projectId, userId);
  return { ...defaults, ...byClass, ...project, ...user };
}

/** A project's limits, and apart from them those that one user of it has of its own. */
export async function limitsWithUser<R extends string>(
  q: Query,
  defaults: Readonly<Limits<R>>,
  projectId: string,
  userId: string,
): Promise<{ project: Limits<R>; user: Partial<Limits<R>> }> {
  const { byClass, project, user } = await ownLimits(q, defaults, projectId, userId);
  return { project: { ...defaults, ...byClass, ...project }, user };
}

/** Limits of a quota class; one that nobody has set has the defaults. */
export async function classLimits<R extends string>(q: Query, defaults: Readonly<Limits<R>>, name: string): Promise<Limits<R>> {
  const rows = await q
    .selectFrom('quota_limits')
    .select(['resource', 'hard_limit'])
    .where('project_id', '=', CLASS)
    .where('user_id', '=', name)
    .execute();
  const limits: Limits<R> = { ...defaults };
  for (const row of rows) if (Object.hasOwn(defaults, row.resource)) limits[row.resource as R] = row.hard_limit; // known by the line's own test
  return limits;
}
export const setClassLimits = (tx: Query, kind: EngineKind, name: string, limits: Readonly<Record<string, number>>): Promise<void> =>
  setLimits(tx, kind, CLASS, name, limits);

/** What users of a project have of their own, summed per resource, without `except`; -1 counts as nothing. */
export async function usersShares(q: Query, projectId: string, except = ''): Promise<Readonly<Record<string, number>>> {
  const rows = await q
    .selectFrom('quota_limits')
    .select((eb) => ['resource', eb.fn.sum<number | string>('hard_limit').as('total')])
    .where('project_id', '=', projectId)
    .where('user_id', 'not in', ['', except])
    .where('hard_limit', '>', 0)
    .groupBy('resource')
    .execute();
  return Object.fromEntries(rows.map((row) => [row.resource, Number(row.total)]));
}

/** Sets limits of a project, or of one user in it. Call it in a transaction. */
export async function setLimits(
  tx: Query,
  kind: EngineKind,
  projectId: string,
  userId: string,
  limits: Readonly<Record<string, number>>,
): Promise<void> {
  for (const [resource, hard_limit] of Object.entries(limits).sort(([a], [b]) => (a < b ? -1 : 1))) {
    await insertIgnore(tx, kind, 'quota_limits', { project_id: projectId, user_id: userId, resource, hard_limit });
    await tx
      .updateTable('quota_limits')
      .set({ hard_limit })
      .where('project_id', '=', projectId)
      .where('user_id', '=', userId)
      .where('resource', '=', resource)
      .execute();
  }
}

/** Back to the defaults: a project with its users, or one user only. */
export async function dropLimits(tx: Query, projectId: string, userId?: string): Promise<void> {
  let rows = tx.deleteFrom('quota_limits').where('project_id', '=', projectId);
  if (userId !== undefined) rows = rows.where('user_id', '=', userId);
  await rows.execute();
}

/** What a project uses, by resource; server groups counted as they are. With `userId` what that user has made of it. */
export async function usageOf(q: Query, projectId: string, userId?: string): Promise<Readonly<Record<string, number>>> {
  let groups = q
    .selectFrom('server_groups')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('project_id', '=', projectId);
  if (userId !== undefined) groups = groups.where('user_id', '=', userId);
  const server_groups = Number((await groups.executeTakeFirst())?.n ?? 0);
  if (userId !== undefined) return { ...(await serverUsageOfUser(q, projectId, userId)), server_groups };
  const rows = await q
    .selectFrom('quota_usages')
    .select(['resource', 'used'])
    .where('project_id', '=', projectId)
    .where('user_id', '=', '')
    .execute();
  return { ...Object.fromEntries(rows.map((row) => [row.resource, row.used])), server_groups };
}

/** What the living servers of one user in a project take, those that were deleted softly left out and resizes counted by the larger flavor, as the
 *  project's counters have it. Counted from the servers themselves: only few users have limits of their own. */
export async function serverUsageOfUser(
  q: Query,
  projectId: string,
  userId: string,
  except?: string,
): Promise<{ instances: number; cores: number; ram: number }> {
  const rows = await q
    .selectFrom('servers')
    .select((eb) => ['flavor', eb.fn.countAll<number>().as('n')])
    .where('project_id', '=', projectId)
    .where('user_id', '=', userId)
    .where('deleted', '=', 0)
    .where('soft_deleted_at', 'is', null)
    .$if(except !== undefined, (eb) => eb.where('uuid', '<>', except ?? ''))
    .groupBy('flavor')
    .execute();
  const sum = { instances: 0, cores: 0, ram: 0 };
  for (const row of rows) {
    const flavor = JSON.parse(row.flavor) as Sizes; // written by newServerRow
    const n = Number(row.n);
    sum.instances += n;
    sum.cores += n * flavor.vcpus;
    sum.ram += n * flavor.memoryMiB;
  }
  const resizes = await q
    .selectFrom('server_migrations as m')
    .innerJoin('servers as s', 's.uuid', 'm.server_uuid')
    .select(['s.flavor', 'm.old_flavor', 'm.new_flavor'])
    .where('s.project_id', '=', projectId)
    .where('s.user_id', '=', userId)
    .where('s.deleted', '=', 0)
    .where('m.type', '=', 'resize')
    .where('m.status', 'not in', [...endedStatuses])
    .$if(except !== undefined, (eb) => eb.where('s.uuid', '<>', except ?? ''))
    .execute();
  for (const { flavor, old_flavor, new_flavor } of resizes) {
    if (old_flavor === null || new_flavor === null) continue;
    const [now, before, after] = [flavor, old_flavor, new_flavor].map((text) => JSON.parse(text) as Sizes) as [Sizes, Sizes, Sizes];
    sum.cores += Math.max(before.vcpus, after.vcpus) - now.vcpus;
    sum.ram += Math.max(before.memoryMiB, after.memoryMiB) - now.memoryMiB;
  }
  return sum;
}
interface Sizes {
  readonly vcpus: number;
  readonly memoryMiB: number;
}
