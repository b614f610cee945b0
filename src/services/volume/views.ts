import {
  type AttachmentRow,
  attachmentsOf,
  type MessageRow,
  type SnapshotRow,
  type TypeRow,
  type VolumeRow,
} from '../../db/tables/volume/volumes.ts';
import type { Call } from '../../http/call.ts';
import { from } from '../../lib/answer.ts';
import { isoMicros } from '../../lib/clock.ts';
import { isAdmin, specsOf, wordsOf } from './find.ts';
import { backendOf, type VolumeParts } from './parts.ts';

const when = (at: number | null) => (at === null ? null : isoMicros(at));
/** Where an object is for the client; with the project in it, as clients know it. */
export const placeOf = (call: Call, kind: string, id: string) => {
  const project = call.params.project_id ?? call.caller.projectId;
  return `${call.base}/v3/${project === null ? '' : `${project}/`}${kind}/${id}`;
};
const links = (call: Call, kind: string, id: string) => [
  { rel: 'self', href: placeOf(call, kind, id) },
  { rel: 'bookmark', href: placeOf(call, kind, id).replace('/v3/', '/') },
];

export const volumeSummary = (call: Call, row: VolumeRow) => ({ id: row.uuid, name: row.name, links: links(call, 'volumes', row.uuid) });

const attachmentInVolume = (call: Call, one: AttachmentRow) => ({
  id: one.volume_uuid,
  attachment_id: one.uuid,
  volume_id: one.volume_uuid,
  server_id: one.server_uuid,
  host_name: isAdmin(call) ? one.host : null,
  device: one.mountpoint,
  attached_at: when(one.attached_at),
});

/** One volume in full.  Spec: block storage api-ref "Show a volume's details". */
function volumeView(parts: VolumeParts, call: Call, row: VolumeRow, attachments: readonly AttachmentRow[], typeName: string | null) {
  const image = wordsOf(row.image_metadata);
  const admin = isAdmin(call);
  return {
    id: row.uuid,
    name: row.name,
    description: row.description,
    status: row.status,
    size: row.size,
    availability_zone: row.availability_zone,
    created_at: when(row.created_at),
    updated_at: when(row.updated_at),
    attachments: attachments.filter((one) => one.status === 'attached').map((one) => attachmentInVolume(call, one)),
    bootable: row.bootable === 1 ? 'true' : 'false',
    multiattach: row.multiattach === 1,
    encrypted: row.encryption_key_id !== null,
    metadata: { ...wordsOf(row.metadata), ...(row.readonly === 1 ? { readonly: 'True' } : {}) },
    links: links(call, 'volumes', row.uuid),
    snapshot_id: row.snapshot_uuid,
    source_volid: row.source_uuid,
    user_id: row.user_id,
    volume_type: typeName,
    volume_type_id: from('3.63', row.type_uuid),
    replication_status: null,
    consistencygroup_id: null,
    group_id: from('3.13', null),
    migration_status: row.migration_status,
    provider_id: admin ? from('3.21', null) : undefined,
    service_uuid: from('3.48', null),
    shared_targets: from('3.48', false),
    cluster_name: admin ? from('3.61', null) : undefined,
    consumes_quota: from('3.65', true),
    'os-vol-tenant-attr:tenant_id': row.project_id,
    ...(admin
      ? {
          'os-vol-host-attr:host': backendOf(parts.host),
          'os-vol-mig-status-attr:migstat': row.migration_status,
          'os-vol-mig-status-attr:name_id': null,
        }
      : {}),
    ...(Object.keys(image).length > 0 ? { volume_image_metadata: image } : {}),
  };
}

/** Volumes in full; what belongs to them is read once for all. */
export async function volumeViews(parts: VolumeParts, call: Call, rows: readonly VolumeRow[]) {
  const [attachments, types] = await Promise.all([
    attachmentsOf(
      parts.db.read,
      rows.map((row) => row.uuid),
    ),
    parts.db.read.selectFrom('volume_types').select(['uuid', 'name']).execute(),
  ]);
  const nameOf = new Map(types.map((type) => [type.uuid, type.name]));
  const byVolume = Map.groupBy(attachments, (one) => one.volume_uuid);
  return rows.map((row) => volumeView(parts, call, row, byVolume.get(row.uuid) ?? [], nameOf.get(row.type_uuid) ?? null));
}

const SHOWN_ONLY = new Set([
  'os-vol-tenant-attr:tenant_id',
  'os-vol-host-attr:host',
  'os-vol-mig-status-attr:migstat',
  'os-vol-mig-status-attr:name_id',
  'volume_image_metadata',
]);
/** A volume as creating and changing it answer: without what extensions put beside one that is shown or listed. */
export async function acceptedVolumeView(parts: VolumeParts, call: Call, row: VolumeRow) {
  const [view] = await volumeViews(parts, call, [row]);
  return Object.fromEntries(Object.entries(view ?? {}).filter(([key]) => !SHOWN_ONLY.has(key)));
}

/** Spec: block storage api-ref "Show a snapshot's details". */
export const snapshotView = (row: SnapshotRow, detail = true) => ({
  id: row.uuid,
  name: row.name,
  description: row.description,
  volume_id: row.volume_uuid,
  status: row.status,
  size: row.size,
  created_at: when(row.created_at),
  updated_at: when(row.updated_at),
  metadata: wordsOf(row.metadata),
  ...(detail
    ? {
        'os-extended-snapshot-attributes:progress': row.status === 'available' ? '100%' : '0%',
        'os-extended-snapshot-attributes:project_id': row.project_id,
      }
    : {}),
  group_snapshot_id: from('3.14', null),
  user_id: from('3.41', row.user_id),
  consumes_quota: from('3.65', true),
});

/** Spec: block storage api-ref "Show attachment details". */
export const attachmentView = (row: AttachmentRow, detail = true) => ({
  id: row.uuid,
  status: row.status,
  instance: row.server_uuid,
  volume_id: row.volume_uuid,
  ...(detail
    ? {
        attach_mode: row.mode,
        attached_at: when(row.attached_at) ?? '',
        detached_at: '',
        connection_info: row.connection === null ? {} : (JSON.parse(row.connection) as object), // as written by us
      }
    : {}),
});

/** Spec: block storage api-ref "Show volume type detail". */
export const typeView = (call: Call, row: TypeRow) => ({
  id: row.uuid,
  name: row.name,
  description: row.description,
  is_public: row.is_public === 1,
  'os-volume-type-access:is_public': row.is_public === 1,
  qos_specs_id: isAdmin(call) ? null : undefined,
  extra_specs: specsOf(row),
});

/** Spec: block storage api-ref "User messages". */
export const messageView = (call: Call, row: MessageRow) => ({
  id: row.uuid,
  event_id: row.event_id,
  user_message: row.message,
  message_level: 'ERROR',
  resource_type: row.resource_type,
  resource_uuid: row.resource_uuid,
  request_id: row.request_id ?? '',
  created_at: when(row.created_at),
  guaranteed_until: when(row.created_at + 30 * 86_400_000_000),
  links: links(call, 'messages', row.uuid),
});
