import { COMPUTE_BINARY } from '../../db/tables/compute/hosts.ts';
import { listServices } from '../../db/tables/compute/services.ts';
import { auditsOf, type TaskLog } from '../../db/tables/compute/task-log.ts';
import type { Call, Reply } from '../../http/call.ts';
import type { Micros } from '../../lib/clock.ts';
import { lastPeriod, readAuditUnit } from '../../model/audit-period.ts';
import { invalidInput } from '../../model/errors.ts';
import type { AdminParts } from './admin-parts.ts';
import { readTime } from './usage-times.ts';

const text = (at: Micros) => new Date(at / 1000).toISOString().slice(0, 19).replace('T', ' ');

/** How the counts of the last whole period before a time stand, host by host.  Spec: nova.conf instance_usage_audit_period. */
async function auditsBefore(parts: AdminParts, time: Micros) {
  const period = lastPeriod(parts.auditUnit ?? readAuditUnit('month'), time);
  const hosts = [...new Set((await listServices(parts.db.read, { binary: COMPUTE_BINARY })).map((service) => service.host))];
  const audits = await auditsOf(parts.db.read, period);
  const seen = new Set(audits.map((audit) => audit.host));
  const missing = hosts.filter((host) => !seen.has(host));
  const inState = (state: string) => audits.filter((audit) => audit.state === state).length;
  const sum = (of: (audit: TaskLog) => number) => audits.reduce((total, audit) => total + of(audit), 0);
  const done = inState('DONE');
  return {
    period_beginning: text(period.begin),
    period_ending: text(period.end),
    num_hosts: hosts.length,
    num_hosts_done: done,
    num_hosts_running: inState('RUNNING'),
    num_hosts_not_run: missing.length,
    hosts_not_run: missing,
    total_instances: sum((audit) => audit.items),
    total_errors: sum((audit) => audit.errors),
    overall_status: `${done === hosts.length ? 'ALL' : `${done} of ${hosts.length}`} hosts done. ${sum((audit) => audit.errors)} errors.`,
    log: Object.fromEntries(
      audits.map(({ host, state, items, errors, message }) => [host, { state, instances: items, errors, message }] as const),
    ),
  };
}

/** Shows which hosts have counted their servers for the last whole period.  Spec: compute api-ref "List Server Usage Audits". */
export async function listAudits(parts: AdminParts, _call: Call): Promise<Reply> {
  return { status: 200, body: { instance_usage_audit_logs: await auditsBefore(parts, parts.clock.now()) } };
}

/** The same for the last whole period before a time.  Throws invalidInput (400).
 *  Spec: compute api-ref "List Usage Audits Before Specified Time". */
export async function showAudits(parts: AdminParts, call: Call): Promise<Reply> {
  const before = call.params.before ?? '';
  const time = readTime(before, 'anyhow');
  if (time === undefined) throw invalidInput({ why: `Invalid timestamp for date ${before.slice(0, 100)}` });
  return { status: 200, body: { instance_usage_audit_log: await auditsBefore(parts, time) } };
}
