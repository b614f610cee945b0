import { COMPUTE_BINARY } from '../../db/tables/compute/hosts.ts';
import { listServices } from '../../db/tables/compute/services.ts';
import type { Call, Reply } from '../../http/call.ts';
import type { Micros } from '../../lib/clock.ts';
import { invalidInput } from '../../model/errors.ts';
import type { AdminParts } from './admin-parts.ts';
import { readTime } from './usage-times.ts';

const text = (ms: number) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');

/** The last whole month that ended before a time.  Spec: nova.conf instance_usage_audit_period, default month. */
function monthBefore(time: Micros): { begin: string; end: string } {
  const date = new Date(Math.ceil(time / 1000));
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  // A month that begins at this very moment has nothing behind it yet, so its own end is a month earlier.
  const back = Date.UTC(year, month, 1) * 1000 >= time ? 1 : 0;
  return { begin: text(Date.UTC(year, month - back - 1, 1)), end: text(Date.UTC(year, month - back, 1)) };
}

/** Hosts do not run the audit (Nova's instance_usage_audit, off there too by default): usage is added up from the servers' own rows. So none has run. */
async function auditsBefore(parts: AdminParts, time: Micros) {
  const hosts = [...new Set((await listServices(parts.db.read, { binary: COMPUTE_BINARY })).map((service) => service.host))];
  const { begin, end } = monthBefore(time);
  return {
    period_beginning: begin,
    period_ending: end,
    num_hosts: hosts.length,
    num_hosts_done: 0,
    num_hosts_running: 0,
    num_hosts_not_run: hosts.length,
    hosts_not_run: hosts,
    total_instances: 0,
    total_errors: 0,
    overall_status: `${hosts.length === 0 ? 'ALL' : `0 of ${hosts.length}`} hosts done. 0 errors.`,
    log: {},
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
