import type { IdentityApplicationCredentialsTable } from '../../db/tables/identity/tables.ts';
import type { Call, Reply, RouteTable } from '../../http/call.ts';
import { isoMicros } from '../../lib/clock.ts';
import { newHexId, newSecret } from '../../lib/ids.ts';
import { invalidInput } from '../../model/errors.ts';
import { identityConflict, identityForbidden, identityNotFound } from '../../model/errors-identity.ts';
import { idSchema, nameSchema, textSchema, wrapped } from './attributes.ts';
import { listReply } from './listing.ts';
import type { Parts } from './parts.ts';
import { hashSecret } from './passwords.ts';

interface CredentialBody {
  application_credential: {
    name: string;
    secret?: string | null;
    description?: string | null;
    expires_at?: string | null;
    roles?: { id?: string; name?: string }[];
    unrestricted?: boolean | null;
    access_rules?: object[];
  };
}
const fields = {
  name: nameSchema(255),
  secret: { type: ['string', 'null'], minLength: 1, maxLength: 4096 },
  description: textSchema,
  expires_at: { type: ['string', 'null'], maxLength: 64 },
  roles: {
    type: 'array',
    maxItems: 100,
    items: {
      type: 'object',
      properties: { id: idSchema, name: nameSchema(255) },
      anyOf: [{ required: ['id'] }, { required: ['name'] }],
    },
  },
  unrestricted: { type: ['boolean', 'null'] },
  access_rules: { type: 'array' },
};

export const applicationCredentialRoutes: RouteTable<Parts> = {
  'GET /v3/users/:id/application_credentials': {
    run: listCredentials,
    policy: 'identity:list_application_credentials',
    policyOn: 'object',
  },
  'POST /v3/users/:id/application_credentials': {
    run: createCredential,
    body: wrapped<CredentialBody>('application_credential', fields, ['name']),
    policy: 'identity:create_application_credential',
    policyOn: 'object',
  },
  'GET /v3/users/:id/application_credentials/:credential_id': {
    run: showCredential,
    policy: 'identity:get_application_credential',
    policyOn: 'object',
  },
  'DELETE /v3/users/:id/application_credentials/:credential_id': {
    run: deleteCredential,
    policy: 'identity:delete_application_credential',
    policyOn: 'object',
  },
  'GET /v3/users/:id/access_rules': { run: listAccessRules, policy: 'identity:list_access_rules', policyOn: 'object' },
};

type Row = Omit<IdentityApplicationCredentialsTable, 'key' | 'secret_hash'>;

async function views({ db }: Parts, rows: readonly Row[], base: string) {
  const roles = new Map(
    (await db.read.selectFrom('identity_roles').select(['id', 'name', 'domain_id']).execute()).map((row) => [row.id, row]),
  );
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    description: row.description,
    user_id: row.user_id,
    project_id: row.project_id,
    system: null,
    roles: (JSON.parse(row.role_ids) as string[]).flatMap((id) => {
      const role = roles.get(id);
      return role ? [{ id: role.id, name: role.name, domain_id: role.domain_id || null }] : [];
    }),
    expires_at: row.expires_at === null ? null : isoMicros(row.expires_at),
    unrestricted: row.unrestricted === 1,
    links: { self: `${base}/v3/users/${row.user_id}/application_credentials/${row.id}` },
  }));
}

const mayTouch = (call: Call<unknown>) => call.allow({ 'target.user.id': call.params.id, user_id: call.params.id });

async function listCredentials(parts: Parts, call: Call): Promise<Reply> {
  mayTouch(call);
  const rows = await parts.db.read
    .selectFrom('identity_application_credentials')
    .selectAll()
    .where('user_id', '=', call.params.id ?? '')
    .orderBy('key')
    .execute();
  const shown = new Map((await views(parts, rows, call.base)).map((view) => [view.id, view]));
  return listReply(call, { key: 'application_credentials', rows, view: (row) => shown.get(row.id) ?? {}, exact: ['name'] });
}

async function find({ db }: Parts, call: Call<unknown>): Promise<Row> {
  const id = call.params.credential_id ?? '';
  const row = await db.read
    .selectFrom('identity_application_credentials')
    .selectAll()
    .where('id', '=', id)
    .where('user_id', '=', call.params.id ?? '')
    .executeTakeFirst();
  if (!row) throw identityNotFound({ what: 'application credential', id });
  return row;
}

async function showCredential(parts: Parts, call: Call): Promise<Reply> {
  mayTouch(call);
  const [view] = await views(parts, [await find(parts, call)], call.base);
  return { status: 200, body: { application_credential: view } };
}

/** A credential with which a credential is made must not be able to make stronger or longer-lived ones. Throws identityForbidden. */
async function mustBeUnrestricted(parts: Parts, call: Call<unknown>): Promise<void> {
  const { applicationCredential } = await parts.standing(call.token ?? '');
  if (applicationCredential?.restricted)
    throw identityForbidden({ why: 'An application credential may manage others only when it was created as unrestricted.' });
}

/** Makes a credential for the caller's own project with some or all of his roles there. The secret is in this answer and never again.
 *  Spec: identity api-ref "Create application credential". */
async function createCredential(parts: Parts, call: Call<CredentialBody>): Promise<Reply> {
  mayTouch(call);
  await mustBeUnrestricted(parts, call);
  const wish = call.body.application_credential;
  const { roles, project, claims } = await parts.standing(call.token ?? '');
  if (!project) throw invalidInput({ why: 'An application credential is made with a token of the project it is for.' });
  if (wish.access_rules?.length) throw invalidInput({ why: 'This identity service has no access rules; leave access_rules out.' });
  const roleIds = wish.roles
    ? wish.roles.map((asked) => {
        const role = roles.find((mine) => (asked.id === undefined ? mine.name === asked.name : mine.id === asked.id));
        if (!role) throw invalidInput({ why: `You do not have the role ${String(asked.id ?? asked.name)} on the project ${project.id}.` });
        return role.id;
      })
    : roles.map((role) => role.id);
  if (roleIds.length === 0) throw invalidInput({ why: 'An application credential needs at least one role.' });
  const secret = wish.secret ?? newSecret(64);
  const row = {
    id: newHexId(),
    user_id: claims.userId,
    project_id: project.id,
    name: wish.name,
    description: wish.description ?? null,
    role_ids: JSON.stringify([...new Set(roleIds)]),
    expires_at: expiryOf(wish.expires_at, parts.clock.now()),
    unrestricted: wish.unrestricted ? 1 : 0,
  };
  const secretHash = await hashSecret(secret);
  await parts.feed.write(async (tx) => {
    const taken = await tx
      .selectFrom('identity_application_credentials')
      .select('id')
      .where('user_id', '=', row.user_id)
      .where('name', '=', row.name)
      .executeTakeFirst();
    if (taken) throw identityConflict({ what: 'application_credential', why: `there is already one with the name ${row.name}` });
    await tx
      .insertInto('identity_application_credentials')
      .values({ ...row, secret_hash: secretHash })
      .execute();
  });
  const [view] = await views(parts, [row], call.base);
  return { status: 201, body: { application_credential: { ...view, secret } } };
}

/** A time of the body, UTC unless it says otherwise, as microseconds. Throws invalidInput for what is no time, or past. */
function expiryOf(text: string | null | undefined, now: number): number | null {
  if (text === null || text === undefined) return null;
  const form = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?$/.exec(text);
  const at = form ? Date.parse(form[3] ? text : `${text}Z`) * 1000 : Number.NaN;
  if (Number.isNaN(at)) throw invalidInput({ why: 'expires_at is not a time like 2030-01-31T12:00:00.000000.' });
  if (at > Number.MAX_SAFE_INTEGER)
    throw invalidInput({ why: 'expires_at is after the year 2255; leave it out for a credential without an end.' });
  if (at <= now) throw invalidInput({ why: 'expires_at is in the past.' });
  return at;
}

async function deleteCredential(parts: Parts, call: Call): Promise<Reply> {
  mayTouch(call);
  await mustBeUnrestricted(parts, call);
  const { id } = await find(parts, call);
  await parts.feed.write(async (tx, tell) => {
    await tx.deleteFrom('identity_application_credentials').where('id', '=', id).execute();
    tell({ refuse: true, applicationCredentialId: id });
  });
  return { status: 204 };
}

/** None: they are refused when a credential is made. Clients ask for the list all the same. */
function listAccessRules(_parts: Parts, call: Call): Reply {
  mayTouch(call);
  return { status: 200, body: { access_rules: [], links: { self: `${call.base}${call.url}`, previous: null, next: null } } };
}
