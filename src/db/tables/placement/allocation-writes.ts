import type { Micros } from '../../../lib/clock.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertRows } from '../../prepared.ts';
import { forUpdate, insertIgnore } from '../../statements.ts';
import { touch, touchClaimed } from './touches.ts';

/** What a consumer shall hold from now on: nothing else. Empty `held`: nothing at all, and the consumer goes. */
export interface ConsumerWish {
  readonly uuid: string;
  readonly projectId: string;
  readonly userId: string;
  /** Undefined leaves a known consumer's type as it is. */
  readonly type: string | undefined;
  /** The generation that the caller knows, null for a consumer that shall be new; undefined: the caller knows of none. */
  readonly generation: number | null | undefined;
  readonly held: readonly Held[];
}
export interface Held {
  readonly provider: string;
  readonly resourceClass: string;
  readonly amount: number;
}

/** Why claims were not written. The caller's transaction must end with a throw then. */
export type Refusal =
  | { readonly why: 'generation'; readonly expected: number | null; readonly got: number | null }
  | { readonly why: 'raced' }
  | { readonly why: 'provider'; readonly provider: string }
  | { readonly why: 'no-inventory' | 'constraints' | 'capacity'; readonly resourceClass: string; readonly provider: string };

const keyOf = (provider: string, resourceClass: string) => `${resourceClass} ${provider}`;
const byKey = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : a > b ? 1 : 0);

/** Replaces all that these consumers hold, all of them or none. Each capacity is one conditional statement on the difference, so that a claim that
 *  only shrinks passes even where more is used than there is; one order of rows for all (class, then provider). */
export async function replaceClaims(
  tx: Query,
  kind: EngineKind,
  wishes: readonly ConsumerWish[],
  at: Micros,
): Promise<Refusal | undefined> {
  const sorted = [...wishes].sort((a, b) => (a.uuid < b.uuid ? -1 : 1));
  for (const wish of sorted) {
    const refused = await takeConsumer(tx, kind, wish, at);
    if (refused) return refused;
  }
  const named = [...new Set(wishes.flatMap((wish) => wish.held.map((one) => one.provider)))];
  const missing = await missingProvider(tx, named);
  if (missing !== undefined) return { why: 'provider', provider: missing };

  const uuids = wishes.map((wish) => wish.uuid);
  const old = await heldBy(tx, uuids);
  const differences = new Map<string, { provider: string; resourceClass: string; amount: number }>();
  const add = (one: Held, sign: 1 | -1) => {
    const key = keyOf(one.provider, one.resourceClass);
    const known = differences.get(key) ?? { provider: one.provider, resourceClass: one.resourceClass, amount: 0 };
    differences.set(key, { ...known, amount: known.amount + sign * one.amount });
  };
  for (const one of old) add(one, -1);
  for (const wish of wishes) for (const one of wish.held) add(one, 1);
  const refused = await mustBeOffered(tx, named, wishes);
  if (refused) return refused;
  for (const [, { provider, resourceClass, amount }] of [...differences].sort(byKey)) {
    if (amount === 0) continue;
    const done = await tx
      .updateTable('inventories')
      .set((eb) => ({ used: eb('used', '+', amount) }))
      .where('provider_uuid', '=', provider)
      .where('resource_class', '=', resourceClass)
      .$if(amount > 0, (q) => q.where((eb) => eb(eb('used', '+', amount), '<=', eb.ref('capacity'))))
      .executeTakeFirst();
    if (done.numUpdatedRows === 0n && amount > 0) return { why: 'capacity', resourceClass, provider };
  }
  for (let from = 0; from < uuids.length; from += 500)
    await tx
      .deleteFrom('allocations')
      .where('consumer_uuid', 'in', uuids.slice(from, from + 500))
      .execute();
  const rows = wishes.flatMap((wish) =>
    wish.held.map((one) => ({
      consumer_uuid: wish.uuid,
      provider_uuid: one.provider,
      resource_class: one.resourceClass,
      used: one.amount,
    })),
  );
  for (let from = 0; from < rows.length; from += 200) await insertRows(tx, 'allocations', rows.slice(from, from + 200));
  await raiseProviders(tx, wishes, old);
  const empty = wishes.filter((wish) => wish.held.length === 0).map((wish) => wish.uuid);
  for (let from = 0; from < empty.length; from += 500)
    await tx
      .deleteFrom('consumers')
      .where('uuid', 'in', empty.slice(from, from + 500))
      .execute();
  return undefined;
}

/** Makes the consumer ours for this transaction, one generation up. */
async function takeConsumer(tx: Query, kind: EngineKind, wish: ConsumerWish, at: Micros): Promise<Refusal | undefined> {
  const known = await forUpdate(kind, tx.selectFrom('consumers').selectAll().where('uuid', '=', wish.uuid)).executeTakeFirst();
  if (!known) {
    if (wish.generation !== undefined && wish.generation !== null) return { why: 'generation', expected: null, got: wish.generation };
    const owner = { project_id: wish.projectId, user_id: wish.userId, consumer_type: wish.type ?? null };
    const made = await insertIgnore(tx, kind, 'consumers', { uuid: wish.uuid, ...owner, generation: 1, created_at: at }, ['uuid']);
    return made ? undefined : { why: 'raced' };
  }
  if (wish.generation !== undefined && wish.generation !== known.generation)
    return { why: 'generation', expected: known.generation, got: wish.generation };
  const done = await tx
    .updateTable('consumers')
    .set({
      generation: known.generation + 1,
      project_id: wish.projectId,
      user_id: wish.userId,
      ...(wish.type === undefined ? {} : { consumer_type: wish.type }),
    })
    .where('uuid', '=', wish.uuid)
    .where('generation', '=', known.generation)
    .executeTakeFirst();
  return done.numUpdatedRows > 0n ? undefined : { why: 'raced' };
}

async function missingProvider(tx: Query, named: readonly string[]): Promise<string | undefined> {
  const there = new Set<string>();
  for (let from = 0; from < named.length; from += 500) {
    const rows = await tx
      .selectFrom('resource_providers')
      .select('uuid')
      .where('uuid', 'in', named.slice(from, from + 500))
      .execute();
    for (const row of rows) there.add(row.uuid);
  }
  return named.find((uuid) => !there.has(uuid));
}

/** What these consumers hold. */
export async function heldBy(db: Query, consumers: readonly string[]): Promise<(Held & { consumer: string })[]> {
  const held: (Held & { consumer: string })[] = [];
  for (let from = 0; from < consumers.length; from += 500) {
    const rows = await db
      .selectFrom('allocations')
      .selectAll()
      .where('consumer_uuid', 'in', consumers.slice(from, from + 500))
      .execute();
    for (const row of rows)
      held.push({ consumer: row.consumer_uuid, provider: row.provider_uuid, resourceClass: row.resource_class, amount: row.used });
  }
  return held;
}

/** Units and steps are the offer's own rules for one claim; how much is left is told by the conditional statements alone. */
async function mustBeOffered(tx: Query, named: readonly string[], wishes: readonly ConsumerWish[]): Promise<Refusal | undefined> {
  const offers = new Map<string, { min_unit: number; max_unit: number; step_size: number }>();
  const offering = new Set<string>();
  for (let from = 0; from < named.length; from += 500) {
    const rows = await tx
      .selectFrom('inventories')
      .select(['provider_uuid', 'resource_class', 'min_unit', 'max_unit', 'step_size'])
      .where('provider_uuid', 'in', named.slice(from, from + 500))
      .execute();
    for (const row of rows) {
      offers.set(keyOf(row.provider_uuid, row.resource_class), row);
      offering.add(row.provider_uuid);
    }
  }
  for (const wish of wishes)
    for (const { provider, resourceClass, amount } of wish.held) {
      const offer = offers.get(keyOf(provider, resourceClass));
      if (!offer) return { why: 'no-inventory', resourceClass, provider };
      if (amount < offer.min_unit || amount > offer.max_unit || amount % offer.step_size !== 0)
        return { why: 'constraints', resourceClass, provider };
    }
  return undefined;
}

/** New claims are a new generation of their provider; those that were left behind only changed. */
async function raiseProviders(tx: Query, wishes: readonly ConsumerWish[], old: readonly (Held & { consumer: string })[]): Promise<void> {
  const claimed = new Set<string>();
  for (const wish of wishes) {
    const now = wish.held.length > 0 ? wish.held : old.filter((one) => one.consumer === wish.uuid);
    for (const one of now) claimed.add(one.provider);
  }
  const all = new Set([...claimed, ...old.map((one) => one.provider)]);
  for (const uuid of [...all].sort()) await (claimed.has(uuid) ? touchClaimed : touch)(tx, { uuid });
}
