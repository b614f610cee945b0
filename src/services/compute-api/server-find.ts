import type { Database, Query } from '../../db/engine.ts';
import { findServer, findServerEvenGone, groupsOf, tagsOf } from '../../db/tables/compute/servers.ts';
import type { Call } from '../../http/call.ts';
import type { Clock } from '../../lib/clock.ts';
import type { JobContext } from '../../model/caller.ts';
import { serverNotFound } from '../../model/errors-compute.ts';
import type { Server } from '../../model/server.ts';
import type { Asker } from './server-parts.ts';
import { linkRoots } from './views/server-links.ts';
import type { ServerDress } from './views/server-view.ts';

/** Nova's "context is admin": sees every project and may touch locked servers. */
/** Which networks a caller may plug servers into beside those of their project. */
export const networkReach = (call: Pick<Call, 'allows'>) => ({
  external: call.allows('network:attach_external_network'),
  everyProject: isAdmin(call),
});
export const isAdmin = (call: Pick<Call, 'allows'>) => call.allows('context_is_admin');
export const ownerOf = (server: Pick<Server, 'projectId' | 'userId'>) => ({ project_id: server.projectId, user_id: server.userId });

/** The server that the URL names, if the route's policy rule allows. Throws serverNotFound, also for other projects' servers and before the rule
 *  is asked, as Nova does. `deleted`: one that is gone counts too. */
export async function serverOf(db: Query, call: Call, more: { deleted?: boolean } = {}): Promise<Server> {
  const id = call.params.id ?? '';
  const find = more.deleted ? findServerEvenGone : findServer;
  const server = id.length <= 36 ? await find(db, id.toLowerCase()) : undefined;
  if (!server || (server.projectId !== call.caller.projectId && !isAdmin(call))) throw serverNotFound({ id });
  call.allow(ownerOf(server));
  return server;
}

/** On whose behalf neighbours are asked. */
export const askerOf = (call: Call): Asker => ({
  token: call.token,
  projectId: call.caller.projectId ?? '',
  userId: call.caller.userId,
  requestId: call.requestId,
});

/** What a job keeps of this call's caller. */
export const jobContext = (call: Call): JobContext => ({
  userId: call.caller.userId,
  projectId: call.caller.projectId ?? '',
  roles: call.caller.roles,
  requestId: call.requestId,
});

/** Zone and health of hosts, by name. */
export interface HostFacts {
  readonly zone: string;
  readonly status: 'UP' | 'DOWN' | 'MAINTENANCE' | 'UNKNOWN';
}
export async function hostFacts(
  parts: { db: Database; clock: Clock; serviceDownSeconds?: number },
  hosts: readonly string[],
): Promise<Map<string, HostFacts>> {
  const facts = new Map<string, HostFacts>();
  if (hosts.length === 0) return facts;
  const aliveSince = parts.clock.now() - (parts.serviceDownSeconds ?? 60) * 1_000_000;
  let services = parts.db.read
    .selectFrom('services')
    .select(['host', 'zone', 'disabled', 'forced_down', 'last_seen_at'])
    .where('binary', '=', 'nova-compute');
  if (hosts.length <= 500) services = services.where('host', 'in', hosts);
  for (const row of await services.execute()) {
    const status =
      row.forced_down === 1 ? 'DOWN' : row.disabled === 1 ? 'MAINTENANCE' : (row.last_seen_at ?? 0) >= aliveSince ? 'UP' : 'UNKNOWN';
    facts.set(row.host, { zone: row.zone, status });
  }
  return facts;
}

/** What a caller may see of hosts: 'all', only that one is 'unknown', or nothing. */
export type HostSight = 'all' | 'unknown' | 'none';
export function hostSight(call: Pick<Call, 'allows'>, target?: Readonly<Record<string, string>>): HostSight {
  if (call.allows('os_compute_api:servers:show:host_status', target)) return 'all';
  return call.allows('os_compute_api:servers:show:host_status:unknown-only', target) ? 'unknown' : 'none';
}
export function shownStatus(sight: HostSight, host: string | null, facts: HostFacts | undefined): string | undefined {
  const status = host === null ? '' : (facts?.status ?? '');
  return sight === 'all' || (sight === 'unknown' && status === 'UNKNOWN') ? status : undefined;
}

/** What the view of one server needs beside its row. */
export async function dressOf(
  parts: { db: Database; clock: Clock; serviceDownSeconds?: number },
  call: Call,
  server: Server,
): Promise<ServerDress> {
  const target = ownerOf(server);
  const facts = server.host === null ? undefined : (await hostFacts(parts, [server.host])).get(server.host);
  return {
    roots: linkRoots(call),
    tags: (await tagsOf(parts.db.read, [server.id])).get(server.id) ?? [],
    groups: await groupsOf(parts.db.read, server.uuid),
    hostZone: facts?.zone ?? null,
    hostStatus: shownStatus(hostSight(call, target), server.host, facts),
    extended: call.allows('os_compute_api:os-extended-server-attributes', target),
    extraSpecs: call.allows('os_compute_api:servers:show:flavor-extra-specs', target),
    admin: isAdmin(call),
  };
}
