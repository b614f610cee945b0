import type { Micros } from '../../../lib/clock.ts';
import type { Query } from '../../engine.ts';
import { insertRows } from '../../prepared.ts';

/** One line of the change feed; a failure is of interest only outside. `noun` and `what` say what happened to `key`; `body` is plain data readers may need. */
export interface NewChange {
  readonly noun: 'server' | 'host' | 'service' | 'flavor' | 'keypair' | 'server-group' | 'aggregate' | 'failure';
  /** uuid of the server, name of the host ... */
  readonly key: string;
  readonly what: string;
  readonly projectId: string | null;
  readonly body: object;
  readonly at: Micros;
}
export interface Change extends Omit<NewChange, 'noun' | 'body'> {
  readonly seq: number;
  readonly noun: string;
  readonly body: Readonly<Record<string, unknown>>;
}

/** Writes a line into the change feed, in the transaction that makes the change. It gets its number from the sequencer after the commit. */
export const writeChange = (tx: Query, change: NewChange) => writeChanges(tx, [change]);

export async function writeChanges(tx: Query, changes: readonly NewChange[]): Promise<void> {
  if (changes.length === 0) return;
  const rows = changes.map((change) => ({
    seq: null,
    noun: change.noun,
    key: change.key,
    what: change.what,
    project_id: change.projectId,
    body: JSON.stringify(change.body),
    at: change.at,
  }));
  await insertRows(tx, 'changes', rows);
}

/** Gives numbers to committed rows that have none, above `last`; answers the highest number given (`last` when there was nothing). Numbers rise but
 *  have gaps. A row that commits later than its neighbours gets a later number, so a reader that goes by number misses none. */
export async function numberChanges(tx: Query, last: number, limit = 2000): Promise<number> {
  const ids = await tx.selectFrom('changes').select('id').where('seq', 'is', null).orderBy('id').limit(limit).execute();
  const [first, end] = [ids[0]?.id, ids.at(-1)?.id];
  if (first === undefined || end === undefined) return last;
  const offset = last + 1 - first;
  await tx
    .updateTable('changes')
    .set((eb) => ({ seq: eb('id', '+', offset) }))
    .where('seq', 'is', null)
    .where('id', '>=', first)
    .where('id', '<=', end)
    .execute();
  return end + offset;
}

/** The next lines after a number, oldest first. `gone`: the cursor is older than what is kept; list everything again and go on from `last`. */
export async function readChanges(db: Query, after: number, limit = 1000): Promise<{ changes: Change[]; last: number; gone: boolean }> {
  const rows = await db.selectFrom('changes').selectAll().where('seq', '>', after).orderBy('seq').limit(limit).execute();
  const kept = await db.selectFrom('leases').select(['name', 'value']).where('name', 'in', [SEQUENCER, FEED_FLOOR]).execute();
  const value = (name: string) => kept.find((row) => row.name === name)?.value ?? 0;
  const changes = rows.map((row) => ({
    seq: row.seq ?? 0,
    noun: row.noun,
    key: row.key,
    what: row.what,
    projectId: row.project_id,
    body: JSON.parse(row.body) as Record<string, unknown>, // written by writeChanges from an object
    at: row.at,
  }));
  return { changes, last: changes.at(-1)?.seq ?? after, gone: after < value(FEED_FLOOR) || after > value(SEQUENCER) };
}

/** What was committed and has no number yet, of every noun: for readers who must not act on old news. They will see it again when it has one. */
export async function unnumberedChanges(db: Query): Promise<Pick<Change, 'noun' | 'key' | 'what'>[]> {
  return db.selectFrom('changes').select(['noun', 'key', 'what']).where('seq', 'is', null).orderBy('id').execute();
}

/** The number of the newest numbered line. */
export async function lastChange(db: Query): Promise<number> {
  return (await db.selectFrom('leases').select('value').where('name', '=', SEQUENCER).executeTakeFirst())?.value ?? 0;
}

/** Forgets numbered lines from before a time, and remembers up to which number readers would miss something. */
export async function forgetChanges(tx: Query, before: Micros): Promise<void> {
  const newest = await tx
    .selectFrom('changes')
    .select((eb) => eb.fn.max('seq').as('seq'))
    .where('at', '<', before)
    .where('seq', 'is not', null)
    .executeTakeFirst();
  const floor = Number(newest?.seq ?? 0);
  if (floor === 0) return;
  await tx.deleteFrom('changes').where('seq', '<=', floor).execute();
  const moved = await tx.updateTable('leases').set({ value: floor }).where('name', '=', FEED_FLOOR).executeTakeFirst();
  if (moved.numUpdatedRows === 0n) await tx.insertInto('leases').values({ name: FEED_FLOOR, owner: '', until: 0, value: floor }).execute();
}

/** Names in `leases`: who numbers and the last number; the number below which lines are forgotten. */
export const SEQUENCER = 'sequencer';
export const FEED_FLOOR = 'feed-floor';
