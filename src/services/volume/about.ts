import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { MessageRow } from '../../db/tables/volume/volumes.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import { from } from '../../lib/answer.ts';
import { isoMicros } from '../../lib/clock.ts';
import { routeNotFound } from '../../model/errors.ts';
import { volumeMessageNotFound } from '../../model/errors-volume.ts';
import { flagIn, isAdmin, projectOf } from './find.ts';
import { listRows } from './list.ts';
import { backendOf, type VolumeParts } from './parts.ts';
import { usedGigabytes } from './quota-sets.ts';
import { GIB } from './store.ts';
import { messageView } from './views.ts';

/** What a Cinder of this size would run: a scheduler and one backend, both this process.  Spec: block storage api-ref "List All Cinder Services". */
export function listServices(parts: VolumeParts, call: Call): Reply {
  const common = { zone: parts.zone, status: 'enabled', state: 'up', updated_at: isoMicros(parts.clock.now()), disabled_reason: null };
  const services = [
    { binary: 'cinder-scheduler', host: parts.host, ...common, cluster: from('3.7', null) },
    {
      binary: 'cinder-volume',
      host: `${parts.host}@files`,
      ...common,
      cluster: from('3.7', null),
      replication_status: 'disabled',
      active_backend_id: null,
      frozen: false,
      backend_state: from('3.49', 'up'),
    },
  ];
  const binary = one(call, 'binary');
  return { status: 200, body: { services: services.filter((service) => binary === undefined || service.binary === binary) } };
}

export const listZones = (parts: VolumeParts): Reply => ({
  status: 200,
  body: { availabilityZoneInfo: [{ zoneName: parts.zone, zoneState: { available: true } }] },
});

/** The backend with the room on its disk.  Spec: block storage api-ref "List all back-end storage pools". */
export async function listPools(parts: VolumeParts, call: Call): Promise<Reply> {
  const disk = await statfs(dirname(parts.store.path('volume-')));
  const capabilities = {
    total_capacity_gb: Math.floor((disk.blocks * disk.bsize) / GIB),
    free_capacity_gb: Math.floor((disk.bavail * disk.bsize) / GIB),
    allocated_capacity_gb: await usedGigabytes(parts),
    pool_name: 'files',
    volume_backend_name: 'files',
    storage_protocol: 'file',
    vendor_name: 'Kilonova',
    driver_version: '1.0',
    thin_provisioning_support: true,
    multiattach: true,
    timestamp: isoMicros(parts.clock.now()),
  };
  const pool = { name: backendOf(parts.host), ...(flagIn(call, 'detail') ? { capabilities } : {}) };
  return { status: 200, body: { pools: [pool] } };
}

/** What this service does beyond the core, by the alias clients look for. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  'os-availability-zone': 'AvailabilityZones',
  'os-extended-snapshot-attributes': 'ExtendedSnapshotAttributes',
  'os-quota-class-sets': 'QuotaClasses',
  'os-quota-sets': 'Quotas',
  'os-services': 'Services',
  'os-snapshot-actions': 'SnapshotActions',
  'os-types-extra-specs': 'TypesExtraSpecs',
  'os-types-manage': 'TypesManage',
  'os-used-limits': 'UsedLimits',
  'os-vol-host-attr': 'VolumeHostAttribute',
  'os-vol-image-meta': 'VolumeImageMetadata',
  'os-vol-tenant-attr': 'VolumeTenantAttribute',
  'os-volume-actions': 'VolumeActions',
  'os-volume-type-access': 'VolumeTypeAccess',
  'scheduler-stats': 'Scheduler_stats',
};
const extension = (alias: string, name: string) => ({
  alias,
  name,
  description: `${name} support.`,
  updated: '2024-01-01T00:00:00+00:00',
  links: [],
});
export const listExtensions = (): Reply => ({
  status: 200,
  body: { extensions: Object.entries(EXTENSIONS).map(([alias, name]) => extension(alias, name)) },
});
export function showExtension(_parts: VolumeParts, call: Call): Reply {
  const alias = call.params.alias ?? '';
  const name = Object.hasOwn(EXTENSIONS, alias) ? EXTENSIONS[alias] : undefined;
  if (name === undefined) throw routeNotFound({});
  return { status: 200, body: { extension: extension(alias, name) } };
}

/** Why things in the background failed.  Spec: block storage api-ref "User messages". */
export async function listMessages(parts: VolumeParts, call: Call): Promise<Reply> {
  const { rows } = await listRows<MessageRow>(parts, call, {
    table: 'volume_messages',
    path: 'messages',
    filters: {
      resource_uuid: ['resource_uuid', 'text'],
      resource_type: ['resource_type', 'text'],
      event_id: ['event_id', 'text'],
      request_id: ['request_id', 'text'],
    },
    sorts: { created_at: 'created_at', id: 'uuid', resource_uuid: 'resource_uuid', event_id: 'event_id' },
  });
  return { status: 200, body: { messages: rows.map((row) => messageView(call, row)) } };
}
async function seenMessage({ db }: VolumeParts, call: Call): Promise<MessageRow> {
  const id = call.params.id ?? '';
  const row = await db.read.selectFrom('volume_messages').selectAll().where('uuid', '=', id.toLowerCase()).executeTakeFirst();
  if (!row || !(isAdmin(call) || row.project_id === projectOf(call))) throw volumeMessageNotFound({ id: id.slice(0, 100) });
  call.allow({ project_id: row.project_id });
  return row;
}
export async function showMessage(parts: VolumeParts, call: Call): Promise<Reply> {
  return { status: 200, body: { message: messageView(call, await seenMessage(parts, call)) } };
}
export async function deleteMessage(parts: VolumeParts, call: Call): Promise<Reply> {
  const row = await seenMessage(parts, call);
  await parts.db.transaction((tx) => tx.deleteFrom('volume_messages').where('uuid', '=', row.uuid).execute());
  return { status: 204 };
}
