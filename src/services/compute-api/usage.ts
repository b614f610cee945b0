import { findUsageMarker, serversUsed, type UsedServer } from '../../db/tables/compute/usage.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { isoMicros, type Micros } from '../../lib/clock.ts';
import { invalidInput } from '../../model/errors.ts';
import { markerUnknown } from '../../model/errors-compute.ts';
import type { AdminParts } from './admin-parts.ts';
import { nextLink, pageLimit } from './links.ts';
import { usageIsPaged } from './microversions.ts';
import { maxLimitOf } from './parts.ts';
import { readTime } from './usage-times.ts';

interface Period {
  readonly start: Micros;
  readonly stop: Micros;
}
const HOUR = 3_600_000_000;

/** The period a request asks for; each end is now when it is not named. Throws invalidInput (400). */
function periodOf(parts: AdminParts, call: Call): Period {
  const now = parts.clock.now();
  const read = (word: string) => {
    const text = call.query[word]?.[0]; // the first counts, as in Nova
    if (!text) return undefined;
    const time = readTime(text, 'with fractions');
    if (time === undefined) throw invalidInput({ why: `Datetime is in invalid format: ${text.slice(0, 100)}` });
    return time;
  };
  const stop = read('end') ?? now;
  const start = read('start') ?? (call.query.end?.[0] ? now : now - 1);
  if (start >= stop) throw invalidInput({ why: 'Invalid start time. The start time cannot occur after the end time.' });
  return { start, stop };
}

/** Hours of a server within a period, to the microsecond. */
function hoursOf(server: UsedServer, { start, stop }: Period): number {
  const from = Math.max(server.launchedAt, start);
  const to = Math.min(server.terminatedAt ?? stop, stop);
  return Math.max(0, to - from) / HOUR;
}

const serverUsage = (server: UsedServer, period: Period, now: Micros) => ({
  instance_id: server.uuid,
  name: server.name,
  tenant_id: server.projectId,
  flavor: server.flavor.name,
  vcpus: server.flavor.vcpus,
  memory_mb: server.flavor.memoryMiB,
  local_gb: server.flavor.rootGiB + server.flavor.ephemeralGiB,
  hours: hoursOf(server, period),
  started_at: isoMicros(server.launchedAt),
  ended_at: server.terminatedAt === null ? null : isoMicros(server.terminatedAt),
  state: server.terminatedAt === null ? server.vmState : 'terminated',
  uptime: Math.max(0, Math.floor(((server.terminatedAt ?? now) - server.launchedAt) / 1_000_000)),
});

/** Servers of one project, added up; with `detailed` one by one as well. */
function projectUsage(servers: readonly UsedServer[], period: Period, now: Micros, detailed: boolean) {
  const rows = servers.map((server) => serverUsage(server, period, now));
  const sum = (read: (row: (typeof rows)[number]) => number) => rows.reduce((all, row) => all + read(row), 0);
  return {
    tenant_id: servers[0]?.projectId,
    start: isoMicros(period.start),
    stop: isoMicros(period.stop),
    total_hours: sum((row) => row.hours),
    total_vcpus_usage: sum((row) => row.vcpus * row.hours),
    total_memory_mb_usage: sum((row) => row.memory_mb * row.hours),
    total_local_gb_usage: sum((row) => row.local_gb * row.hours),
    ...(detailed ? { server_usages: rows } : {}),
  };
}

/** A page of servers that ran in the period, in the order of their projects. Throws markerUnknown, invalidInput (400). */
async function page(parts: AdminParts, call: Call, period: Period, more: { projectId?: string; name: string; path: string }) {
  const paged = usageIsPaged(call.version);
  const limit = paged ? pageLimit(call, maxLimitOf(parts)) : undefined;
  const marker = paged ? one(call, 'marker') : undefined;
  const after = marker === undefined ? undefined : await findUsageMarker(parts.db.read, marker.slice(0, 36));
  if (marker !== undefined && !after) throw markerUnknown({ marker: marker.slice(0, 255) });
  const servers = await serversUsed(parts.db.read, {
    from: period.start,
    to: period.stop,
    projectId: more.projectId,
    limit,
    after,
  });
  const full = limit !== undefined && limit > 0 && servers.length === limit;
  return { servers, links: nextLink(call, more.name, more.path, { full, marker: servers.at(-1)?.uuid }) };
}

/** Adds up what every project used in a period.  Throws invalidInput, markerUnknown (400).
 *  Spec: compute api-ref "List Tenant Usage Statistics For All Tenants". */
export async function listUsage(parts: AdminParts, call: Call): Promise<Reply> {
  const period = periodOf(parts, call);
  const detailed = call.query.detailed?.[0] === '1';
  const { servers, links } = await page(parts, call, period, { name: 'tenant_usages', path: 'os-simple-tenant-usage' });
  const byProject = Map.groupBy(servers, (server) => server.projectId);
  const now = parts.clock.now();
  const usages = [...byProject.values()].map((own) => projectUsage(own, period, now, detailed));
  return { status: 200, body: { tenant_usages: usages, ...links } };
}

/** Adds up what one project used in a period, server by server; an empty object when nothing ran.  Throws invalidInput, markerUnknown (400).
 *  Spec: compute api-ref "Show Usage Statistics For Tenant". */
export async function showUsage(parts: AdminParts, call: Call): Promise<Reply> {
  const projectId = call.params.id ?? '';
  call.allow({ project_id: projectId });
  const period = periodOf(parts, call);
  const path = `os-simple-tenant-usage/${encodeURIComponent(projectId)}`;
  const { servers, links } = await page(parts, call, period, { projectId, name: 'tenant_usage', path });
  const usage = servers.length === 0 ? {} : projectUsage(servers, period, parts.clock.now(), true);
  return { status: 200, body: { tenant_usage: usage, ...links } };
}
