import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

/** A project's limits, or with `userId` one user's in it: own rows over the project's over `defaults`. -1: none. */
export async function limitsOf<R extends string>(
  q: Query,
  defaults: Readonly<Record<R, number>>,
  projectId: string,
  userId = '',
): Promise<Record<R, number>> {
  const rows = await q
    .selectFrom('quota_limits')
    .select(['user_id', 'resource', 'hard_limit'])
    .where('project_id', '=', projectId)
    .where('user_id', 'in', ['', userId])
    .orderBy('user_id')
    .execute();
  const limits: Record<R, number> = { ...defaults };
  for (const row of rows) if (Object.hasOwn(defaults, row.resource)) limits[row.resource as R] = row.hard_limit; // known by the line's own test
  return limits;
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

/** What a project uses, by resource; server groups counted as they are. */
export async function usageOf(q: Query, projectId: string): Promise<Readonly<Record<string, number>>> {
  const rows = await q
    .selectFrom('quota_usages')
    .select(['resource', 'used'])
    .where('project_id', '=', projectId)
    .where('user_id', '=', '')
    .execute();
  const groups = await q
    .selectFrom('server_groups')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  return { ...Object.fromEntries(rows.map((row) => [row.resource, row.used])), server_groups: Number(groups?.n ?? 0) };
}
