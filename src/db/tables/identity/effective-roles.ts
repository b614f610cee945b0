import type { Query } from '../../engine.ts';

export interface RoleRef {
  readonly id: string;
  readonly name: string;
  /** '' for roles of no domain. */
  readonly domain_id: string;
}
export type RoleTarget =
  | { readonly kind: 'project'; readonly id: string; readonly domainId: string; readonly parentId: string }
  | { readonly kind: 'domain'; readonly id: string }
  | { readonly kind: 'system' };

/** The roles a user has on a target: his own and his groups', those inherited from the projects and the domain above, and what they imply.
 *  In the order of their making.  Spec: identity api-ref "role assignments", effective. */
export async function effectiveRoles(db: Query, userId: string, target: RoleTarget): Promise<RoleRef[]> {
  const groups = await db.selectFrom('identity_group_members').select('group_id').where('user_id', '=', userId).execute();
  const above = target.kind === 'project' ? await ancestors(db, target) : [];
  const given = await db
    .selectFrom('identity_role_assignments')
    .select('role_id')
    .where((e) =>
      e.or([
        e.and([e('actor_type', '=', 'user'), e('actor_id', '=', userId)]),
        ...(groups.length === 0
          ? []
          : [
              e.and([
                e('actor_type', '=', 'group'),
                e(
                  'actor_id',
                  'in',
                  groups.map((row) => row.group_id),
                ),
              ]),
            ]),
      ]),
    )
    .where((e) =>
      e.or([
        e.and([
          e('target_type', '=', target.kind),
          e('target_id', '=', target.kind === 'system' ? 'system' : target.id),
          e('inherited', '=', 0),
        ]),
        ...(above.length === 0 ? [] : [e.and([e('target_id', 'in', above), e('inherited', '=', 1)])]),
      ]),
    )
    .execute();
  return withImplied(
    db,
    given.map((row) => row.role_id),
  );
}

/** Ids of the projects above, nearest first, then of the domain. */
async function ancestors(db: Query, project: { id: string; domainId: string; parentId: string }): Promise<string[]> {
  const found: string[] = [];
  let parent = project.parentId;
  while (parent !== project.domainId && !found.includes(parent)) {
    found.push(parent);
    const row = await db.selectFrom('identity_projects').select('parent_id').where('id', '=', parent).executeTakeFirst();
    if (!row) break;
    parent = row.parent_id;
  }
  return [...found, project.domainId];
}

/** These roles and all they imply, by any number of steps. */
export async function withImplied(db: Query, roleIds: readonly string[]): Promise<RoleRef[]> {
  if (roleIds.length === 0) return [];
  const reached = new Set(roleIds);
  const implications = await db.selectFrom('identity_role_implications').selectAll().execute();
  for (const prior of reached) for (const { prior_id, implied_id } of implications) if (prior_id === prior) reached.add(implied_id);
  return db
    .selectFrom('identity_roles')
    .select(['id', 'name', 'domain_id'])
    .where('id', 'in', [...reached])
    .orderBy('key')
    .execute();
}
