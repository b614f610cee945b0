import { effectiveRoles, type RoleTarget } from '../../db/tables/identity/effective-roles.ts';
import type { Micros } from '../../lib/clock.ts';
import { CloudError, invalidInput } from '../../model/errors.ts';
import { identityForbidden, loginRefused, scopeNotSupported } from '../../model/errors-identity.ts';
import type { AuthBody, Reference } from './auth-body.ts';
import { type Standing, standingOf } from './check-token.ts';
import type { Parts } from './parts.ts';
import { isSecret } from './passwords.ts';
import { type Claims, newAuditId, type Scope } from './tokens.ts';

type Wish = AuthBody['auth'];
/** What one method of authentication has found out. */
interface Proof {
  readonly userId: string;
  /** The chain's audit id and the end of the token that was traded in. */
  readonly chain?: string;
  readonly until?: Micros;
  readonly applicationCredentialId?: string | null;
  /** The only scope there may be. */
  readonly boundTo?: Scope;
  readonly methods?: readonly string[];
}
const refuse = (detail: string) => loginRefused({}, { detail });

/** Checks who asks and for what, and answers the claims of the new token with all they stand for.
 *  Throws loginRefused (401, the reason only in the log), invalidInput, identityForbidden.  Spec: identity api-ref "Authentication and token management". */
export async function authenticate(parts: Parts, wish: Wish): Promise<Standing> {
  // Taken before anything is read: a change of password that is committed meanwhile must find the new token older than itself.
  const issuedAt = parts.feed.tick();
  const proofs: Proof[] = [];
  for (const method of new Set(wish.identity.methods)) proofs.push(await prove(parts, method, wish.identity));
  const [first] = proofs;
  if (!first || proofs.some((proof) => proof.userId !== first.userId)) throw refuse('the methods speak of different users');
  const merged: Proof = Object.assign({}, ...proofs);
  const scope = await scopeOf(parts, wish.scope, merged);
  const claims: Claims = {
    userId: merged.userId,
    scope,
    methods: [...new Set([...(merged.methods ?? []), ...wish.identity.methods])],
    auditIds: [newAuditId(), ...(merged.chain ? [merged.chain] : [])],
    issuedAt,
    // Whole milliseconds: what most clients can read of a time.
    expiresAt: Math.floor(Math.min(issuedAt + parts.tokenSeconds * 1e6, merged.until ?? Number.POSITIVE_INFINITY) / 1000) * 1000,
    applicationCredentialId: merged.applicationCredentialId ?? null,
  };
  return standingOf(parts.db, claims);
}

async function prove(parts: Parts, method: string, identity: Wish['identity']): Promise<Proof> {
  if (method === 'password') return byPassword(parts, identity.password);
  if (method === 'token') return byToken(parts, identity.token);
  if (method === 'application_credential') return byApplicationCredential(parts, identity.application_credential);
  throw refuse(`the method ${method.slice(0, 50)} is not known`);
}

async function byPassword(parts: Parts, given: Wish['identity']['password']): Promise<Proof> {
  if (!given) throw invalidInput({ why: `'password' is a required property of identity when its methods name it` });
  const user = await findUser(parts, given.user);
  // Also without a user: the time must not tell whether there is one.
  const right = await isSecret(given.user.password, user?.password_hash);
  if (!user || !right) throw refuse('user or password is wrong');
  return { userId: user.id };
}

async function byToken(parts: Parts, given: Wish['identity']['token']): Promise<Proof> {
  if (!given) throw invalidInput({ why: `'token' is a required property of identity when its methods name it` });
  const { claims } = await parts.standing(given.id);
  return {
    userId: claims.userId,
    chain: claims.auditIds.at(-1) ?? '',
    until: claims.expiresAt,
    methods: claims.methods,
    applicationCredentialId: claims.applicationCredentialId,
    ...(claims.applicationCredentialId ? { boundTo: claims.scope } : {}),
  };
}

async function byApplicationCredential(parts: Parts, given: Wish['identity']['application_credential']): Promise<Proof> {
  if (!given) throw invalidInput({ why: `'application_credential' is a required property of identity when its methods name it` });
  let query = parts.db.read.selectFrom('identity_application_credentials').selectAll();
  if (given.id !== undefined) query = query.where('id', '=', given.id);
  else if (given.name !== undefined && given.user) {
    const user = await findUser(parts, given.user);
    query = query.where('name', '=', given.name).where('user_id', '=', user?.id ?? '');
  } else throw invalidInput({ why: 'An application credential is named by its id, or by its name and its user.' });
  const credential = await query.executeTakeFirst();
  const right = await isSecret(given.secret, credential?.secret_hash);
  if (!credential || !right) throw refuse('application credential or secret is wrong');
  return {
    userId: credential.user_id,
    applicationCredentialId: credential.id,
    boundTo: { kind: 'project', id: credential.project_id },
    ...(credential.expires_at === null ? {} : { until: credential.expires_at }),
  };
}

/** A user by id, or by name and domain. Throws invalidInput when the body names neither. */
async function findUser({ db }: Parts, reference: Reference) {
  const query = db.read.selectFrom('identity_users').selectAll();
  if (reference.id !== undefined) return query.where('id', '=', reference.id).executeTakeFirst();
  if (reference.name === undefined) throw invalidInput({ why: 'Expecting to find id or name in user.' });
  const domainId = await findDomain({ db }, reference.domain, 'user');
  return query
    .where('name', '=', reference.name)
    .where('domain_id', '=', domainId ?? '')
    .executeTakeFirst();
}

async function findDomain({ db }: Pick<Parts, 'db'>, domain: Reference['domain'], whose: string): Promise<string | undefined> {
  if (domain?.id !== undefined) return domain.id;
  if (domain?.name === undefined) throw invalidInput({ why: `Expecting to find domain in ${whose}.` });
  const row = await db.read.selectFrom('identity_domains').select('id').where('name', '=', domain.name).executeTakeFirst();
  return row?.id;
}

async function scopeOf(parts: Parts, wish: Wish['scope'], proof: Proof): Promise<Scope> {
  const asked = await askedScope(parts, wish);
  if (proof.boundTo) {
    if (!asked) return proof.boundTo;
    const same = JSON.stringify(asked) === JSON.stringify(proof.boundTo);
    if (!same) throw identityForbidden({ why: 'A token of an application credential has the scope of that credential and no other.' });
    return proof.boundTo;
  }
  return asked ?? defaultScope(parts, proof.userId);
}

async function askedScope(parts: Parts, wish: Wish['scope']): Promise<Scope | undefined> {
  if (wish === undefined) return undefined;
  if (wish === 'unscoped') return { kind: 'none' };
  const kinds = (['project', 'domain', 'system', 'unscoped', 'OS-TRUST:trust'] as const).filter((kind) => wish[kind] !== undefined);
  if (kinds.length !== 1) throw invalidInput({ why: 'A scope is exactly one of project, domain, system and unscoped.' });
  if (wish['OS-TRUST:trust']) throw scopeNotSupported({ scope: 'trusts' });
  if (wish.unscoped) return { kind: 'none' };
  if (wish.system) {
    if (wish.system.all !== true) throw invalidInput({ why: 'The only scope of the system is {"all": true}.' });
    return { kind: 'system' };
  }
  if (wish.domain) return { kind: 'domain', id: (await findDomain(parts, wish.domain, 'scope')) ?? '' };
  const project = wish.project ?? {};
  if (project.id !== undefined) return { kind: 'project', id: project.id };
  if (project.name === undefined) throw invalidInput({ why: 'Expecting to find id or name in project.' });
  const domainId = await findDomain(parts, project.domain, 'project');
  const row = await parts.db.read
    .selectFrom('identity_projects')
    .select('id')
    .where('name', '=', project.name)
    .where('domain_id', '=', domainId ?? '')
    .executeTakeFirst();
  return { kind: 'project', id: row?.id ?? '' };
}

/** The user's default project where he has a role, else no scope. */
async function defaultScope({ db }: Parts, userId: string): Promise<Scope> {
  const row = await db.read
    .selectFrom('identity_users as u')
    .innerJoin('identity_projects as p', 'p.id', 'u.default_project_id')
    .select(['p.id', 'p.domain_id', 'p.parent_id', 'p.enabled'])
    .where('u.id', '=', userId)
    .executeTakeFirst();
  if (!row?.enabled) return { kind: 'none' };
  const target: RoleTarget = { kind: 'project', id: row.id, domainId: row.domain_id, parentId: row.parent_id };
  return (await effectiveRoles(db.read, userId, target)).length > 0 ? { kind: 'project', id: row.id } : { kind: 'none' };
}

/** Whether a failed look at a token means "no such token", and not that the database is away. */
export const isRefusal = (cause: unknown): boolean => cause instanceof CloudError && cause.kind === 'unauthorized';
