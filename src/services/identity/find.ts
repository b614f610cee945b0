import type { Query } from '../../db/engine.ts';
import { identityConflict, identityNotFound } from '../../model/errors-identity.ts';

/** The tables whose rows have an id, by the word a client knows. */
const TABLES = {
  domain: 'identity_domains',
  project: 'identity_projects',
  user: 'identity_users',
  group: 'identity_groups',
  role: 'identity_roles',
} as const;

// One function for each noun, so that each answers its own row.
export const findDomain = async (db: Query, id: string) =>
  (await db.selectFrom(TABLES.domain).selectAll().where('id', '=', id).executeTakeFirst()) ?? lost('domain', id);
export const findProject = async (db: Query, id: string) =>
  (await db.selectFrom(TABLES.project).selectAll().where('id', '=', id).executeTakeFirst()) ?? lost('project', id);
export const findUser = async (db: Query, id: string) =>
  (await db.selectFrom(TABLES.user).selectAll().where('id', '=', id).executeTakeFirst()) ?? lost('user', id);
export const findGroup = async (db: Query, id: string) =>
  (await db.selectFrom(TABLES.group).selectAll().where('id', '=', id).executeTakeFirst()) ?? lost('group', id);
export const findRole = async (db: Query, id: string) =>
  (await db.selectFrom(TABLES.role).selectAll().where('id', '=', id).executeTakeFirst()) ?? lost('role', id);

function lost(what: string, id: string): never {
  throw identityNotFound({ what, id });
}

/** Refuses a name that another row of the same domain has. Inside `feed.write`, where writes stand in a row, nobody can take it in between. */
export async function mustBeFree(
  tx: Query,
  what: 'project' | 'user' | 'group' | 'role',
  wanted: { name: string; domainId: string; except?: string },
): Promise<void> {
  const taken = await tx
    .selectFrom(TABLES[what])
    .select('id')
    .where('name', '=', wanted.name)
    .where('domain_id', '=', wanted.domainId)
    .executeTakeFirst();
  if (taken && taken.id !== wanted.except) throw identityConflict({ what, why: `there is already one with the name ${wanted.name}` });
}
