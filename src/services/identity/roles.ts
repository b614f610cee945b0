import type { Query } from '../../db/engine.ts';
import type { IdentityRolesTable } from '../../db/tables/identity/tables.ts';
import { type Call, one, type Reply, type RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { identityNotFound } from '../../model/errors-identity.ts';
import { extraOf, idOrNullSchema, kept, mustBeMutable, nameSchema, optionsOf, optionsSchema, textSchema, wrapped } from './attributes.ts';
import { mustKeepDomain } from './domain-of.ts';
import { dropGrants } from './drop-grants.ts';
import { findDomain, findRole, mustBeFree } from './find.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';

interface RoleBody {
  role: { name?: string; domain_id?: string | null; description?: string | null; options?: Record<string, unknown> };
}
const fields = {
  name: nameSchema(255),
  domain_id: idOrNullSchema,
  description: textSchema,
  options: optionsSchema,
};
const known = Object.keys(fields);

export const roleRoutes: RouteTable<Parts> = {
  'GET /v3/roles': { run: listRoles, policy: 'identity:list_roles', policyOn: 'object' },
  'POST /v3/roles': { run: createRole, body: wrapped<RoleBody>('role', fields, ['name']), policy: 'identity:create_role' },
  'GET /v3/roles/:id': { run: showRole, policy: 'identity:get_role', policyOn: 'object' },
  'PATCH /v3/roles/:id': { run: updateRole, body: wrapped<RoleBody>('role', fields), policy: 'identity:update_role' },
  'DELETE /v3/roles/:id': { run: deleteRole, policy: 'identity:delete_role' },
  'GET /v3/roles/:id/implies': { run: listImplied, policy: 'identity:list_implied_roles' },
  'GET /v3/roles/:id/implies/:implied_id': { run: showImplied, policy: 'identity:get_implied_role' },
  'HEAD /v3/roles/:id/implies/:implied_id': { run: checkImplied, policy: 'identity:check_implied_role' },
  'PUT /v3/roles/:id/implies/:implied_id': { run: addImplied, policy: 'identity:create_implied_role' },
  'DELETE /v3/roles/:id/implies/:implied_id': { run: removeImplied, policy: 'identity:delete_implied_role' },
  'GET /v3/role_inferences': { run: listInferences, policy: 'identity:list_role_inference_rules' },
};

type RoleRow = Omit<IdentityRolesTable, 'key'>;
const roleView = (row: RoleRow, base: string) => {
  const { extra, options } = kept(row);
  return {
    ...extra,
    id: row.id,
    name: row.name,
    domain_id: row.domain_id || null,
    description: row.description,
    options,
    links: { self: `${base}/v3/roles/${row.id}` },
  };
};

/** Whoever manages a domain must see the roles that he may hand out there. */
const mayLook = (call: Call) => call.allow({ 'target.domain_id': call.caller.domainId });

async function listRoles({ db }: Parts, call: Call): Promise<Reply> {
  mayLook(call);
  // Without the word only the roles of no domain, as upstream.
  const domainId = one(call, 'domain_id') ?? '';
  const rows = await db.read.selectFrom('identity_roles').selectAll().where('domain_id', '=', domainId).orderBy('key').execute();
  return listReply(call, { key: 'roles', rows, view: (row) => roleView(row, call.base), exact: ['name', 'id'] });
}

async function showRole({ db }: Parts, call: Call): Promise<Reply> {
  mayLook(call);
  return { status: 200, body: { role: roleView(await findRole(db.read, call.params.id ?? ''), call.base) } };
}

async function createRole({ feed }: Parts, call: Call<RoleBody>): Promise<Reply> {
  const wish = call.body.role;
  const row = {
    id: newHexId(),
    name: wish.name ?? '',
    domain_id: wish.domain_id ?? '',
    description: wish.description ?? null,
    enabled: 1,
    options: optionsOf(wish.options),
    extra: extraOf(wish, known),
  };
  await feed.write(async (tx) => {
    if (row.domain_id !== '') await findDomain(tx, row.domain_id);
    await mustBeFree(tx, 'role', { name: row.name, domainId: row.domain_id });
    await tx.insertInto('identity_roles').values(row).execute();
  });
  return { status: 201, body: { role: roleView(row, call.base) } };
}

async function updateRole({ feed }: Parts, call: Call<RoleBody>): Promise<Reply> {
  const wish = call.body.role;
  const row = await feed.write(async (tx, tell) => {
    const before = await findRole(tx, call.params.id ?? '');
    mustBeMutable('role', before, wish);
    mustKeepDomain('role', wish, before);
    const change = {
      name: wish.name ?? before.name,
      description: wish.description === undefined ? before.description : wish.description,
      options: optionsOf(wish.options, before.options),
      extra: extraOf(wish, known, before.extra),
    };
    await mustBeFree(tx, 'role', { name: change.name, domainId: before.domain_id, except: before.id });
    await tx.updateTable('identity_roles').set(change).where('id', '=', before.id).execute();
    tell({ refuse: false });
    return { ...before, ...change };
  });
  return { status: 200, body: { role: roleView(row, call.base) } };
}

async function deleteRole({ feed }: Parts, call: Call): Promise<Reply> {
  await feed.write(async (tx, tell) => {
    const row = await findRole(tx, call.params.id ?? '');
    mustBeMutable('role', row);
    await dropGrants(tx, row.id);
    await tx.deleteFrom('identity_roles').where('id', '=', row.id).execute();
    tell({ refuse: false });
  });
  return { status: 204 };
}

const brief = (row: RoleRow, base: string) => ({ id: row.id, name: row.name, links: { self: `${base}/v3/roles/${row.id}` } });
const implyLinks = (base: string, prior: string, implied?: string) => ({
  self: `${base}/v3/roles/${prior}/implies${implied === undefined ? '' : `/${implied}`}`,
});

async function pair({ db }: Pick<Parts, 'db'>, call: Call) {
  return [await findRole(db.read, call.params.id ?? ''), await findRole(db.read, call.params.implied_id ?? '')] as const;
}

async function listImplied({ db }: Parts, call: Call): Promise<Reply> {
  const prior = await findRole(db.read, call.params.id ?? '');
  const implied = await db.read
    .selectFrom('identity_role_implications as i')
    .innerJoin('identity_roles as r', 'r.id', 'i.implied_id')
    .selectAll('r')
    .where('i.prior_id', '=', prior.id)
    .orderBy('r.key')
    .execute();
  const inference = { prior_role: brief(prior, call.base), implies: implied.map((row) => brief(row, call.base)) };
  return { status: 200, body: { role_inference: inference, links: implyLinks(call.base, prior.id) } };
}

const inferenceBody = (prior: RoleRow, implied: RoleRow, base: string) => ({
  role_inference: { prior_role: brief(prior, base), implies: brief(implied, base) },
  links: implyLinks(base, prior.id, implied.id),
});

const implication = (db: Query, priorId: string, impliedId: string) =>
  db
    .selectFrom('identity_role_implications')
    .select('prior_id')
    .where('prior_id', '=', priorId)
    .where('implied_id', '=', impliedId)
    .executeTakeFirst();

async function mustImply({ db }: Parts, priorId: string, impliedId: string) {
  if (!(await implication(db.read, priorId, impliedId))) throw identityNotFound({ what: `role implied by ${priorId}`, id: impliedId });
}

async function showImplied(parts: Parts, call: Call): Promise<Reply> {
  const [prior, implied] = await pair(parts, call);
  await mustImply(parts, prior.id, implied.id);
  return { status: 200, body: inferenceBody(prior, implied, call.base) };
}

async function checkImplied(parts: Parts, call: Call): Promise<Reply> {
  const [prior, implied] = await pair(parts, call);
  await mustImply(parts, prior.id, implied.id);
  return { status: 204 };
}

async function addImplied(parts: Parts, call: Call): Promise<Reply> {
  const [prior, implied] = await pair(parts, call);
  if (prior.id === implied.id) throw invalidInput({ why: 'A role cannot imply itself.' });
  // Upstream refuses it as well: whoever got the prior role would be an administrator without anybody having said so.
  if (implied.name === 'admin' && implied.domain_id === '') throw invalidInput({ why: 'The role admin cannot be implied by another.' });
  await parts.feed.write(async (tx, tell) => {
    if (!(await implication(tx, prior.id, implied.id)))
      await tx.insertInto('identity_role_implications').values({ prior_id: prior.id, implied_id: implied.id }).execute();
    tell({ refuse: false });
  });
  return { status: 201, body: inferenceBody(prior, implied, call.base) };
}

async function removeImplied(parts: Parts, call: Call): Promise<Reply> {
  const [prior, implied] = await pair(parts, call);
  await mustImply(parts, prior.id, implied.id);
  await parts.feed.write(async (tx, tell) => {
    await tx.deleteFrom('identity_role_implications').where('prior_id', '=', prior.id).where('implied_id', '=', implied.id).execute();
    tell({ refuse: false });
  });
  return { status: 204 };
}

async function listInferences({ db }: Parts, call: Call): Promise<Reply> {
  const roles = new Map((await db.read.selectFrom('identity_roles').selectAll().execute()).map((row) => [row.id, row]));
  const rows = await db.read.selectFrom('identity_role_implications').selectAll().execute();
  const inferences = [...new Set(rows.map((row) => row.prior_id))].flatMap((id) => {
    const prior = roles.get(id);
    const implies = rows.filter((row) => row.prior_id === id).flatMap((row) => roles.get(row.implied_id) ?? []);
    return prior ? [{ prior_role: brief(prior, call.base), implies: implies.map((row) => brief(row, call.base)) }] : [];
  });
  return { status: 200, body: { role_inferences: inferences, links: { self: `${call.base}${call.url}`, previous: null, next: null } } };
}
