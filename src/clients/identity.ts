import { LRUCache } from 'lru-cache';
import { type Clock, isoMicrosZ, type Micros } from '../lib/clock.ts';
import { sha256 } from '../lib/ids.ts';
import { type Caller, nobody } from '../model/caller.ts';
import { CloudError, neighbourUnavailable, notAuthenticated } from '../model/errors.ts';
import type { Connections } from './connections.ts';
import { type Neighbour, neighbour } from './neighbour.ts';

/** Finds out whose token it is. Throws notAuthenticated for one that is unknown, expired or revoked. */
export type TokenCheck = (token: string) => Promise<Caller>;

/** Something that makes tokens old. Fields that are not null must all match a token; when all are null, every token matches. */
export interface Revocation {
  /** Rises with every write of the identity service. */
  readonly number: number;
  readonly revokedAt: Micros;
  /** Matching tokens issued at or before this are refused. Null: they stay valid, but what is known of them (roles, names) is old. */
  readonly issuedBefore: Micros | null;
  readonly auditId: string | null;
  readonly auditChainId: string | null;
  readonly userId: string | null;
  readonly projectId: string | null;
  readonly domainId: string | null;
  readonly applicationCredentialId: string | null;
}
export interface RevocationFeed {
  /** The number to ask from next time. */
  readonly last: number;
  /** The number asked from is older than what is kept: forget everything. */
  readonly reset: boolean;
  readonly revocations: readonly Revocation[];
}

const FRESH_MS = 500;
const STALE_MS = 1000;
const NEGATIVE_MS = 1000;

export interface TokenCacheOptions<T> {
  readonly clock: Clock;
  /** Whose token it is, asked of the source. Throws notAuthenticated. */
  readonly check: (token: string) => Promise<T>;
  readonly callerOf: (value: T) => Caller;
  readonly maxEntries?: number;
  /** Revocations as they happen in this process; with it no `poll` is needed as long as nobody else writes. */
  readonly subscribe?: ((listener: (revocation: Revocation) => void) => () => void) | undefined;
  /** Revocations since a number (undefined: only learn the newest number). 'unknown': the source has no such list, so answers are kept for a second only. */
  readonly poll?: ((since: number | undefined) => Promise<RevocationFeed | 'unknown'>) | undefined;
}

/** Answers about tokens, kept by the token's sha256 until the token expires or a revocation speaks of it. With `poll` it looks for revocations when a kept
 *  answer is asked for and the last look began more than half a second ago; an answer is never given on a look that began more than a second ago. */
export function createTokenCache<T extends object>(options: TokenCacheOptions<T>): (token: string) => Promise<T> {
  const { clock, poll } = options;
  const kept = new LRUCache<string, { value: T; caller: Caller; until: Micros }>({ max: options.maxEntries ?? 10_000 });
  // Refusals stand apart: a flood of made-up tokens must not push out the good ones.
  const refused = new LRUCache<string, Micros>({ max: 1000 });
  let running = new Map<string, Promise<T>>();
  let generation = 0;
  let last: number | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<boolean> | undefined;
  let listless = false;

  const forget = (revocation: Revocation | undefined) => {
    generation++;
    running = new Map(); // whoever asks from now on must not share an answer that was begun before
    refused.clear();
    if (!revocation) return kept.clear();
    for (const [key, { caller }] of kept.entries()) if (concerns(revocation, caller)) kept.delete(key);
  };
  options.subscribe?.(forget);

  const look = (): Promise<boolean> => {
    looking ??= (async () => {
      const began = clock.now();
      try {
        const answer = await poll?.(last);
        listless = answer === 'unknown';
        if (answer !== undefined && answer !== 'unknown') {
          if (answer.reset || (last !== undefined && answer.last < last)) forget(undefined);
          else if (last !== undefined) for (const revocation of answer.revocations) forget(revocation);
          last = answer.last;
        }
        lookedAt = began;
        return true;
      } catch {
        return false; // an answer that cannot be trusted is asked for anew; that request will say what is wrong
      } finally {
        looking = undefined;
      }
    })();
    return looking;
  };
  const trusted = async (): Promise<boolean> => {
    if (!poll) return true;
    const age = (clock.now() - lookedAt) / 1000;
    if (age >= 0 && age < FRESH_MS) return true;
    const looked = look();
    return age >= 0 && age < STALE_MS ? true : looked;
  };
  const ask = (key: string, token: string): Promise<T> => {
    const shared = running.get(key);
    if (shared) return shared;
    const begun = generation;
    const mine = running;
    const answer = (async () => {
      try {
        const value = await options.check(token);
        const caller = options.callerOf(value);
        const until = listless ? Math.min(caller.expiresAt, clock.now() + STALE_MS * 1000) : caller.expiresAt;
        if (begun === generation && (!poll || last !== undefined || listless)) kept.set(key, { value, caller, until });
        return value;
      } catch (cause) {
        if (begun === generation && cause instanceof CloudError && cause.kind === 'unauthorized')
          refused.set(key, clock.now() + NEGATIVE_MS * 1000);
        throw cause;
      } finally {
        mine.delete(key);
      }
    })();
    mine.set(key, answer);
    return answer;
  };
  return async (token) => {
    const key = sha256(token);
    const trust = poll ? await trusted() : true;
    const now = clock.now();
    const found = kept.get(key);
    if (found && trust && now < found.until) return found.value;
    if (found && now >= found.until) kept.delete(key);
    const no = refused.get(key);
    if (no !== undefined && trust && now < no) throw notAuthenticated({});
    return ask(key, token);
  };
}

function concerns(revocation: Revocation, caller: Caller): boolean {
  const { auditId, auditChainId, userId, projectId, domainId, applicationCredentialId } = revocation;
  return (
    (auditId === null || caller.auditIds[0] === auditId) &&
    (auditChainId === null || caller.auditIds.at(-1) === auditChainId) &&
    (userId === null || caller.userId === userId) &&
    (projectId === null || caller.projectId === projectId) &&
    (domainId === null || [caller.userDomainId, caller.projectDomainId, caller.domainId].includes(domainId)) &&
    (applicationCredentialId === null || caller.applicationCredentialId === applicationCredentialId)
  );
}

interface NamedInDomain {
  id: string;
  name: string;
  domain: { id: string; name: string };
}
interface TokenBody {
  token: {
    user: NamedInDomain;
    project?: NamedInDomain;
    domain?: { id: string };
    system?: { all?: boolean };
    roles?: { name: string }[];
    expires_at: string;
    audit_ids?: string[];
    application_credential?: { id: string };
  };
}

/** Checks tokens at an identity service, ours or a real Keystone; `identity` stands at its `/v3` and sends our service user's token.
 *  Ours tells what was revoked (`/OS-REVOKE/events` with a `last` number), so answers are kept until then. A real Keystone's list leaves out changes of roles:
 *  there answers are kept for one second.
 *  Throws notAuthenticated, and neighbourUnavailable when the service does not answer or does not accept our own token. */
export function tokenCheck(options: {
  readonly identity: Neighbour;
  readonly clock: Clock;
  readonly maxEntries?: number;
  /** In the process of the identity service itself: its `onRevoked`. Then nothing is polled. */
  readonly subscribe?: (listener: (revocation: Revocation) => void) => () => void;
}): TokenCheck {
  const { identity, clock, subscribe } = options;
  const poll = async (since: number | undefined): Promise<RevocationFeed | 'unknown'> => {
    const answer = await identity.ask<Partial<RevocationBody> | undefined>('GET', `/OS-REVOKE/events?since=${since ?? 'now'}`, {
      expect: [200, 400, 403, 404, 410],
      timeoutMs: STALE_MS,
    });
    return answer.status === 200 && typeof answer.body?.last === 'number' ? readRevocations(answer.body as RevocationBody) : 'unknown';
  };
  return createTokenCache<Caller>({
    clock,
    ...(options.maxEntries ? { maxEntries: options.maxEntries } : {}),
    ...(subscribe ? { subscribe } : { poll }),
    callerOf: (caller) => caller,
    async check(token) {
      if (!/^[\x21-\x7e]{1,16384}$/.test(token)) throw notAuthenticated({});
      try {
        const answer = await identity.ask<TokenBody>('GET', '/auth/tokens?nocatalog', { headers: { 'x-subject-token': token } });
        return callerIn(answer.body);
      } catch (cause) {
        if (!(cause instanceof CloudError)) throw cause;
        if (cause.params.status === 404) throw notAuthenticated({}, { cause });
        if (cause.kind === 'unauthorized' || cause.kind === 'forbidden')
          throw neighbourUnavailable({ service: 'identity' }, { cause, detail: 'the identity service does not accept our service user' });
        throw cause;
      }
    },
  });
}

function callerIn(body: TokenBody): Caller {
  const { token } = body;
  return {
    ...nobody,
    userId: token.user.id,
    userName: token.user.name,
    userDomainId: token.user.domain.id,
    userDomainName: token.user.domain.name,
    projectId: token.project?.id ?? null,
    projectName: token.project?.name ?? null,
    projectDomainId: token.project?.domain.id ?? null,
    projectDomainName: token.project?.domain.name ?? null,
    domainId: token.domain?.id ?? null,
    systemScope: token.system?.all ? 'all' : null,
    roles: (token.roles ?? []).map((role) => role.name),
    expiresAt: Date.parse(token.expires_at) * 1000,
    auditIds: token.audit_ids ?? [],
    applicationCredentialId: token.application_credential?.id ?? null,
  };
}

interface RevocationBody {
  last: number;
  reset: boolean;
  events: {
    number: number;
    revoked_at: Micros;
    issued_before_us: Micros | null;
    audit_id?: string;
    audit_chain_id?: string;
    user_id?: string;
    project_id?: string;
    domain_id?: string;
    application_credential_id?: string;
  }[];
}
const readRevocations = (body: RevocationBody): RevocationFeed => ({
  last: body.last,
  reset: body.reset,
  revocations: body.events.map((event) => ({
    number: event.number,
    revokedAt: event.revoked_at,
    issuedBefore: event.issued_before_us,
    auditId: event.audit_id ?? null,
    auditChainId: event.audit_chain_id ?? null,
    userId: event.user_id ?? null,
    projectId: event.project_id ?? null,
    domainId: event.domain_id ?? null,
    applicationCredentialId: event.application_credential_id ?? null,
  })),
});
/** The list of revocations as it goes over the wire: Keystone's names, and numbers for those who ask again. */
export const revocationsBody = (feed: RevocationFeed): RevocationBody => ({
  last: feed.last,
  reset: feed.reset,
  events: feed.revocations.map((r) => ({
    number: r.number,
    revoked_at: r.revokedAt,
    issued_before_us: r.issuedBefore,
    ...(r.issuedBefore === null ? {} : { issued_before: isoMicrosZ(r.issuedBefore) }),
    ...(r.auditId === null ? {} : { audit_id: r.auditId }),
    ...(r.auditChainId === null ? {} : { audit_chain_id: r.auditChainId }),
    ...(r.userId === null ? {} : { user_id: r.userId }),
    ...(r.projectId === null ? {} : { project_id: r.projectId }),
    ...(r.domainId === null ? {} : { domain_id: r.domainId }),
    ...(r.applicationCredentialId === null ? {} : { application_credential_id: r.applicationCredentialId }),
  })),
});

const RENEW_BEFORE_MS = 60_000;

/** The token of one of our service users, kept until a minute before it expires. `fresh` asks for another one: the kept one was refused.
 *  Throws what the identity service says, or neighbourUnavailable. */
export function serviceToken(options: {
  /** The identity service up to `/v3`; a function when it is only known after the start. */
  readonly url: string | (() => string);
  readonly userName: string;
  readonly password: string;
  readonly projectName: string;
  readonly userDomainName?: string;
  readonly projectDomainName?: string;
  readonly clock: Clock;
  readonly connections?: Connections;
}): (fresh: boolean) => Promise<string> {
  const identity = neighbour({
    service: 'identity',
    url: options.url,
    ...(options.connections ? { connections: options.connections } : {}),
  });
  let token = '';
  let issued = Number.NEGATIVE_INFINITY;
  let until = Number.NEGATIVE_INFINITY;
  let running: Promise<string> | undefined;
  const login = async () => {
    const began = options.clock.now();
    const answer = await identity.ask<TokenBody>('POST', '/auth/tokens?nocatalog', {
      body: {
        auth: {
          identity: {
            methods: ['password'],
            password: {
              user: { name: options.userName, domain: { name: options.userDomainName ?? 'Default' }, password: options.password },
            },
          },
          scope: { project: { name: options.projectName, domain: { name: options.projectDomainName ?? 'Default' } } },
        },
      },
    });
    const expires = Date.parse(answer.body.token.expires_at) * 1000;
    token = answer.headers['x-subject-token'] ?? '';
    issued = began;
    // Of a short-lived token a tenth of its life is left for the request that carries it.
    until = expires - Math.min(RENEW_BEFORE_MS * 1000, (expires - began) / 10);
    return token;
  };
  return async (fresh) => {
    const now = options.clock.now();
    // Several requests are refused at once when a token is revoked: those that come within a second share the one got meanwhile.
    if (now < until && (!fresh || now - issued < 1_000_000)) return token;
    running ??= login().finally(() => {
      running = undefined;
    });
    return running;
  };
}
