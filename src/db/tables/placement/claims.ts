import type { Micros } from '../../../lib/clock.ts';
import { type Amounts, type ClaimClass, claimClasses } from '../../../model/resources.ts';
import type { Query } from '../../engine.ts';
import { insertRows, met, prepared } from '../../prepared.ts';
import { releaseParts } from './parts.ts';
import { touch, touchClaimed } from './touches.ts';

export interface Claim {
  /** uuid of the server. */
  readonly consumer: string;
  readonly provider: string;
  readonly projectId: string;
  readonly userId: string;
  readonly amounts: Amounts;
  readonly at: Micros;
  /** The rules of older releases: only these classes are capped, at total times ratio with what is reserved counting as used. Null: every class at its
   *  capacity. */
  readonly enforced?: ReadonlySet<ClaimClass> | null;
}

const take = prepared((db, p: { provider: string; name: string; amount: number }) =>
  db
    .updateTable('inventories')
    .set((eb) => ({ used: eb('used', '+', p.amount) }))
    .where('provider_uuid', '=', p.provider)
    .where('resource_class', '=', p.name)
    .where((eb) => eb(eb('used', '+', p.amount), '<=', eb.ref('capacity'))),
);

const takeAsBefore = prepared((db, p: { provider: string; name: string; amount: number }) =>
  db
    .updateTable('inventories')
    .set((eb) => ({ used: eb('used', '+', p.amount) }))
    .where('provider_uuid', '=', p.provider)
    .where('resource_class', '=', p.name)
    .where((eb) => eb(eb(eb('used', '+', p.amount), '+', eb.ref('reserved')), '<=', eb('total', '*', eb.ref('allocation_ratio')))),
);
const takeUncapped = prepared((db, p: { provider: string; name: string; amount: number }) =>
  db
    .updateTable('inventories')
    .set((eb) => ({ used: eb('used', '+', p.amount) }))
    .where('provider_uuid', '=', p.provider)
    .where('resource_class', '=', p.name),
);

/** Takes amounts of a provider's inventories, or nothing at all: answers the class that has not enough, null for a success. Each limit is one
 *  conditional statement; what was taken before the refusal is given back by the same transaction. */
export async function claim(tx: Query, wish: Claim): Promise<ClaimClass | null> {
  const wanted = claimClasses.filter((name) => wish.amounts[name] > 0);
  for (const [at, name] of wanted.entries()) {
    const amount = wish.amounts[name];
    const way = !wish.enforced ? take : wish.enforced.has(name) ? takeAsBefore : takeUncapped;
    if (met(await way(tx, { provider: wish.provider, name, amount }))) continue;
    for (const before of wanted.slice(0, at)) await giveBack(tx, wish.provider, before, wish.amounts[before]);
    return name;
  }
  if (wanted.length > 0) {
    const rows = wanted.map((name) => ({
      consumer_uuid: wish.consumer,
      provider_uuid: wish.provider,
      resource_class: name,
      used: wish.amounts[name],
    }));
    await insertRows(tx, 'allocations', rows);
    await touchClaimed(tx, { uuid: wish.provider });
  }
  const consumer = { project_id: wish.projectId, user_id: wish.userId, generation: 1, consumer_type: 'INSTANCE', created_at: wish.at };
  await insertRows(tx, 'consumers', [{ uuid: wish.consumer, ...consumer }]);
  return null;
}

const lower = prepared((db, p: { provider: string; name: string; amount: number }) =>
  db
    .updateTable('inventories')
    .set((eb) => ({ used: eb('used', '-', p.amount) }))
    .where('provider_uuid', '=', p.provider)
    .where('resource_class', '=', p.name),
);
const giveBack = (tx: Query, provider: string, name: string, amount: number) => lower(tx, { provider, name, amount });

const usedNow = prepared((db, p: { provider: string }) =>
  db.selectFrom('inventories').select(['resource_class', 'used']).where('provider_uuid', '=', p.provider),
);

/** What is used of a provider now. Read in the transaction that claimed or released: the change feed carries it, so that readers need no history. */
export async function usedOf(tx: Query, provider: string): Promise<Record<string, number>> {
  const { rows } = await usedNow(tx, { provider });
  return Object.fromEntries(rows.map((row) => [row.resource_class, row.used]));
}

/** Gives back everything a consumer holds, and answers what is used of its (last) provider then. Safe twice: what is gone gives nothing back. */
export async function releaseClaim(tx: Query, consumer: string): Promise<Record<string, number> | undefined> {
  // The consumer's row is deleted first: of two releases at once the later one waits for it and then finds no allocations.
  const gone = await tx.deleteFrom('consumers').where('uuid', '=', consumer).executeTakeFirst();
  if (gone.numDeletedRows === 0n) {
    await releaseParts(tx, consumer); // the placement API may have taken the rest
    return undefined;
  }
  const held = await tx.selectFrom('allocations').selectAll().where('consumer_uuid', '=', consumer).execute();
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
  held.sort((a, b) => order(a.resource_class, b.resource_class) || order(a.provider_uuid, b.provider_uuid));
  for (const row of held) await giveBack(tx, row.provider_uuid, row.resource_class, row.used);
  await tx.deleteFrom('allocations').where('consumer_uuid', '=', consumer).execute();
  await releaseParts(tx, consumer);
  for (const uuid of new Set(held.map((row) => row.provider_uuid))) await touch(tx, { uuid });
  const provider = held.at(-1)?.provider_uuid;
  return provider === undefined ? undefined : usedOf(tx, provider);
}
