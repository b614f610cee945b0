import type { Route, RouteTable } from '../../http/call.ts';
import { deleteMessage, listExtensions, listMessages, listPools, listServices, listZones, showExtension, showMessage } from './about.ts';
import * as legacy from './attach-actions.ts';
import {
  completeAttachment,
  createAttachment,
  deleteAttachment,
  listAttachments,
  showAttachment,
  updateAttachment,
} from './attachments.ts';
import { createVolume } from './create-volume.ts';
import { metadataOf } from './metadata.ts';
import type { VolumeParts } from './parts.ts';
import * as quotas from './quota-sets.ts';
import { reimageVolume } from './reimage.ts';
import * as shapes from './shapes.ts';
import * as snapshots from './snapshots.ts';
import * as encryption from './type-encryption.ts';
import * as types from './types.ts';
import { listVersions, showVersion } from './versions.ts';
import * as actions from './volume-actions.ts';
import * as volumes from './volumes.ts';

type Table = RouteTable<VolumeParts>;
/** A route whose handler asks its rule against the object it is about. */
const owned = (policy: string, run: Route<VolumeParts>['run'], body?: Route<VolumeParts>['body']): Route<VolumeParts> => ({
  run,
  policy,
  policyOn: 'object',
  ...(body ? { body } : {}),
});

const metadata = (kind: 'volumes' | 'snapshots', read: string, write: string): Table => {
  const run = metadataOf(kind === 'volumes' ? 'volumes' : 'volume_snapshots');
  return {
    [`GET /${kind}/:id/metadata`]: owned(read, run.list),
    [`POST /${kind}/:id/metadata`]: owned(write, run.add, shapes.metadataBody),
    [`PUT /${kind}/:id/metadata`]: owned(write, run.replace, shapes.metadataBody),
    [`GET /${kind}/:id/metadata/:key`]: owned(read, run.show),
    [`PUT /${kind}/:id/metadata/:key`]: owned(write, run.set, shapes.metaBody),
    [`DELETE /${kind}/:id/metadata/:key`]: owned(write, run.remove),
  };
};
const VOLUME = 'POST /volumes/:id/action';
const SNAPSHOT = 'POST /snapshots/:id/action';

/** Routes as they stand under /v3 and under /v3/{project_id}. */
const nouns: Table = {
  'GET /volumes': { run: volumes.listVolumes, policy: 'volume:get_all' },
  'POST /volumes': owned('volume:create', createVolume, shapes.volumeCreate),
  'GET /volumes/detail': { run: volumes.listVolumeDetails, policy: 'volume:get_all' },
  'GET /volumes/summary': { run: volumes.summarizeVolumes, policy: 'volume:get_all', since: '3.12' },
  'GET /volumes/:id': owned('volume:get', volumes.showVolume),
  'PUT /volumes/:id': owned('volume:update', volumes.updateVolume, shapes.volumeUpdate),
  'DELETE /volumes/:id': owned('volume:delete', volumes.deleteVolume),
  'GET /volumes/:id/encryption': owned('volume:get', encryption.showVolumeEncryption),
  'GET /volumes/:id/encryption/secret': owned('volume:get_secret', encryption.showVolumeSecret),
  'GET /volumes/:id/encryption/:key': owned('volume:get', encryption.showVolumeEncryptionKey),
  ...metadata('volumes', 'volume:get_volume_metadata', 'volume:update_volume_metadata'),
  [`${VOLUME}#os-extend`]: owned('volume:extend', actions.extendVolume, shapes.extend),
  [`${VOLUME}#os-reset_status`]: owned('volume:reset_status', actions.resetStatus, shapes.resetStatus),
  [`${VOLUME}#os-set_bootable`]: owned('volume:update', actions.setBootable, shapes.bootableFlag),
  [`${VOLUME}#os-update_readonly_flag`]: owned('volume:update_readonly_flag', actions.setReadonly, shapes.readonlyFlag),
  [`${VOLUME}#os-retype`]: owned('volume:retype', actions.retypeVolume, shapes.retype),
  [`${VOLUME}#os-migrate_volume`]: owned('volume:migrate', actions.refuseMigration, shapes.plainAction),
  [`${VOLUME}#os-reimage`]: { ...owned('volume:reimage', reimageVolume, shapes.reimage), since: '3.68' },
  [`${VOLUME}#os-migrate_volume_completion`]: owned('volume:migrate', actions.refuseMigration, shapes.plainAction),
  [`${VOLUME}#revert`]: { ...owned('volume:revert_to_snapshot', actions.revertVolume, shapes.revert), since: '3.40' },
  [`${VOLUME}#os-force_delete`]: owned('volume:force_delete', volumes.forceDeleteVolume, shapes.plainAction),
  [`${VOLUME}#os-attach`]: owned('volume_actions:attach', legacy.attachVolume, shapes.attach),
  [`${VOLUME}#os-detach`]: owned('volume_actions:detach', legacy.detachVolume, shapes.detach),
  [`${VOLUME}#os-force_detach`]: owned('volume:force_detach', legacy.forceDetachVolume, shapes.forceDetach),
  [`${VOLUME}#os-reserve`]: owned('volume_actions:reserve', legacy.reserveVolume, shapes.plainAction),
  [`${VOLUME}#os-unreserve`]: owned('volume_actions:unreserve', legacy.unreserveVolume, shapes.plainAction),
  [`${VOLUME}#os-begin_detaching`]: owned('volume_actions:begin_detaching', legacy.beginDetaching, shapes.plainAction),
  [`${VOLUME}#os-roll_detaching`]: owned('volume_actions:roll_detaching', legacy.rollDetaching, shapes.plainAction),
  [`${VOLUME}#os-initialize_connection`]: owned(
    'volume_actions:initialize_connection',
    legacy.initializeConnection,
    shapes.initializeConnection,
  ),
  [`${VOLUME}#os-terminate_connection`]: owned('volume_actions:terminate_connection', legacy.terminateConnection, shapes.plainAction),
  [`${VOLUME}#os-volume_upload_image`]: owned('volume_actions:upload_image', actions.uploadVolume, shapes.uploadImage),
  [`${VOLUME}#os-set_image_metadata`]: owned('volume:volume_image_metadata', actions.setImageMetadata, shapes.setImageMetadata),
  [`${VOLUME}#os-unset_image_metadata`]: owned('volume:volume_image_metadata', actions.unsetImageMetadata, shapes.unsetImageMetadata),
  [`${VOLUME}#os-show_image_metadata`]: owned('volume:get', actions.showImageMetadata, shapes.plainAction),

  'GET /snapshots': { run: snapshots.listSnapshots(false), policy: 'volume:get_all_snapshots' },
  'POST /snapshots': owned('volume:create_snapshot', snapshots.createSnapshot, shapes.snapshotCreate),
  'GET /snapshots/detail': { run: snapshots.listSnapshots(true), policy: 'volume:get_all_snapshots' },
  'GET /snapshots/:id': owned('volume:get_snapshot', snapshots.showSnapshot),
  'PUT /snapshots/:id': owned('volume:update_snapshot', snapshots.updateSnapshot, shapes.snapshotUpdate),
  'DELETE /snapshots/:id': owned('volume:delete_snapshot', snapshots.deleteSnapshot),
  ...metadata('snapshots', 'volume:get_snapshot', 'volume:update_snapshot'),
  [`${SNAPSHOT}#os-reset_status`]: owned('volume:reset_snapshot_status', snapshots.resetSnapshotStatus, shapes.resetStatus),
  [`${SNAPSHOT}#os-update_snapshot_status`]: owned('volume:update_snapshot', snapshots.updateSnapshotStatus, shapes.updateSnapshotStatus),
  [`${SNAPSHOT}#os-force_delete`]: owned('volume:force_delete_snapshot', snapshots.forceDeleteSnapshot, shapes.plainAction),

  'GET /attachments': { run: listAttachments(false), policy: 'volume:get_all', since: '3.27' },
  'POST /attachments': { ...owned('volume:attachment_create', createAttachment, shapes.attachmentCreate), since: '3.27' },
  'GET /attachments/detail': { run: listAttachments(true), policy: 'volume:get_all', since: '3.27' },
  'GET /attachments/:id': { ...owned('volume:get', showAttachment), since: '3.27' },
  'PUT /attachments/:id': { ...owned('volume:attachment_update', updateAttachment, shapes.attachmentUpdate), since: '3.27' },
  'DELETE /attachments/:id': { ...owned('volume:attachment_delete', deleteAttachment), since: '3.27' },
  'POST /attachments/:id/action#os-complete': {
    ...owned('volume:attachment_complete', completeAttachment, shapes.plainAction),
    since: '3.44',
  },

  'GET /types': { run: types.listTypes, policy: 'volume_type:get' },
  'POST /types': { run: types.createType, body: shapes.typeCreate, policy: 'volume_type:manage' },
  'GET /types/:id': { run: types.showType, policy: 'volume_type:get' },
  'PUT /types/:id': { run: types.updateType, body: shapes.typeUpdate, policy: 'volume_type:manage' },
  'DELETE /types/:id': { run: types.deleteType, policy: 'volume_type:manage' },
  'GET /types/:id/extra_specs': { run: types.listSpecs, policy: 'volume_type:get' },
  'POST /types/:id/extra_specs': { run: types.addSpecs, body: shapes.extraSpecsBody, policy: 'volume_type:manage' },
  'GET /types/:id/extra_specs/:key': { run: types.showSpec, policy: 'volume_type:get' },
  'PUT /types/:id/extra_specs/:key': { run: types.setSpec, body: shapes.wordBody, policy: 'volume_type:manage' },
  'DELETE /types/:id/extra_specs/:key': { run: types.removeSpec, policy: 'volume_type:manage' },
  'GET /types/:id/os-volume-type-access': { run: types.listAccess, policy: 'volume_type:access' },
  'POST /types/:id/action#addProjectAccess': { run: types.addAccess, body: shapes.addAccess, policy: 'volume_type:access' },
  'POST /types/:id/action#removeProjectAccess': { run: types.removeAccess, body: shapes.removeAccess, policy: 'volume_type:access' },
  'GET /types/:id/encryption': { run: encryption.showTypeEncryption, policy: 'volume_type:manage' },
  'POST /types/:id/encryption': { run: encryption.createTypeEncryption, body: shapes.encryptionCreate, policy: 'volume_type:manage' },
  'GET /types/:id/encryption/:key': { run: encryption.showTypeEncryptionKey, policy: 'volume_type:manage' },
  'PUT /types/:id/encryption/:encryptionId': {
    run: encryption.updateTypeEncryption,
    body: shapes.encryptionUpdate,
    policy: 'volume_type:manage',
  },
  'DELETE /types/:id/encryption/:encryptionId': { run: encryption.deleteTypeEncryption, policy: 'volume_type:manage' },

  'GET /os-quota-sets/:id': owned('quotas:show', quotas.showQuota),
  'GET /os-quota-sets/:id/defaults': owned('quotas:show', quotas.showQuotaDefaults),
  'PUT /os-quota-sets/:id': owned('quotas:update', quotas.updateQuota, shapes.quotaBody),
  'DELETE /os-quota-sets/:id': owned('quotas:update', quotas.deleteQuota),
  'GET /os-quota-class-sets/:id': { run: quotas.showQuotaClass, policy: 'quota_classes:any' },
  'PUT /os-quota-class-sets/:id': { run: quotas.updateQuotaClass, body: shapes.quotaClassBody, policy: 'quota_classes:any' },
  'GET /limits': { run: quotas.showLimits, policy: 'limits:get' },
  'GET /os-services': { run: listServices, policy: 'services:get_all' },
  'GET /os-availability-zone': { run: listZones, policy: 'availability_zones:get' },
  'GET /scheduler-stats/get_pools': { run: listPools, policy: 'scheduler:get_pools' },
  'GET /extensions': { run: listExtensions, policy: 'extensions:get' },
  'GET /extensions/:alias': { run: showExtension, policy: 'extensions:get' },
  'GET /messages': { run: listMessages, policy: 'volume:get_all', since: '3.3' },
  'GET /messages/:id': { ...owned('message:get', showMessage), since: '3.3' },
  'DELETE /messages/:id': { ...owned('message:delete', deleteMessage), since: '3.3' },
};

const under = (prefix: string): Table =>
  Object.fromEntries(Object.entries(nouns).map(([key, route]) => [key.replace(' /', ` ${prefix}/`), route]));

/** Every route of the block storage API.  Spec: block storage api-ref v3. */
export const volumeRoutes: Table = {
  'GET /': { run: listVersions, auth: 'none' },
  'GET /v3': { run: showVersion, auth: 'none' },
  ...under('/v3'),
  ...under('/v3/:project_id(^[0-9a-f-]{32,36}$)'),
};
