import type { Query } from '../../db/engine.ts';
import type { IdentityGroupsTable } from '../../db/tables/identity/tables.ts';
import type { Call, Reply, RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { identityNotFound } from '../../model/errors-identity.ts';
import { descriptionOf, extraOf, idOrNullSchema, kept, nameSchema, textSchema, wrapped } from './attributes.ts';
import { domainListed, domainMeant, mustKeepDomain } from './domain-of.ts';
import { dropGrants } from './drop-grants.ts';
import { findDomain, findGroup, findUser, mustBeFree, mustSeeUser } from './find.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';
import { userView } from './users.ts';

interface GroupBody {
  group: { name?: string; domain_id?: string | null; description?: string | null };
}
const fields = { name: nameSchema(64), domain_id: idOrNullSchema, description: textSchema };
const known = Object.keys(fields);

export const groupRoutes: RouteTable<Parts> = {
  'GET /v3/groups': { run: listGroups, policy: 'identity:list_groups', policyOn: 'object' },
  'POST /v3/groups': {
    run: createGroup,
    body: wrapped<GroupBody>('group', fields, ['name']),
    policy: 'identity:create_group',
    policyOn: 'object',
  },
  'GET /v3/groups/:id': { run: showGroup, policy: 'identity:get_group', policyOn: 'object' },
  'PATCH /v3/groups/:id': {
    run: updateGroup,
    body: wrapped<GroupBody>('group', fields),
    policy: 'identity:update_group',
    policyOn: 'object',
  },
  'DELETE /v3/groups/:id': { run: deleteGroup, policy: 'identity:delete_group', policyOn: 'object' },
  'GET /v3/groups/:id/users': { run: listMembers, policy: 'identity:list_users_in_group', policyOn: 'object' },
  'PUT /v3/groups/:id/users/:user_id': { run: addMember, policy: 'identity:add_user_to_group', policyOn: 'object' },
  'HEAD /v3/groups/:id/users/:user_id': { run: checkMember, policy: 'identity:check_user_in_group', policyOn: 'object' },
  'GET /v3/groups/:id/users/:user_id': { run: checkMember, policy: 'identity:check_user_in_group', policyOn: 'object' },
  'DELETE /v3/groups/:id/users/:user_id': { run: removeMember, policy: 'identity:remove_user_from_group', policyOn: 'object' },
  'GET /v3/users/:id/groups': { run: listUserGroups, policy: 'identity:list_groups_for_user', policyOn: 'object' },
};

type GroupRow = Omit<IdentityGroupsTable, 'key'>;
const groupView = (row: GroupRow, base: string) => ({
  ...kept(row).extra,
  id: row.id,
  name: row.name,
  domain_id: row.domain_id,
  description: row.description ?? '',
  links: { self: `${base}/v3/groups/${row.id}` },
});

async function loadFor(db: Query, call: Call<unknown>) {
  const id = call.params.id ?? '';
  const row = await db.selectFrom('identity_groups').selectAll().where('id', '=', id).executeTakeFirst();
  const userId = call.params.user_id;
  const user = userId && (await db.selectFrom('identity_users').select(['id', 'domain_id']).where('id', '=', userId).executeTakeFirst());
  call.allow({
    'target.group.id': id,
    'target.group.domain_id': row?.domain_id,
    ...(user ? { 'target.user.id': user.id, 'target.user.domain_id': user.domain_id } : {}),
  });
  return row ?? findGroup(db, id);
}

async function listGroups({ db }: Parts, call: Call): Promise<Reply> {
  const domainId = domainListed(call, 'identity:list_groups');
  let query = db.read.selectFrom('identity_groups').selectAll().orderBy('key');
  if (domainId !== undefined) query = query.where('domain_id', '=', domainId);
  return listReply(call, { key: 'groups', rows: await query.execute(), view: (row) => groupView(row, call.base), exact: ['name', 'id'] });
}

async function showGroup({ db }: Parts, call: Call): Promise<Reply> {
  return { status: 200, body: { group: groupView(await loadFor(db.read, call), call.base) } };
}

async function createGroup({ feed }: Parts, call: Call<GroupBody>): Promise<Reply> {
  const wish = call.body.group;
  const domainId = domainMeant(call, wish);
  call.allow({ 'target.group.domain_id': domainId });
  const row = {
    id: newHexId(),
    name: wish.name ?? '',
    domain_id: domainId,
    description: descriptionOf(wish),
    enabled: 1,
    options: '{}',
    extra: extraOf(wish, known),
  };
  await feed.write(async (tx) => {
    await findDomain(tx, domainId);
    await mustBeFree(tx, 'group', { name: row.name, domainId });
    await tx.insertInto('identity_groups').values(row).execute();
  });
  return { status: 201, body: { group: groupView(row, call.base) } };
}

async function updateGroup({ feed }: Parts, call: Call<GroupBody>): Promise<Reply> {
  const wish = call.body.group;
  const row = await feed.write(async (tx) => {
    const before = await loadFor(tx, call);
    mustKeepDomain('group', wish, before);
    const change = {
      name: wish.name ?? before.name,
      description: descriptionOf(wish, before),
      extra: extraOf(wish, known, before.extra),
    };
    await mustBeFree(tx, 'group', { name: change.name, domainId: before.domain_id, except: before.id });
    await tx.updateTable('identity_groups').set(change).where('id', '=', before.id).execute();
    return { ...before, ...change };
  });
  return { status: 200, body: { group: groupView(row, call.base) } };
}

async function deleteGroup({ feed }: Parts, call: Call): Promise<Reply> {
  await feed.write(async (tx, tell) => {
    const row = await loadFor(tx, call);
    await dropGrants(tx, row.id);
    await tx.deleteFrom('identity_groups').where('id', '=', row.id).execute();
    tell({ refuse: false });
  });
  return { status: 204 };
}

async function listMembers({ db }: Parts, call: Call): Promise<Reply> {
  const group = await loadFor(db.read, call);
  const rows = await db.read
    .selectFrom('identity_group_members as m')
    .innerJoin('identity_users as u', 'u.id', 'm.user_id')
    .selectAll('u')
    .where('m.group_id', '=', group.id)
    .orderBy('u.key')
    .execute();
  return listReply(call, { key: 'users', rows, view: (row) => userView(row, call.base), exact: ['name', 'enabled'] });
}

async function listUserGroups({ db }: Parts, call: Call): Promise<Reply> {
  const id = await mustSeeUser(db.read, call);
  const rows = await db.read
    .selectFrom('identity_group_members as m')
    .innerJoin('identity_groups as g', 'g.id', 'm.group_id')
    .selectAll('g')
    .where('m.user_id', '=', id)
    .orderBy('g.key')
    .execute();
  return listReply(call, { key: 'groups', rows, view: (row) => groupView(row, call.base), exact: ['name'] });
}

const membership = (db: Query, groupId: string, userId: string) =>
  db
    .selectFrom('identity_group_members')
    .select('user_id')
    .where('group_id', '=', groupId)
    .where('user_id', '=', userId)
    .executeTakeFirst();

async function addMember({ feed }: Parts, call: Call): Promise<Reply> {
  const userId = call.params.user_id ?? '';
  await feed.write(async (tx, tell) => {
    const group = await loadFor(tx, call);
    await findUser(tx, userId);
    if (await membership(tx, group.id, userId)) return;
    await tx.insertInto('identity_group_members').values({ group_id: group.id, user_id: userId }).execute();
    tell({ refuse: false, userId });
  });
  return { status: 204 };
}

async function checkMember({ db }: Parts, call: Call): Promise<Reply> {
  const userId = call.params.user_id ?? '';
  const group = await loadFor(db.read, call);
  if (!(await membership(db.read, group.id, userId))) throw identityNotFound({ what: `user in group ${group.id}`, id: userId });
  return { status: 204 };
}

async function removeMember({ feed }: Parts, call: Call): Promise<Reply> {
  const userId = call.params.user_id ?? '';
  await feed.write(async (tx, tell) => {
    const group = await loadFor(tx, call);
    if (!(await membership(tx, group.id, userId))) throw identityNotFound({ what: `user in group ${group.id}`, id: userId });
    await tx.deleteFrom('identity_group_members').where('group_id', '=', group.id).where('user_id', '=', userId).execute();
    tell({ refuse: false, userId });
  });
  return { status: 204 };
}
