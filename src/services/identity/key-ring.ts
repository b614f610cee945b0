import { createPublicKey, type KeyObject } from 'node:crypto';
import type { Database } from '../../db/engine.ts';
import { insertIgnore } from '../../db/statements.ts';
import type { Clock } from '../../lib/clock.ts';
import type { TokenKeys } from './keys.ts';

/** Our own keys and the public ones of every other process that issues tokens for this cloud. Private keys stay where they were made: a process publishes
 *  its public one before it gives out its first token, so nothing has to be copied between machines. */
export interface KeyRing {
  readonly own: TokenKeys;
  /** To be awaited before a token is given out. */
  publish(): Promise<void>;
  /** The key a token says it was signed by; undefined when nobody of this cloud has it. */
  find(id: string): Promise<KeyObject | undefined>;
}

const DAY_US = 86_400_000_000;
const KEEP_US = 30 * DAY_US;
/** Made-up key ids must not become a query each: the table is read at most so often. */
const LOOK_MS = 200;

export function openKeyRing({ db, clock, own }: { db: Database; clock: Clock; own: TokenKeys }): KeyRing {
  let published: Promise<void> | undefined;
  let publishedAt = 0;
  let known = new Map<string, KeyObject>([[own.id, own.verify]]);
  let lookedAt = Number.NEGATIVE_INFINITY;
  let looking: Promise<void> | undefined;

  const write = () =>
    db.transaction(async (tx) => {
      const now = clock.now();
      const row = { id: own.id, public_key: own.verify.export({ type: 'spki', format: 'pem' }).toString(), seen_at: now };
      await insertIgnore(tx, db.kind, 'identity_token_keys', row, ['id']);
      await tx.updateTable('identity_token_keys').set({ seen_at: now }).where('id', '=', own.id).execute();
      await tx
        .deleteFrom('identity_token_keys')
        .where('seen_at', '<', now - KEEP_US)
        .execute();
      publishedAt = now;
    });
  const look = async () => {
    const early = LOOK_MS - (clock.now() - lookedAt) / 1000;
    if (early > 0) await clock.sleep(Math.min(LOOK_MS, early));
    lookedAt = clock.now();
    const rows = await db.read.selectFrom('identity_token_keys').select(['id', 'public_key']).execute();
    const found = new Map<string, KeyObject>([[own.id, own.verify]]);
    for (const row of rows) found.set(row.id, known.get(row.id) ?? createPublicKey(row.public_key));
    known = found;
  };
  const again = () => {
    looking ??= look().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  return {
    own,
    publish() {
      if (published && clock.now() - publishedAt < DAY_US) return published;
      const mine = write().catch((cause) => {
        if (published === mine) published = undefined;
        throw cause;
      });
      publishedAt = clock.now();
      published = mine;
      return mine;
    },
    async find(id) {
      const key = known.get(id);
      if (key) return key;
      // A look that was on its way already may have read before the key was published.
      if (looking) await looking;
      if (!known.has(id)) await again();
      return known.get(id);
    },
  };
}
