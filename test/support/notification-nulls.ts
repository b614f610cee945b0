/** Fields that the catalogue's table of payloads lets be null. */
export const NULLABLE = [
  'architecture',
  'availability_zone',
  'display_description',
  'host',
  'node',
  'key_name',
  'image_uuid',
  'launched_at',
  'task_state',
  'terminated_at',
  'deleted_at',
  'updated_at',
  'request_id',
  'action_initiator_user',
  'action_initiator_project',
  'old_display_name',
  'trusted_image_certificates',
]
  .map((field) => `/nova_object.data/${field}`)
  .concat([
    '/nova_object.data/state_update/nova_object.data/old_task_state',
    '/nova_object.data/state_update/nova_object.data/new_task_state',
  ]);
