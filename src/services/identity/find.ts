import type { Query } from '../../db/engine.ts';
import type { Call } from '../../http/call.ts';
import { invalidInput } from '../../model/errors.ts';
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

/** Throws invalidInput for the id of a region that is none. */
export async function mustBeRegion(db: Query, id: string | null | undefined): Promise<void> {
  if (id === null || id === undefined) return;
  const row = await db.selectFrom('identity_regions').select('id').where('id', '=', id).executeTakeFirst();
  if (!row) throw invalidInput({ why: `There is no region ${id.slice(0, 100)}.` });
}

/** The user whose own things the path asks for, if the caller may see them. Throws forbidden, identityNotFound. */
export async function mustSeeUser(db: Query, call: Call<unknown>): Promise<string> {
  const id = call.params.id ?? '';
  const user = await db.selectFrom('identity_users').select('domain_id').where('id', '=', id).executeTakeFirst();
  call.allow({ 'target.user.id': id, 'target.user.domain_id': user?.domain_id });
  return user ? id : lost('user', id);
}
