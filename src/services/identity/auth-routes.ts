import { revocationsBody } from '../../clients/identity.ts';
import { type Call, one, type Reply, type RouteTable } from '../../http/call.ts';
import { isoMicrosZ } from '../../lib/clock.ts';
import { invalidInput } from '../../model/errors.ts';
import { identityForbidden, tokenNotFound } from '../../model/errors-identity.ts';
import { type AuthBody, authBody } from './auth-body.ts';
import { authenticate, isRefusal } from './authenticate.ts';
import { fullCatalog } from './catalog-entries.ts';
import type { Standing } from './check-token.ts';
import { domainView } from './domains.ts';
import { userScopes } from './my-scopes.ts';
import type { Parts } from './parts.ts';
import { projectView } from './projects.ts';
import { signToken } from './tokens.ts';

export const authRoutes: RouteTable<Parts> = {
  'POST /v3/auth/tokens': { run: issueToken, body: authBody, auth: 'none' },
  'GET /v3/auth/tokens': { run: showToken, policy: 'identity:validate_token', policyOn: 'object' },
  'HEAD /v3/auth/tokens': { run: checkToken, policy: 'identity:check_token', policyOn: 'object' },
  'DELETE /v3/auth/tokens': { run: revokeToken, policy: 'identity:revoke_token', policyOn: 'object' },
  'GET /v3/auth/catalog': { run: showCatalog, policy: 'identity:get_auth_catalog' },
  'GET /v3/auth/projects': { run: listMyProjects, policy: 'identity:get_auth_projects' },
  'GET /v3/auth/domains': { run: listMyDomains, policy: 'identity:get_auth_domains' },
  'GET /v3/auth/system': { run: listMySystem, policy: 'identity:get_auth_system' },
  'GET /v3/OS-FEDERATION/projects': { run: listMyProjects, policy: 'identity:get_auth_projects' },
  'GET /v3/OS-FEDERATION/domains': { run: listMyDomains, policy: 'identity:get_auth_domains' },
  'GET /v3/OS-REVOKE/events': { run: listRevocations, policy: 'identity:list_revoke_events' },
};

async function tokenBody(parts: Parts, call: Call<unknown>, standing: Standing) {
  const { claims, user, project, domain, roles, applicationCredential } = standing;
  const scoped = claims.scope.kind !== 'none';
  const withCatalog = scoped && call.query.nocatalog === undefined;
  return {
    token: {
      methods: claims.methods,
      user: { ...user, password_expires_at: null },
      audit_ids: claims.auditIds,
      expires_at: isoMicrosZ(claims.expiresAt),
      issued_at: isoMicrosZ(claims.issuedAt),
      ...(project ? { project, is_domain: false } : {}),
      ...(domain ? { domain } : {}),
      ...(claims.scope.kind === 'system' ? { system: { all: true } } : {}),
      ...(scoped ? { roles: roles.map(({ id, name }) => ({ id, name })) } : {}),
      ...(withCatalog ? { catalog: await fullCatalog(parts, call.origin, project?.id ?? null) } : {}),
      ...(applicationCredential ? { application_credential: applicationCredential } : {}),
    },
  };
}

async function issueToken(parts: Parts, call: Call<AuthBody>): Promise<Reply> {
  const standing = await authenticate(parts, call.body.auth);
  const [token] = await Promise.all([signToken(parts.keys.own, standing.claims), parts.keys.publish()]);
  return { status: 201, body: await tokenBody(parts, call, standing), headers: { 'x-subject-token': token } };
}

/** The token spoken of in X-Subject-Token. Throws tokenNotFound, and policyForbids unless it is the caller's own or he may look at all. */
async function subject(parts: Parts, call: Call<unknown>): Promise<{ token: string; standing: Standing }> {
  const token = call.headers['x-subject-token'];
  if (typeof token !== 'string' || token === '') throw invalidInput({ why: 'The header X-Subject-Token is required.' });
  let standing: Standing;
  try {
    standing = await parts.standing(token);
  } catch (cause) {
    // Asked about at all only by those who may; others learn nothing about it.
    call.allow({ 'target.token.user_id': null });
    if (isRefusal(cause)) throw tokenNotFound({}, { cause });
    throw cause;
  }
  call.allow({ 'target.token.user_id': standing.user.id });
  return { token, standing };
}

async function showToken(parts: Parts, call: Call<unknown>): Promise<Reply> {
  const { token, standing } = await subject(parts, call);
  return { status: 200, body: await tokenBody(parts, call, standing), headers: { 'x-subject-token': token } };
}

async function checkToken(parts: Parts, call: Call<unknown>): Promise<Reply> {
  const { token } = await subject(parts, call);
  return { status: 200, headers: { 'x-subject-token': token } };
}

async function revokeToken(parts: Parts, call: Call<unknown>): Promise<Reply> {
  const { standing } = await subject(parts, call);
  const auditId = standing.claims.auditIds[0] ?? '';
  await parts.feed.write(async (_tx, tell) => tell({ refuse: true, auditId }));
  return { status: 204 };
}

async function showCatalog(parts: Parts, call: Call<unknown>): Promise<Reply> {
  const { claims, project } = await parts.standing(call.token ?? '');
  if (claims.scope.kind === 'none') throw identityForbidden({ why: 'A token without a scope has no catalog.' });
  const catalog = await fullCatalog(parts, call.origin, project?.id ?? null);
  return { status: 200, body: { catalog, links: { self: `${call.base}/v3/auth/catalog` } } };
}

const links = (call: Call<unknown>) => ({ self: `${call.base}${call.url}`, previous: null, next: null });

async function listMyProjects({ db }: Parts, call: Call<unknown>): Promise<Reply> {
  const { projects } = await userScopes(db, call.caller.userId);
  return { status: 200, body: { projects: projects.map((project) => projectView(project, call.base)), links: links(call) } };
}

async function listMyDomains({ db }: Parts, call: Call<unknown>): Promise<Reply> {
  const { domains } = await userScopes(db, call.caller.userId);
  return { status: 200, body: { domains: domains.map((domain) => domainView(domain, call.base)), links: links(call) } };
}

async function listMySystem({ db }: Parts, call: Call<unknown>): Promise<Reply> {
  const { system } = await userScopes(db, call.caller.userId);
  return { status: 200, body: { system: system ? [{ all: true }] : [], links: links(call) } };
}

/** What was revoked since a number (`since=`), or only the newest number (`since=now`). Other services ask for it several times a second. */
async function listRevocations({ feed }: Parts, call: Call<unknown>): Promise<Reply> {
  const since = one(call, 'since') ?? '0';
  if (since !== 'now' && !/^\d{1,15}$/.test(since))
    throw invalidInput({ why: 'since is the number in "last" of an earlier answer, or "now".' });
  const answer = await feed.since(since === 'now' ? Number.MAX_SAFE_INTEGER : Number(since));
  return { status: 200, body: { ...revocationsBody(answer), links: links(call) } };
}
