import { leaf } from '../../lib/shape.ts';

// Bodies as one JSON schema each. Cinder lets unknown fields of objects through in most of them, so do these.
const text = (max: number) => ({ type: ['string', 'null'], maxLength: max });
const uuidOrNull = { type: ['string', 'null'], format: 'uuid' };
const metadata = {
  type: ['object', 'null'],
  propertyNames: { minLength: 1, maxLength: 255 },
  additionalProperties: { type: 'string', maxLength: 255 },
};
const needed = <T>(name: string, inner: object, more: object = {}) =>
  leaf<T>({ type: 'object', properties: { [name]: inner }, required: [name], additionalProperties: false, ...more });
const action = <T>(name: string, properties: object = {}, required: readonly string[] = []) =>
  needed<T>(name, { type: required.length > 0 ? 'object' : ['object', 'null'], properties, required });
export type Words = Readonly<Record<string, string>>;

export interface VolumeCreate {
  readonly volume: {
    readonly name?: string | null;
    readonly display_name?: string | null;
    readonly description?: string | null;
    readonly display_description?: string | null;
    readonly size?: number | string | null;
    readonly volume_type?: string | null;
    readonly metadata?: Words | null;
    readonly snapshot_id?: string | null;
    readonly source_volid?: string | null;
    readonly imageRef?: string | null;
    readonly image_id?: string | null;
    readonly availability_zone?: string | null;
    readonly multiattach?: boolean | string | null;
    readonly consistencygroup_id?: string | null;
    readonly group_id?: string | null;
    readonly backup_id?: string | null;
  };
}
export const volumeCreate = leaf<VolumeCreate>({
  type: 'object',
  required: ['volume'],
  properties: {
    volume: {
      type: 'object',
      properties: {
        name: text(255),
        display_name: text(255),
        description: text(255),
        display_description: text(255),
        size: { type: ['integer', 'string', 'null'] },
        volume_type: text(255),
        metadata,
        snapshot_id: uuidOrNull,
        source_volid: uuidOrNull,
        imageRef: text(255),
        image_id: text(255),
        availability_zone: text(255),
        multiattach: { type: ['boolean', 'string', 'null'] },
        consistencygroup_id: text(255),
        group_id: text(255),
        backup_id: text(255),
      },
    },
  },
});
export interface Renaming {
  readonly name?: string | null;
  readonly display_name?: string | null;
  readonly description?: string | null;
  readonly display_description?: string | null;
  readonly metadata?: Words | null;
}
const renaming = {
  type: 'object',
  properties: { name: text(255), display_name: text(255), description: text(255), display_description: text(255), metadata },
};
export const volumeUpdate = needed<{ volume: Renaming }>('volume', renaming);
export const snapshotUpdate = needed<{ snapshot: Renaming }>('snapshot', renaming);
export interface SnapshotCreate {
  readonly snapshot: Renaming & { readonly volume_id: string; readonly force?: boolean | string | null };
}
export const snapshotCreate = needed<SnapshotCreate>('snapshot', {
  type: 'object',
  required: ['volume_id'],
  properties: { ...renaming.properties, volume_id: { type: 'string', format: 'uuid' }, force: { type: ['boolean', 'string', 'null'] } },
});
export const metadataBody = needed<{ metadata: Words }>('metadata', { ...metadata, type: 'object' });
export const metaBody = needed<{ meta: Words }>('meta', { ...metadata, type: 'object', minProperties: 1, maxProperties: 1 });

// Actions of volumes and snapshots
export const extend = action<{ 'os-extend': { new_size: number | string } }>(
  'os-extend',
  { new_size: { type: ['integer', 'string'], pattern: '^[0-9]{1,9}$', minimum: 1, maximum: 2147483647 } },
  ['new_size'],
);
const state = { type: ['string', 'null'], minLength: 1, maxLength: 32 };
export interface Reset {
  readonly status?: string | null;
  readonly attach_status?: string | null;
  readonly migration_status?: string | null;
}
export const resetStatus = action<{ 'os-reset_status': Reset }>('os-reset_status', {
  status: state,
  attach_status: state,
  migration_status: state,
});
export const updateSnapshotStatus = action<{ 'os-update_snapshot_status': { status: string } }>(
  'os-update_snapshot_status',
  { status: { type: 'string' }, progress: { type: ['string', 'integer'] } },
  ['status'],
);
export const bootableFlag = action<{ 'os-set_bootable': { bootable: boolean | string } }>(
  'os-set_bootable',
  { bootable: { type: ['boolean', 'string'] } },
  ['bootable'],
);
export const readonlyFlag = action<{ 'os-update_readonly_flag': { readonly: boolean | string } }>(
  'os-update_readonly_flag',
  { readonly: { type: ['boolean', 'string'] } },
  ['readonly'],
);
export const retype = action<{ 'os-retype': { new_type: string; migration_policy?: string } }>(
  'os-retype',
  { new_type: { type: 'string', minLength: 1, maxLength: 255 }, migration_policy: { enum: ['on-demand', 'never'] } },
  ['new_type'],
);
export const revert = action<{ revert: { snapshot_id: string } }>('revert', { snapshot_id: { type: 'string', format: 'uuid' } }, [
  'snapshot_id',
]);
export interface Attach {
  readonly instance_uuid?: string | null;
  readonly mountpoint?: string | null;
  readonly host_name?: string | null;
  readonly mode?: 'rw' | 'ro';
}
export const attach = action<{ 'os-attach': Attach }>(
  'os-attach',
  { instance_uuid: uuidOrNull, mountpoint: text(255), host_name: text(255), mode: { enum: ['rw', 'ro'] } },
  ['mountpoint'],
);
export interface Detach {
  readonly attachment_id?: string | null;
}
export const detach = action<{ 'os-detach': Detach | null }>('os-detach', { attachment_id: uuidOrNull });
export const forceDetach = action<{ 'os-force_detach': Detach | null }>('os-force_detach', { attachment_id: uuidOrNull });
export const plainAction = leaf<object>({ type: 'object' });
export const initializeConnection = action<{ 'os-initialize_connection': { connector: Connector } }>(
  'os-initialize_connection',
  { connector: { type: 'object' } },
  ['connector'],
);
export interface Reimage {
  readonly image_id: string;
  readonly reimage_reserved?: boolean | string;
}
export const reimage = action<{ 'os-reimage': Reimage }>(
  'os-reimage',
  { image_id: { type: 'string', format: 'uuid' }, reimage_reserved: { type: ['boolean', 'string'] } },
  ['image_id'],
);
export interface Upload {
  readonly image_name: string;
  readonly container_format?: string | null;
  readonly disk_format?: string | null;
  readonly force?: boolean | string | null;
  readonly visibility?: 'public' | 'private' | 'shared' | 'community';
  readonly protected?: boolean | string;
}
export const uploadImage = action<{ 'os-volume_upload_image': Upload }>(
  'os-volume_upload_image',
  {
    image_name: { type: 'string', minLength: 1, maxLength: 255 },
    container_format: text(32),
    disk_format: text(32),
    force: { type: ['boolean', 'string', 'null'] },
    visibility: { enum: ['public', 'private', 'shared', 'community'] },
    protected: { type: ['boolean', 'string'] },
  },
  ['image_name'],
);
export const setImageMetadata = action<{ 'os-set_image_metadata': { metadata: Words } }>('os-set_image_metadata', { metadata }, [
  'metadata',
]);
export const unsetImageMetadata = action<{ 'os-unset_image_metadata': { key: string } }>(
  'os-unset_image_metadata',
  { key: { type: 'string', minLength: 1, maxLength: 255 } },
  ['key'],
);

// Attachments
/** What the host that attaches says of itself. */
export type Connector = Readonly<Record<string, unknown>>;
export interface AttachmentCreate {
  readonly attachment: {
    readonly volume_uuid: string;
    readonly instance_uuid?: string | null;
    readonly connector?: Connector | null;
    readonly mode?: 'rw' | 'ro';
  };
}
export const attachmentCreate = needed<AttachmentCreate>('attachment', {
  type: 'object',
  required: ['volume_uuid'],
  properties: {
    volume_uuid: { type: 'string', format: 'uuid' },
    instance_uuid: uuidOrNull,
    connector: { type: ['object', 'null'] },
    mode: { enum: ['rw', 'ro'] },
  },
});
export const attachmentUpdate = needed<{ attachment: { connector: Connector } }>('attachment', {
  type: 'object',
  required: ['connector'],
  properties: { connector: { type: 'object', minProperties: 1 } },
});

// Types and quotas
export interface TypeWish {
  readonly name?: string | null;
  readonly description?: string | null;
  readonly extra_specs?: Words | null;
  readonly is_public?: boolean | string;
  readonly 'os-volume-type-access:is_public'?: boolean | string;
}
const typeBody = (required: readonly string[]) =>
  needed<{ volume_type: TypeWish }>('volume_type', {
    type: 'object',
    required,
    properties: {
      name: text(255),
      description: text(255),
      extra_specs: metadata,
      is_public: { type: ['boolean', 'string'] },
      'os-volume-type-access:is_public': { type: ['boolean', 'string'] },
    },
  });
export const typeCreate = typeBody(['name']);
export const typeUpdate = typeBody([]);
export interface EncryptionWish {
  readonly provider?: string;
  readonly cipher?: string | null;
  readonly key_size?: number | null;
  readonly control_location?: string;
}
const encryptionBody = (required: readonly string[]) =>
  needed<{ encryption: EncryptionWish }>('encryption', {
    type: 'object',
    required,
    properties: {
      provider: { type: 'string', minLength: 1, maxLength: 255 },
      cipher: text(255),
      key_size: { type: ['integer', 'null'], minimum: 0 },
      control_location: { type: 'string', enum: ['front-end', 'back-end'] },
    },
  });
export const encryptionCreate = encryptionBody(['provider', 'control_location']);
export const encryptionUpdate = encryptionBody([]);
export const extraSpecsBody = needed<{ extra_specs: Words }>('extra_specs', { ...metadata, type: 'object' });
export const wordBody = leaf<Words>({ ...metadata, type: 'object', minProperties: 1, maxProperties: 1 });
const project = { project: { type: 'string', minLength: 1, maxLength: 255 } };
export const addAccess = action<{ addProjectAccess: { project: string } }>('addProjectAccess', project, ['project']);
export const removeAccess = action<{ removeProjectAccess: { project: string } }>('removeProjectAccess', project, ['project']);
export const quotaBody = leaf<{ quota_set: Readonly<Record<string, unknown>> }>({
  type: 'object',
  required: ['quota_set'],
  properties: { quota_set: { type: 'object', minProperties: 1 } },
});
export const quotaClassBody = leaf<{ quota_class_set: Readonly<Record<string, unknown>> }>({
  type: 'object',
  required: ['quota_class_set'],
  properties: { quota_class_set: { type: 'object', minProperties: 1 } },
});
