import type { Micros } from '../../../lib/clock.ts';
import type { Database, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

/** Makes sure the role has its row; done once at start, so that taking it is a conditional UPDATE only. */
export async function ensureLease(db: Database, name: string): Promise<void> {
  await db.transaction((tx) => insertIgnore(tx, db.kind, 'leases', { name, owner: '', until: 0, value: 0 }, ['name']));
}

/** Takes or renews a role that one process holds at a time. Answers its value, or undefined when another one holds it. */
export async function takeLease(
  tx: Query,
  lease: { name: string; owner: string; now: Micros; until: Micros },
): Promise<number | undefined> {
  const taken = await tx
    .updateTable('leases')
    .set({ owner: lease.owner, until: lease.until })
    .where('name', '=', lease.name)
    .where((eb) => eb.or([eb('owner', '=', lease.owner), eb('until', '<', lease.now)]))
    .executeTakeFirst();
  // MariaDB counts only rows that changed; a renewal in the same microsecond changes none, so the owner is read back.
  const row = await tx.selectFrom('leases').select(['owner', 'value']).where('name', '=', lease.name).executeTakeFirst();
  return taken.numUpdatedRows > 0n || row?.owner === lease.owner ? row?.value : undefined;
}

export async function setLeaseValue(tx: Query, name: string, owner: string, value: number): Promise<void> {
  await tx.updateTable('leases').set({ value }).where('name', '=', name).where('owner', '=', owner).execute();
}

/** Gives the role back, so that the next one need not wait for its end. */
export async function giveLeaseBack(tx: Query, name: string, owner: string): Promise<void> {
  await tx.updateTable('leases').set({ until: 0 }).where('name', '=', name).where('owner', '=', owner).execute();
}
