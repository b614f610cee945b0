import { createTokenCache, type TokenCheck } from '../../clients/identity.ts';
import type { Database } from '../../db/engine.ts';
import { effectiveRoles, type RoleRef, type RoleTarget } from '../../db/tables/identity/effective-roles.ts';
import type { Clock } from '../../lib/clock.ts';
import { type Caller, nobody } from '../../model/caller.ts';
import { loginRefused } from '../../model/errors-identity.ts';
import type { Feed } from './feed.ts';
import type { KeyRing } from './key-ring.ts';
import { type Claims, readToken } from './tokens.ts';

export interface Named {
  readonly id: string;
  readonly name: string;
}
/** Everything a token stands for at the time of asking. */
export interface Standing {
  readonly claims: Claims;
  readonly user: Named & { readonly domain: Named };
  readonly project: (Named & { readonly domain: Named }) | null;
  readonly domain: Named | null;
  readonly roles: readonly RoleRef[];
  readonly applicationCredential: { readonly id: string; readonly name: string; readonly restricted: boolean } | null;
  readonly caller: Caller;
}

interface CheckParts {
  readonly db: Database;
  readonly clock: Clock;
  readonly keys: KeyRing;
  readonly feed: Feed;
}

/** Whose token it is, from the tables, with answers kept until something changes: at once for changes of this process, within a second for those of others.
 *  Throws loginRefused. */
export function localStanding(parts: CheckParts): (token: string) => Promise<Standing> {
  return createTokenCache<Standing>({
    clock: parts.clock,
    callerOf: (standing) => standing.caller,
    subscribe: parts.feed.onRevoked,
    poll: (since) => parts.feed.since(since ?? Number.MAX_SAFE_INTEGER),
    check: async (token) => {
      const claims = await readToken(parts.keys, token, parts.clock.now());
      if (!claims) throw loginRefused({}, { detail: 'the token is not ours, or expired' });
      return standingOf(parts.db, claims);
    },
  });
}

/** The identity service's own check of tokens, for it and for the services in its process; the same in meaning as `tokenCheck` over HTTP. */
export function localTokenCheck(standing: (token: string) => Promise<Standing>): TokenCheck {
  return async (token) => (await standing(token)).caller;
}

/** What the claims of a valid signature are worth now. Throws loginRefused when user, scope, credential or the token itself is gone, disabled or revoked, and
 *  when no role is left on the scope. */
export async function standingOf(db: Database, claims: Claims): Promise<Standing> {
  const { read } = db;
  const refuse = (detail: string) => loginRefused({}, { detail });
  const user = await read
    .selectFrom('identity_users as u')
    .innerJoin('identity_domains as d', 'd.id', 'u.domain_id')
    .select(['u.id', 'u.name', 'u.enabled', 'u.domain_id', 'd.name as domain_name', 'd.enabled as domain_enabled'])
    .where('u.id', '=', claims.userId)
    .executeTakeFirst();
  if (!user?.enabled || !user.domain_enabled) throw refuse(`user ${claims.userId} is gone or disabled`);
  const scope = await scopeRows(db, claims);
  if (scope === undefined) throw refuse(`the token's scope is gone or disabled`);
  if (await isRevoked(db, claims, [user.domain_id, scope.project?.domain.id ?? null, scope.domain?.id ?? null]))
    throw refuse('the token is revoked');
  let roles = scope.target === null ? [] : await effectiveRoles(read, claims.userId, scope.target);
  const credential = claims.applicationCredentialId === null ? null : await credentialRow(db, claims.applicationCredentialId);
  if (credential === undefined) throw refuse('the application credential is gone');
  if (credential) {
    if (credential.expiresAt !== null && credential.expiresAt <= claims.issuedAt) throw refuse('the application credential has expired');
    roles = roles.filter((role) => credential.roleIds.includes(role.id));
  }
  if (scope.target !== null && roles.length === 0) throw refuse(`user ${claims.userId} has no role on the scope asked for`);
  const domain = { id: user.domain_id, name: user.domain_name };
  return {
    claims,
    user: { id: user.id, name: user.name, domain },
    project: scope.project,
    domain: scope.domain,
    roles,
    applicationCredential: credential && { id: credential.id, name: credential.name, restricted: !credential.unrestricted },
    caller: {
      ...nobody,
      userId: user.id,
      userName: user.name,
      userDomainId: domain.id,
      userDomainName: domain.name,
      projectId: scope.project?.id ?? null,
      projectName: scope.project?.name ?? null,
      projectDomainId: scope.project?.domain.id ?? null,
      projectDomainName: scope.project?.domain.name ?? null,
      domainId: scope.domain?.id ?? null,
      systemScope: claims.scope.kind === 'system' ? 'all' : null,
      roles: roles.map((role) => role.name),
      expiresAt: claims.expiresAt,
      auditIds: claims.auditIds,
      applicationCredentialId: claims.applicationCredentialId,
    },
  };
}

interface ScopeRows {
  readonly target: RoleTarget | null;
  readonly project: Standing['project'];
  readonly domain: Named | null;
}
async function scopeRows({ read }: Database, { scope }: Claims): Promise<ScopeRows | undefined> {
  if (scope.kind === 'none') return { target: null, project: null, domain: null };
  if (scope.kind === 'system') return { target: { kind: 'system' }, project: null, domain: null };
  if (scope.kind === 'domain') {
    const row = await read.selectFrom('identity_domains').select(['id', 'name', 'enabled']).where('id', '=', scope.id).executeTakeFirst();
    return row?.enabled ? { target: { kind: 'domain', id: row.id }, project: null, domain: { id: row.id, name: row.name } } : undefined;
  }
  const row = await read
    .selectFrom('identity_projects as p')
    .innerJoin('identity_domains as d', 'd.id', 'p.domain_id')
    .select(['p.id', 'p.name', 'p.enabled', 'p.parent_id', 'p.domain_id', 'd.name as domain_name', 'd.enabled as domain_enabled'])
    .where('p.id', '=', scope.id)
    .executeTakeFirst();
  if (!row?.enabled || !row.domain_enabled) return undefined;
  return {
    target: { kind: 'project', id: row.id, domainId: row.domain_id, parentId: row.parent_id },
    project: { id: row.id, name: row.name, domain: { id: row.domain_id, name: row.domain_name } },
    domain: null,
  };
}

async function credentialRow({ read }: Database, id: string) {
  const row = await read.selectFrom('identity_application_credentials').selectAll().where('id', '=', id).executeTakeFirst();
  if (!row) return undefined;
  const roleIds = JSON.parse(row.role_ids) as string[]; // written by us as an array of ids
  return { id: row.id, name: row.name, unrestricted: row.unrestricted === 1, expiresAt: row.expires_at, roleIds };
}

async function isRevoked({ read }: Database, claims: Claims, domainIds: readonly (string | null)[]): Promise<boolean> {
  const domains = domainIds.filter((id) => id !== null);
  const row = await read
    .selectFrom('identity_revocations')
    .select('id')
    .where('issued_before', '>=', claims.issuedAt)
    .where((e) => e.or([e('user_id', 'is', null), e('user_id', '=', claims.userId)]))
    .where((e) => e.or([e('audit_id', 'is', null), e('audit_id', '=', claims.auditIds[0] ?? '')]))
    .where((e) => e.or([e('audit_chain_id', 'is', null), e('audit_chain_id', '=', claims.auditIds.at(-1) ?? '')]))
    .where((e) => e.or([e('project_id', 'is', null), e('project_id', '=', claims.scope.kind === 'project' ? claims.scope.id : '')]))
    .where((e) => e.or([e('domain_id', 'is', null), e('domain_id', 'in', domains)]))
    .where((e) =>
      e.or([e('application_credential_id', 'is', null), e('application_credential_id', '=', claims.applicationCredentialId ?? '')]),
    )
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
