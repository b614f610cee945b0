import type { Announcer } from '../../../bus/announcer.ts';
import type { Query } from '../../../db/engine.ts';
import { COMPUTE_BINARY } from '../../../db/tables/compute/hosts.ts';
import { auditsOf, noteAudit, takeAudit } from '../../../db/tables/compute/task-log.ts';
import { type AuditPeriod, lastPeriod } from '../../../model/audit-period.ts';
import type { ConductorParts } from '../parts.ts';
import { legacyOf, legacyPayload, legacyPeriod } from './legacy.ts';
import { factsOf, momentOf } from './server-facts.ts';
import { existsNotice } from './server-notices.ts';

const PAGE = 200;
/** A count that nobody went on with for so many leases is begun anew. */
const SILENT_LEASES = 4;

/** Counts, host by host, the servers that were there in the last whole period, and tells of each that it exists. Each host is counted once a period, whichever
 *  conductor does it, and whether its agent is up or not. Where nobody is told it is counted all the same.  Spec: nova.conf instance_usage_audit. */
export async function auditUsage(parts: ConductorParts, announcer: Announcer | undefined, signal: AbortSignal): Promise<void> {
  const { db, clock, options } = parts;
  if (!options.usageAudit) return;
  const period = lastPeriod(options.auditUnit, clock.now());
  const done = new Set((await auditsOf(db.read, period)).filter((audit) => audit.state === 'DONE').map((audit) => audit.host));
  const services = await db.read.selectFrom('services').select('host').where('binary', '=', COMPUTE_BINARY).orderBy('host').execute();
  for (const host of new Set(services.map((service) => service.host))) {
    if (signal.aborted) return;
    if (done.has(host)) continue;
    const now = clock.now();
    if (await takeAudit(db, { host, period, owner: options.name, now, silentSince: now - options.leaseMs * SILENT_LEASES * 1000 }))
      await auditHost(parts, announcer, host, period, signal);
  }
}

async function auditHost(
  parts: ConductorParts,
  announcer: Announcer | undefined,
  host: string,
  period: AuditPeriod,
  signal: AbortSignal,
): Promise<void> {
  const { db, clock, log, options } = parts;
  const began = clock.now();
  const note = (state: 'RUNNING' | 'DONE', message: string) =>
    db.transaction((tx) => noteAudit(tx, { host, period, owner: options.name, now: clock.now() }, { state, items, errors, message }));
  let items = 0;
  let errors = 0;
  for (const deleted of [false, true]) {
    let after = 0;
    for (;;) {
      const page = await serversOf(db.read, host, period, deleted, after);
      if (page.length === 0) break;
      after = page.at(-1)?.id ?? after;
      const facts = await factsOf(
        db.read,
        page.map((one) => one.uuid),
        announcer?.options.disks ?? false,
      );
      for (const server of facts.servers.values()) {
        if (signal.aborted) return; // who takes over begins anew
        items++;
        const moment = momentOf(server, facts);
        const notice = existsNotice(moment, period, { apiHost: options.host });
        try {
          await announcer?.tell(notice, clock.now(), legacyOf(notice, legacyPayload(moment, legacyPeriod(period))));
        } catch (cause) {
          log.warn({ err: cause, server: server.uuid }, 'a server was counted, but nobody could be told: the count is begun anew soon');
          errors++;
          await note('RUNNING', 'Instance usage audit waits: nobody could be told.');
          return;
        }
      }
      if (!(await note('RUNNING', 'Instance usage audit started...'))) return; // another one has taken over
      if (page.length < PAGE) break;
    }
  }
  const seconds = Math.round((clock.now() - began) / 1_000_000);
  await note('DONE', `Instance usage audit ran for host ${host}, ${items} instances in ${seconds} seconds.`);
}

/** The next servers on a host that were there in a period, by number: those that are still there, or those that are gone. */
const serversOf = (db: Query, host: string, period: AuditPeriod, deleted: boolean, after: number) => {
  const query = db
    .selectFrom('servers')
    .select(['id', 'uuid'])
    .where('host', '=', host)
    .where('launched_at', '<', period.end)
    .where('id', '>', after)
    .orderBy('id')
    .limit(PAGE);
  // A server that is there may have been ended by a soft delete.
  return (
    deleted
      ? query.where('deleted', '<>', 0).where('terminated_at', '>', period.begin)
      : query.where('deleted', '=', 0).where((eb) => eb.or([eb('terminated_at', 'is', null), eb('terminated_at', '>', period.begin)]))
  ).execute();
};
