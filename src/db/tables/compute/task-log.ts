import type { Micros } from '../../../lib/clock.ts';
import type { AuditPeriod } from '../../../model/audit-period.ts';
import type { Database, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

export const USAGE_AUDIT = 'instance_usage_audit';

/** How the count of one host's servers stands. */
export interface TaskLog {
  readonly host: string;
  readonly state: string;
  readonly items: number;
  readonly errors: number;
  readonly message: string;
}

const keyOf = (host: string, { begin, end }: AuditPeriod) => ({
  task_name: USAGE_AUDIT,
  host,
  period_beginning: begin,
  period_ending: end,
});

/** Begins a host's count for a period, or goes on with one whose owner was not heard of since `silentSince`. False: it is done, or another one's. */
export async function takeAudit(
  db: Database,
  audit: {
    readonly host: string;
    readonly period: AuditPeriod;
    readonly owner: string;
    readonly now: Micros;
    readonly silentSince: Micros;
  },
): Promise<boolean> {
  const { host, period, owner, now } = audit;
  const key = keyOf(host, period);
  return db.transaction(async (tx) => {
    const row = { ...key, state: 'RUNNING', task_items: 0, errors: 0, message: 'Instance usage audit started...', owner, touched_at: now };
    if (await insertIgnore(tx, db.kind, 'task_log', row, ['task_name', 'host', 'period_beginning', 'period_ending'])) return true;
    const taken = await tx
      .updateTable('task_log')
      .set({ owner, touched_at: now, task_items: 0, errors: 0 })
      .where((eb) => eb.and(key))
      .where('state', '=', 'RUNNING')
      .where('touched_at', '<', audit.silentSince)
      .executeTakeFirst();
    return taken.numUpdatedRows > 0n;
  });
}

/** Says how far a count is. False: another one has taken over. */
export async function noteAudit(
  tx: Query,
  audit: { readonly host: string; readonly period: AuditPeriod; readonly owner: string; readonly now: Micros },
  so: Omit<TaskLog, 'host'>,
): Promise<boolean> {
  const set = { state: so.state, task_items: so.items, errors: so.errors, message: so.message, touched_at: audit.now };
  const noted = await tx
    .updateTable('task_log')
    .set(set)
    .where((eb) => eb.and(keyOf(audit.host, audit.period)))
    .where('owner', '=', audit.owner)
    .where('state', '=', 'RUNNING')
    .executeTakeFirst();
  return noted.numUpdatedRows > 0n;
}

/** The counts for a period that were begun, by host. */
export async function auditsOf(db: Query, { begin, end }: AuditPeriod): Promise<TaskLog[]> {
  const rows = await db
    .selectFrom('task_log')
    .selectAll()
    .where('task_name', '=', USAGE_AUDIT)
    .where('period_beginning', '=', begin)
    .where('period_ending', '=', end)
    .orderBy('host')
    .execute();
  return rows.map((row) => ({ host: row.host, state: row.state, items: row.task_items, errors: row.errors, message: row.message }));
}
