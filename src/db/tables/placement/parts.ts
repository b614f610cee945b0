import {
  type PartsHeld,
  type PartsRule,
  type PartsWish,
  partsLeft,
  partsText,
  readParts,
  takeParts,
} from '../../../model/machine-parts.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { met, prepared } from '../../prepared.ts';
import { insertIgnore } from '../../statements.ts';

export interface PartsAsk {
  readonly wish: PartsWish;
  readonly rule: PartsRule;
}

const raise = prepared((db, p: { provider: string }) =>
  db
    .updateTable('host_parts')
    .set((eb) => ({ version: eb('version', '+', 1) }))
    .where('provider_uuid', '=', p.provider),
);

/** Takes memory cells and devices of a host for a consumer, if what is left there allows it. Claims of one host follow each other at its row, and each counts
 *  what the ones before it took. Answers the host's new version, or null when it is refused. */
export async function claimParts(
  tx: Query,
  kind: EngineKind,
  consumer: string,
  provider: string,
  { wish, rule }: PartsAsk,
): Promise<number | null> {
  if (!met(await raise(tx, { provider }))) {
    await insertIgnore(tx, kind, 'host_parts', { provider_uuid: provider, version: 0 }, ['provider_uuid']);
    await raise(tx, { provider });
  }
  const host = await tx.selectFrom('hypervisors').select('stats').where('uuid', '=', provider).executeTakeFirst();
  if (!host) return null;
  const ratios = await tx
    .selectFrom('inventories')
    .select(['resource_class', 'allocation_ratio'])
    .where('provider_uuid', '=', provider)
    .execute();
  const ratioOf = (name: string) => ratios.find((row) => row.resource_class === name)?.allocation_ratio ?? 1;
  const limits = { cpuRatio: ratioOf('VCPU'), ramRatio: ratioOf('MEMORY_MB') };
  const others = await tx.selectFrom('part_claims').select('held').where('provider_uuid', '=', provider).execute();
  const left = partsLeft(
    JSON.parse(host.stats) as Record<string, unknown>, // written by insertHost and its like
    others.map((row) => readParts(row.held)),
  );
  const held = takeParts(left, wish, limits, rule);
  if (!held) return null;
  await tx
    .insertInto('part_claims')
    .values({ consumer_uuid: consumer, provider_uuid: provider, held: partsText(held) })
    .execute();
  const row = await tx.selectFrom('host_parts').select('version').where('provider_uuid', '=', provider).executeTakeFirstOrThrow();
  return row.version;
}

const heldBy = prepared((db, p: { consumer: string }) =>
  db.selectFrom('part_claims').select('provider_uuid').where('consumer_uuid', '=', p.consumer),
);
/** Gives back what a consumer holds. Safe twice. */
export async function releaseParts(tx: Query, consumer: string): Promise<void> {
  const [held] = (await heldBy(tx, { consumer })).rows;
  if (!held) return;
  await raise(tx, { provider: held.provider_uuid });
  await tx.deleteFrom('part_claims').where('consumer_uuid', '=', consumer).execute();
}

/** What one consumer holds becomes another's. */
export async function handParts(tx: Query, from: string, to: string): Promise<void> {
  await tx.updateTable('part_claims').set({ consumer_uuid: to }).where('consumer_uuid', '=', from).execute();
}

/** What one consumer holds; null: nothing. */
export async function partsHeldBy(db: Query, consumer: string): Promise<PartsHeld | null> {
  const row = await db.selectFrom('part_claims').select('held').where('consumer_uuid', '=', consumer).executeTakeFirst();
  return row ? readParts(row.held) : null;
}

const PART = 500;
/** Versions of all hosts of which anything was ever claimed, by provider. */
export async function partVersions(db: Query): Promise<Map<string, number>> {
  const rows = await db.selectFrom('host_parts').selectAll().execute();
  return new Map(rows.map((row) => [row.provider_uuid, row.version]));
}
/** What consumers hold of these hosts, or of all, by provider. */
export async function listPartClaims(db: Query, providers?: readonly string[]): Promise<Map<string, PartsHeld[]>> {
  const found = new Map<string, PartsHeld[]>();
  const parts = providers
    ? Array.from({ length: Math.ceil(providers.length / PART) }, (_, at) => providers.slice(at * PART, (at + 1) * PART))
    : [null];
  for (const part of parts) {
    const rows = await db
      .selectFrom('part_claims')
      .select(['provider_uuid', 'held'])
      .$if(part !== null, (q) => q.where('provider_uuid', 'in', part ?? []))
      .orderBy('consumer_uuid')
      .execute();
    for (const { provider_uuid: uuid, held } of rows) {
      const list = found.get(uuid) ?? [];
      list.push(readParts(held));
      found.set(uuid, list);
    }
  }
  return found;
}
