import type { Generated } from 'kysely';

interface Owned {
  id: Generated<number>;
  uuid: string;
  project_id: string;
  user_id: string;
  name: string | null;
  description: string | null;
  /** GiB. */
  size: number;
  status: string;
  /** JSON: text by text. */
  metadata: string;
  created_at: number;
  updated_at: number | null;
}
export interface VolumesTable extends Owned {
  /** Where a volume goes back to when what is being done to it is over. */
  previous_status: string | null;
  /** Null: nobody moves it. 'migrating', 'target:<uuid>', 'success' ... */
  migration_status: string | null;
  type_uuid: string;
  bootable: number;
  multiattach: number;
  readonly: number;
  availability_zone: string;
  snapshot_uuid: string | null;
  source_uuid: string | null;
  image_id: string | null;
  /** JSON: what its image said; '{}' for a volume without. */
  image_metadata: string;
  /** Null: its data are plain. */
  encryption_key_id: string | null;
  /** The Idempotency-Key of the request that made it, with its project. */
  request_key: string | null;
}
export interface VolumeSnapshotsTable extends Owned {
  volume_uuid: string;
}
export interface VolumeAttachmentsTable {
  id: Generated<number>;
  uuid: string;
  volume_uuid: string;
  project_id: string;
  server_uuid: string | null;
  /** reserved, attaching, attached. */
  status: string;
  /** rw, ro. */
  mode: string;
  mountpoint: string | null;
  host: string | null;
  /** JSON, as the client sent it. */
  connector: string | null;
  /** JSON: how the host reaches the volume. */
  connection: string | null;
  /** Made by another service of the cloud, which alone may end it. */
  by_service: number;
  attached_at: number | null;
  created_at: number;
}
/** What a type asks for; volumes that are made of it are encrypted so. */
export interface VolumeTypeEncryptionsTable {
  type_uuid: string;
  uuid: string;
  provider: string;
  cipher: string | null;
  key_size: number | null;
  created_at: number;
  updated_at: number | null;
}
/** Keys of encrypted volumes. The secret leaves this table only for the host that opens the volume, and is never logged. */
export interface VolumeKeysTable {
  uuid: string;
  provider: string;
  cipher: string;
  /** Bits. */
  key_size: number;
  secret: string;
  created_at: number;
}
export interface VolumeTypesTable {
  id: Generated<number>;
  uuid: string;
  name: string;
  description: string | null;
  is_public: number;
  /** JSON: text by text. */
  extra_specs: string;
  created_at: number;
  updated_at: number | null;
}
export interface VolumeTypeAccessTable {
  type_uuid: string;
  project_id: string;
}
export interface VolumeQuotasTable {
  /** A project's id, or '@default' for the class all begin with. */
  project_id: string;
  resource: string;
  limit_value: number | null;
  used: number;
}
/** Work on files that was accepted and is not over. Whoever holds the lease does it; when it runs out another takes it over. */
export interface VolumeTasksTable {
  id: Generated<number>;
  uuid: string;
  kind: string;
  target: string;
  /** JSON. */
  arguments: string;
  owner: string;
  leased_until: number;
  created_at: number;
}
export interface VolumeMessagesTable {
  id: Generated<number>;
  uuid: string;
  project_id: string;
  resource_type: string;
  resource_uuid: string;
  event_id: string;
  request_id: string | null;
  message: string;
  created_at: number;
}

export interface VolumeTables {
  volumes: VolumesTable;
  volume_snapshots: VolumeSnapshotsTable;
  volume_attachments: VolumeAttachmentsTable;
  volume_types: VolumeTypesTable;
  volume_type_encryptions: VolumeTypeEncryptionsTable;
  volume_keys: VolumeKeysTable;
  volume_type_access: VolumeTypeAccessTable;
  volume_quotas: VolumeQuotasTable;
  volume_tasks: VolumeTasksTable;
  volume_messages: VolumeMessagesTable;
}
