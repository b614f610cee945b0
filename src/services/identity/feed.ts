import type { Revocation, RevocationFeed } from '../../clients/identity.ts';
import type { Database, Query } from '../../db/engine.ts';
import type { Clock, Micros } from '../../lib/clock.ts';

/** What a write tells those who keep answers about tokens. Fields that are set must all match a token; none set matches every token.
 *  `refuse`: matching tokens issued until now are refused. Otherwise what is known of them is only old. */
export interface Told {
  readonly refuse: boolean;
  readonly auditId?: string;
  readonly auditChainId?: string;
  readonly userId?: string;
  readonly projectId?: string;
  readonly domainId?: string;
  readonly applicationCredentialId?: string;
}
export type Tell = (told: Told) => void;

/** Every write of this service goes through here: one after the other, numbered in the order of their commits, so that whoever asks "since number n" misses nothing. */
export interface Feed {
  /** One transaction; what it tells is recorded in it and handed to listeners after the commit. */
  write<T>(work: (tx: Query, tell: Tell) => Promise<T>): Promise<T>;
  since(number: number): Promise<RevocationFeed>;
  onRevoked(listener: (revocation: Revocation) => void): () => void;
  /** The time, never the same twice: a token made right after a revocation must not look as old as it. */
  tick(): Micros;
}

const PRUNE_EVERY = 200;

export function openFeed({ db, clock, keepSeconds }: { db: Database; clock: Clock; keepSeconds: number }): Feed {
  const listeners = new Set<(revocation: Revocation) => void>();
  let last = 0;
  const tick = () => {
    last = Math.max(clock.now(), last + 1);
    return last;
  };
  return {
    tick,
    async write(work) {
      const { result, told } = await db.transaction(async (tx) => {
        const heard: Told[] = [];
        await tx
          .updateTable('identity_feed')
          .set((e) => ({ number: e('number', '+', 1) }))
          .where('id', '=', 1)
          .execute();
        const { number } = await tx.selectFrom('identity_feed').select('number').where('id', '=', 1).executeTakeFirstOrThrow();
        const result = await work(tx, (event) => heard.push(event));
        const revocations = heard.map((event) => revocationOf(event, number, tick()));
        if (revocations.length > 0) await tx.insertInto('identity_revocations').values(revocations.map(rowOf)).execute();
        if (number % PRUNE_EVERY === 0) await prune(tx, clock.now() - keepSeconds * 1e6);
        return { result, told: revocations };
      });
      for (const revocation of told) for (const listener of listeners) listener(revocation);
      return result;
    },
    async since(number) {
      const feed = await db.read.selectFrom('identity_feed').selectAll().where('id', '=', 1).executeTakeFirstOrThrow();
      if (number >= feed.number) return { last: feed.number, reset: false, revocations: [] };
      const rows = await db.read.selectFrom('identity_revocations').selectAll().where('number', '>', number).orderBy('id').execute();
      const last = Math.max(feed.number, ...rows.map((row) => row.number));
      return { last, reset: number < feed.pruned_to, revocations: rows.map(fromRow) };
    },
    onRevoked(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Removes what only speaks of tokens that have expired by now. */
async function prune(tx: Query, until: Micros): Promise<void> {
  const old = await tx
    .selectFrom('identity_revocations')
    .select((e) => e.fn.max('number').as('number'))
    .where('revoked_at', '<', until)
    .executeTakeFirst();
  if (old?.number === null || old === undefined) return;
  await tx.deleteFrom('identity_revocations').where('number', '<=', Number(old.number)).execute();
  await tx
    .updateTable('identity_feed')
    .set({ pruned_to: Number(old.number) })
    .where('id', '=', 1)
    .execute();
}

const revocationOf = (told: Told, number: number, at: Micros): Revocation => ({
  number,
  revokedAt: at,
  issuedBefore: told.refuse ? at : null,
  auditId: told.auditId ?? null,
  auditChainId: told.auditChainId ?? null,
  userId: told.userId ?? null,
  projectId: told.projectId ?? null,
  domainId: told.domainId ?? null,
  applicationCredentialId: told.applicationCredentialId ?? null,
});
const rowOf = (r: Revocation) => ({
  number: r.number,
  revoked_at: r.revokedAt,
  issued_before: r.issuedBefore,
  audit_id: r.auditId,
  audit_chain_id: r.auditChainId,
  user_id: r.userId,
  project_id: r.projectId,
  domain_id: r.domainId,
  application_credential_id: r.applicationCredentialId,
});
const fromRow = (row: ReturnType<typeof rowOf>): Revocation => ({
  number: row.number,
  revokedAt: row.revoked_at,
  issuedBefore: row.issued_before,
  auditId: row.audit_id,
  auditChainId: row.audit_chain_id,
  userId: row.user_id,
  projectId: row.project_id,
  domainId: row.domain_id,
  applicationCredentialId: row.application_credential_id,
});
