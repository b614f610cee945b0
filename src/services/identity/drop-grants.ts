import type { Query } from '../../db/engine.ts';

/** Removes everything that hangs on a user, group, project, domain or role which is about to go: grants, memberships, implications, application credentials. */
export async function dropGrants(tx: Query, id: string): Promise<void> {
  await tx
    .deleteFrom('identity_role_assignments')
    .where((e) => e.or([e('actor_id', '=', id), e('target_id', '=', id), e('role_id', '=', id)]))
    .execute();
  await tx
    .deleteFrom('identity_group_members')
    .where((e) => e.or([e('user_id', '=', id), e('group_id', '=', id)]))
    .execute();
  await tx
    .deleteFrom('identity_role_implications')
    .where((e) => e.or([e('prior_id', '=', id), e('implied_id', '=', id)]))
    .execute();
  await tx
    .deleteFrom('identity_application_credentials')
    .where((e) => e.or([e('user_id', '=', id), e('project_id', '=', id)]))
    .execute();
  await tx.updateTable('identity_users').set({ default_project_id: null }).where('default_project_id', '=', id).execute();
}
