import type { Query } from '../../db/engine.ts';
import type { IdentityUsersTable } from '../../db/tables/identity/tables.ts';
import { type Call, one, type Reply, type RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { loginRefused } from '../../model/errors-identity.ts';
import {
  enabledOf,
  enabledSchema,
  extraOf,
  idOrNullSchema,
  kept,
  nameSchema,
  optionsOf,
  optionsSchema,
  textSchema,
  wrapped,
} from './attributes.ts';
import { domainListed, domainMeant, mustKeepDomain } from './domain-of.ts';
import { dropGrants } from './drop-grants.ts';
import { findDomain, findUser, mustBeFree } from './find.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';
import { hashSecret, isSecret } from './passwords.ts';

interface UserBody {
  user: {
    name?: string;
    domain_id?: string | null;
    description?: string | null;
    enabled?: boolean;
    password?: string | null;
    default_project_id?: string | null;
    options?: Record<string, unknown>;
  };
}
interface PasswordBody {
  user: { password: string; original_password: string };
}
const passwordSchema = { type: 'string', minLength: 1, maxLength: 4096 };
const fields = {
  name: nameSchema(255),
  domain_id: idOrNullSchema,
  description: textSchema,
  enabled: enabledSchema,
  password: { ...passwordSchema, type: ['string', 'null'] },
  default_project_id: idOrNullSchema,
  options: optionsSchema,
};
// What must never be kept among the unknown attributes, and shown again, is known here.
const known = [...Object.keys(fields), 'original_password', 'password_expires_at', 'tenantId', 'federated'];

export const userRoutes: RouteTable<Parts> = {
  'GET /v3/users': { run: listUsers, policy: 'identity:list_users', policyOn: 'object' },
  'POST /v3/users': {
    run: createUser,
    body: wrapped<UserBody>('user', fields, ['name']),
    policy: 'identity:create_user',
    policyOn: 'object',
  },
  'GET /v3/users/:id': { run: showUser, policy: 'identity:get_user', policyOn: 'object' },
  'PATCH /v3/users/:id': { run: updateUser, body: wrapped<UserBody>('user', fields), policy: 'identity:update_user', policyOn: 'object' },
  'DELETE /v3/users/:id': { run: deleteUser, policy: 'identity:delete_user', policyOn: 'object' },
  // The old password is the proof: an expired token must not keep a user from changing it.
  'POST /v3/users/:id/password': {
    run: changePassword,
    body: wrapped<PasswordBody>('user', { password: passwordSchema, original_password: passwordSchema }, ['password', 'original_password']),
    auth: 'none',
  },
};

type UserRow = Omit<IdentityUsersTable, 'key' | 'password_hash'>;
export const userView = (row: UserRow, base: string) => {
  const { extra, options } = kept(row);
  return {
    ...extra,
    id: row.id,
    name: row.name,
    domain_id: row.domain_id,
    ...(row.description === null ? {} : { description: row.description }),
    enabled: row.enabled === 1,
    ...(row.default_project_id === null ? {} : { default_project_id: row.default_project_id }),
    options,
    password_expires_at: null,
    links: { self: `${base}/v3/users/${row.id}` },
  };
};
const target = (row: { id: string; domain_id: string }) => ({ 'target.user.id': row.id, 'target.user.domain_id': row.domain_id });

async function loadFor(db: Query, call: Call<unknown>) {
  const id = call.params.id ?? '';
  const row = await db.selectFrom('identity_users').selectAll().where('id', '=', id).executeTakeFirst();
  call.allow(row ? target(row) : { 'target.user.id': id });
  return row ?? findUser(db, id);
}

async function listUsers({ db }: Parts, call: Call): Promise<Reply> {
  const domainId = domainListed(call, 'identity:list_users');
  let query = db.read.selectFrom('identity_users').selectAll().orderBy('key');
  if (domainId !== undefined) query = query.where('domain_id', '=', domainId);
  const name = one(call, 'name');
  if (name !== undefined) query = query.where('name', '=', name);
  return listReply(call, {
    key: 'users',
    rows: await query.execute(),
    view: (row) => userView(row, call.base),
    exact: ['name', 'enabled', 'id', 'default_project_id'],
  });
}

async function showUser({ db }: Parts, call: Call): Promise<Reply> {
  return { status: 200, body: { user: userView(await loadFor(db.read, call), call.base) } };
}

async function createUser({ feed }: Parts, call: Call<UserBody>): Promise<Reply> {
  const wish = call.body.user;
  const domainId = domainMeant(call, wish);
  call.allow({ 'target.user.domain_id': domainId });
  const row = {
    id: newHexId(),
    name: wish.name ?? '',
    domain_id: domainId,
    description: wish.description ?? null,
    enabled: enabledOf(wish),
    default_project_id: wish.default_project_id ?? null,
    options: optionsOf(wish.options),
    extra: extraOf(wish, known),
  };
  const passwordHash = wish.password ? await hashSecret(wish.password) : null;
  await feed.write(async (tx) => {
    await findDomain(tx, domainId);
    await mustBeFree(tx, 'user', { name: row.name, domainId });
    await tx
      .insertInto('identity_users')
      .values({ ...row, password_hash: passwordHash })
      .execute();
  });
  return { status: 201, body: { user: userView(row, call.base) } };
}

async function updateUser({ db, feed }: Parts, call: Call<UserBody>): Promise<Reply> {
  const wish = call.body.user;
  await loadFor(db.read, call); // refuses before a password is worked on
  const passwordHash = wish.password ? await hashSecret(wish.password) : undefined;
  const row = await feed.write(async (tx, tell) => {
    const before = await loadFor(tx, call);
    mustKeepDomain('user', wish, before);
    const change = {
      name: wish.name ?? before.name,
      description: wish.description === undefined ? before.description : wish.description,
      enabled: enabledOf(wish, before),
      default_project_id: wish.default_project_id === undefined ? before.default_project_id : wish.default_project_id,
      options: optionsOf(wish.options, before.options),
      extra: extraOf(wish, known, before.extra),
      ...(passwordHash ? { password_hash: passwordHash } : {}),
    };
    await mustBeFree(tx, 'user', { name: change.name, domainId: before.domain_id, except: before.id });
    await tx.updateTable('identity_users').set(change).where('id', '=', before.id).execute();
    tell({ refuse: passwordHash !== undefined || (before.enabled === 1 && change.enabled === 0), userId: before.id });
    return { ...before, ...change };
  });
  return { status: 200, body: { user: userView(row, call.base) } };
}

async function deleteUser({ feed }: Parts, call: Call): Promise<Reply> {
  await feed.write(async (tx, tell) => {
    const row = await loadFor(tx, call);
    await dropGrants(tx, row.id);
    await tx.deleteFrom('identity_users').where('id', '=', row.id).execute();
    tell({ refuse: true, userId: row.id });
  });
  return { status: 204 };
}

/** A user's own change of password; refuses every token he has. Throws loginRefused (401) when the old one is not right. */
async function changePassword({ db, feed }: Parts, call: Call<PasswordBody>): Promise<Reply> {
  const id = call.params.id ?? '';
  const { password, original_password } = call.body.user;
  const row = await db.read
    .selectFrom('identity_users as u')
    .innerJoin('identity_domains as d', 'd.id', 'u.domain_id')
    .select(['u.password_hash', 'u.enabled', 'd.enabled as domain_enabled'])
    .where('u.id', '=', id)
    .executeTakeFirst();
  const right = await isSecret(original_password, row?.password_hash);
  if (!row || !right || !row.enabled || !row.domain_enabled) throw loginRefused({}, { detail: 'change of password with a wrong one' });
  if (password === original_password) throw invalidInput({ why: 'The new password cannot be identical to the original password.' });
  const passwordHash = await hashSecret(password);
  await feed.write(async (tx, tell) => {
    // The condition on the old hash lets only one of two changes at the same time win.
    const done = await tx
      .updateTable('identity_users')
      .set({ password_hash: passwordHash })
      .where('id', '=', id)
      .where('password_hash', '=', row.password_hash)
      .executeTakeFirst();
    if (done.numUpdatedRows === 0n) throw loginRefused({}, { detail: 'the password was changed meanwhile' });
    tell({ refuse: true, userId: id });
  });
  return { status: 204 };
}
