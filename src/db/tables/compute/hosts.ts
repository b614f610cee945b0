import type { Micros } from '../../../lib/clock.ts';
import { newUuid } from '../../../lib/ids.ts';
import { notice, servicePayload } from '../../../model/notices.ts';
import { type ClaimClass, claimClasses } from '../../../model/resources.ts';
import { DEFAULT_ZONE } from '../../../model/server.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { prepared } from '../../prepared.ts';
import { insertIgnore } from '../../statements.ts';
import { writeChange } from './changes.ts';

export const COMPUTE_BINARY = 'nova-compute';

/** What an agent says of its hypervisor, as it crosses the bus. */
export interface HypervisorReport {
  readonly hypervisorHostname: string;
  readonly hypervisorType: string;
  readonly hypervisorVersion: number;
  readonly hostIp: string;
  readonly cpuInfo: object;
  readonly supportedInstances: readonly (readonly string[])[];
  readonly traits: readonly string[];
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly diskGiB: number;
  readonly diskFreeGiB: number;
  readonly uptime: string | null;
  readonly stats: Readonly<Record<string, unknown>>;
}

const columns = (report: HypervisorReport) => ({
  hypervisor_hostname: report.hypervisorHostname,
  hypervisor_type: report.hypervisorType,
  hypervisor_version: report.hypervisorVersion,
  host_ip: report.hostIp,
  cpu_info: JSON.stringify(report.cpuInfo),
  supported_instances: JSON.stringify(report.supportedInstances),
  traits: JSON.stringify(report.traits),
  vcpus: report.vcpus,
  memory_mib: report.memoryMiB,
  disk_gib: report.diskGiB,
  disk_free_gib: report.diskFreeGiB,
  uptime: report.uptime,
});

/** Makes sure that a service of the cloud has its row, and answers its id. */
export async function ensureService(tx: Query, kind: EngineKind, host: string, binary: string, at: Micros): Promise<number> {
  const compute = binary === COMPUTE_BINARY;
  const uuid = newUuid();
  const topic = binary.replace(/^nova-/, '');
  const made = await insertIgnore(
    tx,
    kind,
    'services',
    {
      uuid,
      host,
      binary,
      topic,
      zone: compute ? DEFAULT_ZONE : 'internal',
      disabled: 0,
      disabled_reason: null,
      forced_down: 0,
      last_seen_at: at,
      report_count: 0,
      created_at: at,
      updated_at: at,
    },
    ['host', 'binary'],
  );
  if (made) {
    const fresh = { uuid, host, binary, topic, disabled: false, disabledReason: null, forcedDown: false, lastSeenAt: null, reportCount: 0 };
    const body = { uuid, host, binary, notice: notice(`${binary}:${host}`, 'service.create', servicePayload(fresh)) };
    await writeChange(tx, { noun: 'service', key: host, what: 'created', projectId: null, body, at });
  }
  const row = await tx.selectFrom('services').select('id').where('host', '=', host).where('binary', '=', binary).executeTakeFirstOrThrow();
  return row.id;
}

/** Says that a service lives. */
export async function touchService(tx: Query, host: string, binary: string, at: Micros): Promise<void> {
  await tx
    .updateTable('services')
    .set((eb) => ({ last_seen_at: at, report_count: eb('report_count', '+', 1), updated_at: at }))
    .where('host', '=', host)
    .where('binary', '=', binary)
    .execute();
}

export interface KnownHost {
  readonly uuid: string;
  readonly host: string;
  readonly epoch: number;
  /** Token of the start that took the epoch. */
  readonly bootId: string | null;
  /** What its agent told last of what its machine can. */
  readonly traits: readonly string[];
  readonly lastSeenAt: Micros | null;
  readonly forcedDown: boolean;
}

const knownHosts = (db: Query) =>
  db
    .selectFrom('hypervisors as h')
    .innerJoin('services as s', 's.id', 'h.service_id')
    .select(['h.uuid', 'h.host', 'h.agent_epoch', 'h.stats', 'h.traits', 's.last_seen_at', 's.forced_down']);
const hostByName = prepared((db, p: { host: string }) => knownHosts(db).where('h.host', '=', p.host));
const hostByUuid = prepared((db, p: { uuid: string }) => knownHosts(db).where('h.uuid', '=', p.uuid));

/** The hypervisor of a host name, or with a uuid. */
export async function findHost(tx: Query, by: { host: string } | { uuid: string }): Promise<KnownHost | undefined> {
  const [row] = ('host' in by ? await hostByName(tx, by) : await hostByUuid(tx, by)).rows;
  if (!row) return undefined;
  const stats = JSON.parse(row.stats) as { bootId?: string }; // written by registerHost
  return {
    uuid: row.uuid,
    host: row.host,
    epoch: row.agent_epoch,
    bootId: stats.bootId ?? null,
    traits: JSON.parse(row.traits) as string[], // written by insertHost and its like
    lastSeenAt: row.last_seen_at,
    forcedDown: row.forced_down !== 0,
  };
}

/** Adds a hypervisor that was never here, with epoch 1; nothing when the same question came twice at once and the other was faster. */
export async function insertHost(
  tx: Query,
  kind: EngineKind,
  host: { uuid: string; host: string; serviceId: number; bootId: string; report: HypervisorReport; at: Micros },
): Promise<void> {
  const row = {
    uuid: host.uuid,
    service_id: host.serviceId,
    host: host.host,
    ...columns(host.report),
    stats: JSON.stringify({ ...host.report.stats, bootId: host.bootId }),
    agent_epoch: 1,
    created_at: host.at,
    updated_at: host.at,
  };
  await insertIgnore(tx, kind, 'hypervisors', row, ['uuid']);
}

/** Takes the next epoch of a hypervisor: false when another agent took it meanwhile. */
export async function takeHostEpoch(
  tx: Query,
  host: { uuid: string; epoch: number; bootId: string; report: HypervisorReport; at: Micros },
): Promise<boolean> {
  const taken = await tx
    .updateTable('hypervisors')
    .set({
      agent_epoch: host.epoch + 1,
      ...columns(host.report),
      stats: JSON.stringify({ ...host.report.stats, bootId: host.bootId }),
      updated_at: host.at,
    })
    .where('uuid', '=', host.uuid)
    .where('agent_epoch', '=', host.epoch)
    .executeTakeFirst();
  return taken.numUpdatedRows > 0n;
}

/** Writes what a hypervisor reports; false when the epoch is not the present owner's. */
export async function updateHost(
  tx: Query,
  host: { uuid: string; epoch: number; bootId: string | null; report: HypervisorReport; at: Micros },
): Promise<boolean> {
  const set = await tx
    .updateTable('hypervisors')
    .set({ ...columns(host.report), stats: JSON.stringify({ ...host.report.stats, bootId: host.bootId }), updated_at: host.at })
    .where('uuid', '=', host.uuid)
    .where('agent_epoch', '=', host.epoch)
    .executeTakeFirst();
  return set.numUpdatedRows > 0n;
}

/** Forgets a hypervisor whose name another machine takes over. Only for hosts without servers. */
export async function removeHost(tx: Query, uuid: string): Promise<void> {
  await tx.deleteFrom('hypervisors').where('uuid', '=', uuid).execute();
  for (const table of ['inventories', 'part_claims', 'host_parts', 'provider_traits', 'provider_aggregates'] as const)
    await tx.deleteFrom(table).where('provider_uuid', '=', uuid).execute();
  await tx.deleteFrom('resource_providers').where('uuid', '=', uuid).execute();
}

/** A host as the scheduler sees it. Sizes as in `inventories`: CPUs, MiB, GiB. */
export interface HostFacts {
  readonly host: string;
  readonly node: string;
  readonly uuid: string;
  readonly zone: string;
  readonly disabled: boolean;
  readonly disabledReason: string | null;
  readonly forcedDown: boolean;
  readonly lastSeenAt: Micros | null;
  readonly hostIp: string;
  readonly hypervisorType: string;
  readonly hypervisorVersion: number;
  readonly cpuInfo: string;
  readonly supportedInstances: readonly (readonly string[])[];
  readonly stats: Readonly<Record<string, unknown>>;
  readonly diskFreeGiB: number;
  /** What the agent says its machine can, and what the placement API says of it: COMPUTE_IMAGE_TYPE_QCOW2, HW_CPU_X86_AVX, CUSTOM_GOLD ... */
  readonly traits?: readonly string[];
  /** Builds that failed there since the last one that did not. */
  readonly failedBuilds?: number;
  readonly serviceCreatedAt?: Micros;
  readonly inventories: Readonly<Record<ClaimClass, { total: number; reserved: number; ratio: number; capacity: number; used: number }>>;
}

/** All hosts, or the named ones, in the order of their keys: the order in which equal weights keep. */
export async function listHostFacts(db: Query, hosts?: readonly string[]): Promise<HostFacts[]> {
  if (hosts?.length === 0) return [];
  const rows = await db
    .selectFrom('hypervisors as h')
    .innerJoin('services as s', 's.id', 'h.service_id')
    .leftJoin('host_build_failures as f', 'f.host', 'h.host')
    .selectAll('h')
    .select([
      's.zone',
      's.disabled',
      's.disabled_reason',
      's.forced_down',
      's.last_seen_at',
      's.created_at as service_created_at',
      'f.failed',
    ])
    .$if(hosts !== undefined, (q) => q.where('h.host', 'in', hosts ?? []))
    .orderBy('h.id')
    .execute();
  const inventories = await db
    .selectFrom('inventories')
    .selectAll()
    .$if(hosts !== undefined, (q) => q.where('provider_uuid', 'in', rows.length > 0 ? rows.map((row) => row.uuid) : ['']))
    .execute();
  const given = await db
    .selectFrom('provider_traits')
    .selectAll()
    .$if(hosts !== undefined, (q) => q.where('provider_uuid', 'in', rows.length > 0 ? rows.map((row) => row.uuid) : ['']))
    .execute();
  const traitsGiven = new Map<string, string[]>();
  for (const { provider_uuid: uuid, trait } of given) traitsGiven.set(uuid, [...(traitsGiven.get(uuid) ?? []), trait]);
  const byProvider = new Map<string, Map<string, (typeof inventories)[number]>>();
  for (const row of inventories) {
    const own = byProvider.get(row.provider_uuid) ?? new Map();
    byProvider.set(row.provider_uuid, own.set(row.resource_class, row));
  }
  const inventoryOf = (provider: string, name: ClaimClass) => {
    const row = byProvider.get(provider)?.get(name);
    if (!row) return { total: 0, reserved: 0, ratio: 1, capacity: 0, used: 0 };
    return { total: row.total, reserved: row.reserved, ratio: row.allocation_ratio, capacity: row.capacity, used: row.used };
  };
  return rows.map((row) => ({
    host: row.host,
    node: row.hypervisor_hostname,
    uuid: row.uuid,
    zone: row.zone,
    disabled: row.disabled !== 0,
    disabledReason: row.disabled_reason,
    forcedDown: row.forced_down !== 0,
    lastSeenAt: row.last_seen_at,
    hostIp: row.host_ip,
    hypervisorType: row.hypervisor_type,
    hypervisorVersion: row.hypervisor_version,
    cpuInfo: row.cpu_info,
    supportedInstances: JSON.parse(row.supported_instances) as string[][], // written by insertHost and its like
    stats: JSON.parse(row.stats) as Record<string, unknown>,
    diskFreeGiB: row.disk_free_gib,
    traits: [...new Set([...(JSON.parse(row.traits) as string[]), ...(traitsGiven.get(row.uuid) ?? [])])],
    failedBuilds: row.failed ?? 0,
    serviceCreatedAt: row.service_created_at,
    inventories: Object.fromEntries(claimClasses.map((name) => [name, inventoryOf(row.uuid, name)])) as HostFacts['inventories'], // one for each class
  }));
}

/** Whether an agent counts as alive.  Spec: service_down_time. */
export const isUp = (service: { lastSeenAt: Micros | null; forcedDown: boolean }, now: Micros, downSeconds: number) =>
  !service.forcedDown && service.lastSeenAt !== null && Math.abs(now - service.lastSeenAt) <= downSeconds * 1_000_000;
