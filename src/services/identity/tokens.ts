import { randomBytes } from 'node:crypto';
import { SignJWT } from 'jose/jwt/sign';
import { jwtVerify } from 'jose/jwt/verify';
import type { Micros } from '../../lib/clock.ts';
import type { KeyRing } from './key-ring.ts';
import type { TokenKeys } from './keys.ts';

export type Scope =
  | { readonly kind: 'project'; readonly id: string }
  | { readonly kind: 'domain'; readonly id: string }
  | { readonly kind: 'system' }
  | { readonly kind: 'none' };

/** What a token says by itself. Names and roles are not in it: they are looked up whenever it is checked, so that changes act at once. */
export interface Claims {
  readonly userId: string;
  readonly scope: Scope;
  readonly methods: readonly string[];
  /** Its own id, and that of the first token of its chain when it was made from another token. */
  readonly auditIds: readonly string[];
  readonly issuedAt: Micros;
  readonly expiresAt: Micros;
  readonly applicationCredentialId: string | null;
}

/** 22 signs of base64url, as Keystone's. */
export const newAuditId = (): string => randomBytes(16).toString('base64url');

/** The token itself: a compact JWS (ES256), with the names of Keystone's own JWS tokens where it has them.  Spec: Keystone "JWS tokens". */
export const signToken = (keys: TokenKeys, claims: Claims): Promise<string> =>
  new SignJWT({
    sub: claims.userId,
    iat: Math.floor(claims.issuedAt / 1e6),
    exp: Math.ceil(claims.expiresAt / 1e6),
    iat_us: claims.issuedAt,
    exp_us: claims.expiresAt,
    openstack_methods: claims.methods,
    openstack_audit_ids: claims.auditIds,
    ...(claims.scope.kind === 'project' ? { openstack_project_id: claims.scope.id } : {}),
    ...(claims.scope.kind === 'domain' ? { openstack_domain_id: claims.scope.id } : {}),
    ...(claims.scope.kind === 'system' ? { openstack_system: 'all' } : {}),
    ...(claims.applicationCredentialId ? { openstack_app_cred_id: claims.applicationCredentialId } : {}),
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'JWT', kid: keys.id })
    .sign(keys.sign);

/** What the token says, or undefined when it is none of ours or has expired at `now`. */
export async function readToken(keys: KeyRing, token: string, now: Micros): Promise<Claims | undefined> {
  if (token.length > 4096 || !/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return undefined;
  const id = keyIdOf(token);
  const key = id === undefined ? undefined : await keys.find(id);
  if (!key) return undefined;
  try {
    const { payload } = await jwtVerify(token, key, { algorithms: ['ES256'], currentDate: new Date(now / 1000) });
    const expiresAt = Number(payload.exp_us);
    if (!(expiresAt > now) || typeof payload.sub !== 'string') return undefined;
    return {
      userId: payload.sub,
      scope: scopeOf(payload),
      methods: payload.openstack_methods as string[], // signed by us, in signToken
      auditIds: payload.openstack_audit_ids as string[], // as above
      issuedAt: Number(payload.iat_us),
      expiresAt,
      applicationCredentialId: typeof payload.openstack_app_cred_id === 'string' ? payload.openstack_app_cred_id : null,
    };
  } catch {
    return undefined; // jose throws for everything that is not a valid signature of a live token
  }
}

function keyIdOf(token: string): string | undefined {
  try {
    const { kid } = JSON.parse(Buffer.from(token.slice(0, token.indexOf('.')), 'base64url').toString()) as { kid?: unknown }; // no object: kid of null throws
    return typeof kid === 'string' && /^[0-9a-f]{64}$/.test(kid) ? kid : undefined;
  } catch {
    return undefined; // no header of a token
  }
}

function scopeOf(payload: Readonly<Record<string, unknown>>): Scope {
  if (typeof payload.openstack_project_id === 'string') return { kind: 'project', id: payload.openstack_project_id };
  if (typeof payload.openstack_domain_id === 'string') return { kind: 'domain', id: payload.openstack_domain_id };
  return payload.openstack_system === 'all' ? { kind: 'system' } : { kind: 'none' };
}
