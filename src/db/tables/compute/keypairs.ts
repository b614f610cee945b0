import { type Selectable, sql } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';
import type { KeypairsTable } from './tables.ts';

/** A key pair's public half. Names are unique per user. */
export interface Keypair {
  readonly id: number;
  readonly userId: string;
  readonly name: string;
  readonly type: 'ssh' | 'x509';
  readonly fingerprint: string;
  readonly publicKey: string;
  readonly createdAt: Micros;
}

const keypairOf = (row: Selectable<KeypairsTable>): Keypair => ({
  id: row.id,
  userId: row.user_id,
  name: row.name,
  type: row.type === 'x509' ? 'x509' : 'ssh',
  fingerprint: row.fingerprint,
  publicKey: row.public_key,
  createdAt: row.created_at,
});

/** A user's key pairs by name. A page starts behind `after`. */
export async function listKeypairs(
  q: Query,
  userId: string,
  page: { limit?: number; after?: string | undefined } = {},
): Promise<Keypair[]> {
  let rows = q.selectFrom('keypairs').selectAll().where('user_id', '=', userId).orderBy('name');
  if (page.after !== undefined) rows = rows.where('name', '>', page.after);
  if (page.limit !== undefined) rows = rows.limit(page.limit);
  return (await rows.execute()).map(keypairOf);
}

export async function findKeypair(q: Query, userId: string, name: string): Promise<Keypair | undefined> {
  const row = await q.selectFrom('keypairs').selectAll().where('user_id', '=', userId).where('name', '=', name).executeTakeFirst();
  return row && keypairOf(row);
}

/** Adds a key pair and counts it, in the caller's transaction, which must be rolled back unless the answer is 'added'. `limit` below 0: none. */
export async function addKeypair(
  tx: Query,
  kind: EngineKind,
  keypair: Omit<Keypair, 'id'>,
  limit: number,
): Promise<'added' | 'taken' | 'over quota'> {
  await insertIgnore(tx, kind, 'quota_usages', { project_id: '', user_id: keypair.userId, resource: 'key_pairs', used: 0 });
  let count = counts(tx, keypair.userId).set({ used: sql<number>`used + 1` });
  if (limit >= 0) count = count.where('used', '<', limit);
  const counted = await count.executeTakeFirst();
  if (counted.numUpdatedRows === 0n) return 'over quota';
  // The counter's row is ours now, so nobody else adds a key pair of this user between these two.
  if (await findKeypair(tx, keypair.userId, keypair.name)) return 'taken';
  await tx
    .insertInto('keypairs')
    .values({
      user_id: keypair.userId,
      name: keypair.name,
      type: keypair.type,
      fingerprint: keypair.fingerprint,
      public_key: keypair.publicKey,
      created_at: keypair.createdAt,
    })
    .execute();
  return 'added';
}

/** Deletes a key pair and its count; false when there was none. Call it in a transaction. */
export async function deleteKeypair(tx: Query, userId: string, name: string): Promise<boolean> {
  const gone = await tx.deleteFrom('keypairs').where('user_id', '=', userId).where('name', '=', name).executeTakeFirst();
  if (gone.numDeletedRows === 0n) return false;
  await counts(tx, userId).set({ used: sql<number>`used - 1` }).where('used', '>', 0).execute();
  return true;
}

/** How many key pairs a user has, as the quota counts them. */
export async function keypairsUsed(q: Query, userId: string): Promise<number> {
  const row = await q
    .selectFrom('quota_usages')
    .select('used')
    .where('project_id', '=', '')
    .where('user_id', '=', userId)
    .where('resource', '=', 'key_pairs')
    .executeTakeFirst();
  return row?.used ?? 0;
}

const counts = (tx: Query, userId: string) =>
  tx.updateTable('quota_usages').where('project_id', '=', '').where('user_id', '=', userId).where('resource', '=', 'key_pairs');
