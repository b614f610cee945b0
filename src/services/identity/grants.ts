import type { Query } from '../../db/engine.ts';
import type { IdentityRoleAssignmentsTable } from '../../db/tables/identity/tables.ts';
import type { Call, Reply, Route, RouteTable } from '../../http/call.ts';
import { identityNotFound } from '../../model/errors-identity.ts';
import { findDomain, findGroup, findProject, findRole, findUser } from './find.ts';
import type { Parts } from './parts.ts';

type Grant = Omit<IdentityRoleAssignmentsTable, 'role_id'>;
type Call_ = Call<unknown>;

/** Grants on projects, domains and the system, for users and groups, direct and inherited: the same five routes for each of the ten places. */
export const grantRoutes: RouteTable<Parts> = Object.fromEntries(
  [...places()].flatMap(({ path, targetType, actorType, inherited }): [string, Route<Parts>][] => {
    const grantOf = (call: Call_): Grant => ({
      actor_type: actorType,
      actor_id: call.params.actor_id ?? '',
      target_type: targetType,
      target_id: targetType === 'system' ? 'system' : (call.params.target_id ?? ''),
      inherited: inherited ? 1 : 0,
    });
    const rule = (verb: string, plural = '') =>
      `identity:${verb}_${targetType === 'system' ? `system_grant${plural}_for_${actorType}` : `grant${plural}`}`;
    const each = inherited ? `${path}/roles/:role_id/inherited_to_projects` : `${path}/roles/:role_id`;
    const object = { policyOn: 'object' } as const;
    return [
      [
        `GET ${inherited ? `${path}/roles/inherited_to_projects` : `${path}/roles`}`,
        { run: (parts, call: Call_) => listGrants(parts, call, grantOf(call)), policy: rule('list', 's'), ...object },
      ],
      [`GET ${each}`, { run: (parts, call: Call_) => checkGrant(parts, call, grantOf(call)), policy: rule('check'), ...object }],
      [`HEAD ${each}`, { run: (parts, call: Call_) => checkGrant(parts, call, grantOf(call)), policy: rule('check'), ...object }],
      [`PUT ${each}`, { run: (parts, call: Call_) => addGrant(parts, call, grantOf(call)), policy: rule('create'), ...object }],
      [`DELETE ${each}`, { run: (parts, call: Call_) => removeGrant(parts, call, grantOf(call)), policy: rule('revoke'), ...object }],
    ];
  }),
);

function* places() {
  for (const actorType of ['user', 'group'] as const) {
    for (const targetType of ['project', 'domain'] as const) {
      const path = `${targetType}s/:target_id/${actorType}s/:actor_id`;
      yield { path: `/v3/${path}`, targetType, actorType, inherited: false };
      yield { path: `/v3/OS-INHERIT/${path}`, targetType, actorType, inherited: true };
    }
    yield { path: `/v3/system/${actorType}s/:actor_id`, targetType: 'system', actorType, inherited: false } as const;
  }
}

/** Checks the right to touch these grants and that user or group, target and role are there; answers the actor. */
async function judge(db: Query, call: Call_, grant: Grant, roleId?: string): Promise<void> {
  const quiet = <T>(found: Promise<T>) => found.catch(() => undefined);
  const actor = await quiet(grant.actor_type === 'user' ? findUser(db, grant.actor_id) : findGroup(db, grant.actor_id));
  const project = grant.target_type === 'project' ? await quiet(findProject(db, grant.target_id)) : undefined;
  const role = roleId === undefined ? undefined : await quiet(findRole(db, roleId));
  call.allow({
    [`target.${grant.actor_type}.id`]: grant.actor_id,
    [`target.${grant.actor_type}.domain_id`]: actor?.domain_id,
    'target.project.domain_id': project?.domain_id,
    'target.domain.id': grant.target_type === 'domain' ? grant.target_id : undefined,
    'target.role.name': role?.name,
    'target.role.domain_id': role?.domain_id || undefined,
  });
  // Now that he may, he is told what is missing.
  if (grant.target_type === 'project') await findProject(db, grant.target_id);
  if (grant.target_type === 'domain') await findDomain(db, grant.target_id);
  if (!actor) await (grant.actor_type === 'user' ? findUser(db, grant.actor_id) : findGroup(db, grant.actor_id));
  if (roleId !== undefined) await findRole(db, roleId);
}

const granted = (db: Query, grant: Grant) =>
  db
    .selectFrom('identity_role_assignments')
    .select('role_id')
    .where('actor_type', '=', grant.actor_type)
    .where('actor_id', '=', grant.actor_id)
    .where('target_type', '=', grant.target_type)
    .where('target_id', '=', grant.target_id)
    .where('inherited', '=', grant.inherited);

async function listGrants({ db }: Parts, call: Call_, grant: Grant): Promise<Reply> {
  await judge(db.read, call, grant);
  const rows = await granted(db.read, grant)
    .innerJoin('identity_roles as r', 'r.id', 'role_id')
    .select(['r.id', 'r.name', 'r.domain_id', 'r.description', 'r.options'])
    .execute();
  const roles = rows.map((row) => ({
    id: row.id,
    name: row.name,
    domain_id: row.domain_id || null,
    description: row.description,
    options: JSON.parse(row.options) as object, // written by us
    links: { self: `${call.base}/v3/roles/${row.id}` },
  }));
  return { status: 200, body: { roles, links: { self: `${call.base}${call.url}`, previous: null, next: null } } };
}

async function mustHave(db: Query, grant: Grant, roleId: string) {
  const row = await granted(db, grant).where('role_id', '=', roleId).executeTakeFirst();
  if (!row) throw identityNotFound({ what: `role assignment for ${grant.actor_type} ${grant.actor_id.slice(0, 64)}, role`, id: roleId });
}

async function checkGrant({ db }: Parts, call: Call_, grant: Grant): Promise<Reply> {
  const roleId = call.params.role_id ?? '';
  await judge(db.read, call, grant, roleId);
  await mustHave(db.read, grant, roleId);
  return { status: 204 };
}

async function addGrant({ feed }: Parts, call: Call_, grant: Grant): Promise<Reply> {
  const roleId = call.params.role_id ?? '';
  await feed.write(async (tx, tell) => {
    await judge(tx, call, grant, roleId);
    if (await granted(tx, grant).where('role_id', '=', roleId).executeTakeFirst()) return;
    await tx
      .insertInto('identity_role_assignments')
      .values({ ...grant, role_id: roleId })
      .execute();
    tell(grant.actor_type === 'user' ? { refuse: false, userId: grant.actor_id } : { refuse: false });
  });
  return { status: 204 };
}

async function removeGrant({ feed }: Parts, call: Call_, grant: Grant): Promise<Reply> {
  const roleId = call.params.role_id ?? '';
  await feed.write(async (tx, tell) => {
    await judge(tx, call, grant, roleId);
    await mustHave(tx, grant, roleId);
    await tx
      .deleteFrom('identity_role_assignments')
      .where('actor_type', '=', grant.actor_type)
      .where('actor_id', '=', grant.actor_id)
      .where('target_type', '=', grant.target_type)
      .where('target_id', '=', grant.target_id)
      .where('inherited', '=', grant.inherited)
      .where('role_id', '=', roleId)
      .execute();
    tell(grant.actor_type === 'user' ? { refuse: false, userId: grant.actor_id } : { refuse: false });
  });
  return { status: 204 };
}
