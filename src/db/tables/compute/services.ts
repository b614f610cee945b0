import { type Selectable, sql } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import { guestName } from '../../../model/server.ts';
import type { Query } from '../../engine.ts';
import type { ServicesTable } from './tables.ts';

/** One service of the cloud on one host, and when it was last heard of. */
export interface Service {
  readonly id: number;
  readonly uuid: string;
  readonly host: string;
  readonly binary: string;
  readonly topic: string;
  readonly zone: string;
  readonly disabled: boolean;
  readonly disabledReason: string | null;
  readonly forcedDown: boolean;
  readonly lastSeenAt: Micros | null;
  readonly reportCount: number;
  readonly updatedAt: Micros | null;
}

const serviceOf = (row: Selectable<ServicesTable>): Service => ({
  id: row.id,
  uuid: row.uuid,
  host: row.host,
  binary: row.binary,
  topic: row.topic,
  zone: row.zone,
  disabled: row.disabled === 1,
  disabledReason: row.disabled_reason,
  forcedDown: row.forced_down === 1,
  lastSeenAt: row.last_seen_at,
  reportCount: row.report_count,
  updatedAt: row.updated_at,
});

/** Whether a service counts as alive.  Spec: nova.conf service_down_time. */
export const serviceIsUp = (service: Pick<Service, 'forcedDown' | 'lastSeenAt'>, now: Micros, downSeconds: number): boolean =>
  !service.forcedDown && service.lastSeenAt !== null && Math.abs(now - service.lastSeenAt) <= downSeconds * 1_000_000;

export async function listServices(q: Query, by: { host?: string | undefined; binary?: string | undefined } = {}): Promise<Service[]> {
  let rows = q.selectFrom('services').selectAll().orderBy('id');
  if (by.host !== undefined) rows = rows.where('host', '=', by.host);
  if (by.binary !== undefined) rows = rows.where('binary', '=', by.binary);
  return (await rows.execute()).map(serviceOf);
}

export async function findService(q: Query, by: { id: number } | { uuid: string }): Promise<Service | undefined> {
  const rows = q.selectFrom('services').selectAll();
  const row = await ('id' in by ? rows.where('id', '=', by.id) : rows.where('uuid', '=', by.uuid)).executeTakeFirst();
  return row && serviceOf(row);
}

export interface ServiceChange {
  readonly disabled?: boolean;
  readonly disabledReason?: string | null;
  readonly forcedDown?: boolean;
}

export async function updateService(tx: Query, id: number, change: ServiceChange, now: Micros): Promise<void> {
  await tx
    .updateTable('services')
    .set({
      ...(change.disabled === undefined ? {} : { disabled: change.disabled ? 1 : 0 }),
      ...(change.disabledReason === undefined ? {} : { disabled_reason: change.disabledReason }),
      ...(change.forcedDown === undefined ? {} : { forced_down: change.forcedDown ? 1 : 0 }),
      updated_at: now,
    })
    .where('id', '=', id)
    .execute();
}

/** What keeps a service from being deleted. */
export type ServiceInUse = { readonly servers: number } | { readonly moves: number };

/** Deletes a service, its hypervisors, what they offered and its places in aggregates, unless servers are on it or on their way: then it answers how
 *  many, and the transaction must be rolled back. */
export async function deleteService(tx: Query, service: Service): Promise<ServiceInUse | undefined> {
  const hypervisors = await tx.selectFrom('hypervisors').select(['uuid', 'host']).where('service_id', '=', service.id).execute();
  if (hypervisors.length > 0) {
    const count = await tx
      .selectFrom('servers')
      .select((eb) => eb.fn.countAll<number>().as('n'))
      .where('host', '=', service.host)
      .where('deleted', '=', 0)
      .executeTakeFirst();
    if (Number(count?.n ?? 0) > 0) return { servers: Number(count?.n) };
    const moves = await movesUnderWay(tx, service.host);
    if (moves > 0) return { moves };
    const uuids = hypervisors.map((row) => row.uuid);
    // A claim that is made at the same time either stands in `used` by now, or finds no inventory after us.
    await tx.deleteFrom('inventories').where('provider_uuid', 'in', uuids).where('used', '=', 0).execute();
    const claimed = await tx.selectFrom('inventories').select('used').where('provider_uuid', 'in', uuids).limit(1).executeTakeFirst();
    if (claimed) return { servers: 1 };
    await tx.deleteFrom('aggregate_hosts').where('host', '=', service.host).execute();
    await tx.deleteFrom('hypervisors').where('service_id', '=', service.id).execute();
    await tx.deleteFrom('resource_providers').where('uuid', 'in', uuids).execute();
  }
  await tx.deleteFrom('services').where('id', '=', service.id).execute();
  return undefined;
}

/** Statuses of moves that are over.  Spec: nova-api, os-migrations. */
const ENDED = ['confirmed', 'reverted', 'error', 'failed', 'completed', 'cancelled', 'done'];

/** How many moves to or from a host are not over. */
async function movesUnderWay(q: Query, host: string): Promise<number> {
  const row = await q
    .selectFrom('server_migrations')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where((eb) => eb.or([eb('source_host', '=', host), eb('dest_host', '=', host)]))
    .where('status', 'not in', ENDED)
    .executeTakeFirst();
  return Number(row?.n ?? 0);
}

/** Whether evacuations from a host wait for its agent's return to be completed. */
export async function hasEvacuationsDone(q: Query, host: string): Promise<boolean> {
  const row = await q
    .selectFrom('server_migrations')
    .select('id')
    .where('source_host', '=', host)
    .where('type', '=', 'evacuation')
    .where('status', '=', 'done')
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** A hypervisor with its service and what of it is promised. Used amounts have the reserved ones in them, as Nova's have. */
export interface Hypervisor {
  readonly id: number;
  readonly uuid: string;
  readonly hostname: string;
  readonly type: string;
  readonly version: number;
  readonly hostIp: string;
  readonly cpuInfo: object;
  readonly uptime: string | null;
  readonly service: Service;
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly diskGiB: number;
  readonly diskFreeGiB: number;
  readonly vcpusUsed: number;
  readonly memoryUsedMiB: number;
  readonly diskUsedGiB: number;
  readonly servers: readonly { readonly uuid: string; readonly name: string }[];
  /** Servers in the middle of something. */
  readonly workload: number;
}

export interface HypervisorWish {
  readonly uuid?: string;
  readonly id?: number;
  /** Name of the agent's host. */
  readonly host?: string;
  /** Part of the hypervisor's host name. */
  readonly hostnamePart?: string;
  readonly limit?: number;
  /** Key of the row a page starts behind. */
  readonly after?: number;
}

/** Hypervisors in the order of their keys. */
export async function listHypervisors(q: Query, wish: HypervisorWish = {}): Promise<Hypervisor[]> {
  let query = q.selectFrom('hypervisors').selectAll().orderBy('id');
  if (wish.uuid !== undefined) query = query.where('uuid', '=', wish.uuid);
  if (wish.id !== undefined) query = query.where('id', '=', wish.id);
  if (wish.host !== undefined) query = query.where('host', '=', wish.host);
  if (wish.after !== undefined) query = query.where('id', '>', wish.after);
  if (wish.hostnamePart !== undefined) {
    const pattern = `%${wish.hostnamePart.replaceAll(/[!%_]/g, (sign) => `!${sign}`)}%`;
    query = query.where(sql<boolean>`hypervisor_hostname like ${pattern} escape '!'`);
  }
  if (wish.limit !== undefined) query = query.limit(wish.limit);
  const rows = await query.execute();
  if (rows.length === 0) return [];
  const services = await q
    .selectFrom('services')
    .selectAll()
    .where('id', 'in', [...new Set(rows.map((row) => row.service_id))])
    .execute();
  const serviceById = new Map(services.map((row) => [row.id, serviceOf(row)]));
  const inventories = await q
    .selectFrom('inventories')
    .select(['provider_uuid', 'resource_class', 'used', 'reserved'])
    .where(
      'provider_uuid',
      'in',
      rows.map((row) => row.uuid),
    )
    .execute();
  const taken = new Map(inventories.map((row) => [`${row.provider_uuid} ${row.resource_class}`, row.used + row.reserved]));
  const guests = await q
    .selectFrom('servers')
    .select(['id', 'uuid', 'host', 'node', 'task_state'])
    .where('deleted', '=', 0)
    .where('host', 'in', [...new Set(rows.map((row) => row.host))])
    .orderBy('id')
    .execute();
  return rows.flatMap((row) => {
    const service = serviceById.get(row.service_id);
    if (!service) return []; // its service was deleted a moment ago
    const own = guests.filter((guest) => guest.host === row.host && (guest.node ?? row.hypervisor_hostname) === row.hypervisor_hostname);
    return [
      {
        id: row.id,
        uuid: row.uuid,
        hostname: row.hypervisor_hostname,
        type: row.hypervisor_type,
        version: row.hypervisor_version,
        hostIp: row.host_ip,
        cpuInfo: JSON.parse(row.cpu_info) as object, // written from an agent's report
        uptime: row.uptime,
        service,
        vcpus: row.vcpus,
        memoryMiB: row.memory_mib,
        diskGiB: row.disk_gib,
        diskFreeGiB: row.disk_free_gib,
        vcpusUsed: taken.get(`${row.uuid} VCPU`) ?? 0,
        memoryUsedMiB: taken.get(`${row.uuid} MEMORY_MB`) ?? 0,
        diskUsedGiB: taken.get(`${row.uuid} DISK_GB`) ?? 0,
        servers: own.map((guest) => ({ uuid: guest.uuid, name: guestName(guest.id) })),
        workload: own.filter((guest) => guest.task_state !== null).length,
      },
    ];
  });
}
