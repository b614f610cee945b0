import type { Migration } from './migration.ts';

/** Block storage: volumes, snapshots, who has them attached, types, quotas, messages, and what is being done to them now. */
export const volume: Migration = {
  async up(tx, t) {
    const table = (name: string) => tx.schema.createTable(name).ifNotExists();
    const index = (name: string, on: string, columns: string[]) => tx.schema.createIndex(name).on(on).columns(columns).execute();
    const object = (name: string) =>
      table(name)
        .addColumn('id', t.key, (c) => c.primaryKey())
        .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
        .addColumn('project_id', t.string(255), (c) => c.notNull())
        .addColumn('user_id', t.string(255), (c) => c.notNull())
        .addColumn('name', t.string(255))
        .addColumn('description', t.text)
        .addColumn('size', t.int, (c) => c.notNull())
        .addColumn('status', t.string(32), (c) => c.notNull())
        .addColumn('metadata', t.text, (c) => c.notNull())
        .addColumn('created_at', t.big, (c) => c.notNull())
        .addColumn('updated_at', t.big);
    await object('volumes')
      .addColumn('previous_status', t.string(32))
      .addColumn('type_uuid', t.uuid, (c) => c.notNull())
      .addColumn('bootable', t.bool, (c) => c.notNull())
      .addColumn('multiattach', t.bool, (c) => c.notNull())
      .addColumn('readonly', t.bool, (c) => c.notNull())
      .addColumn('availability_zone', t.string(255), (c) => c.notNull())
      .addColumn('snapshot_uuid', t.uuid)
      .addColumn('source_uuid', t.uuid)
      .addColumn('image_id', t.uuid)
      .addColumn('image_metadata', t.text, (c) => c.notNull())
      .addColumn('request_key', t.string(255), (c) => c.unique())
      .execute();
    await index('volumes_by_project', 'volumes', ['project_id', 'id']);
    await object('volume_snapshots')
      .addColumn('volume_uuid', t.uuid, (c) => c.notNull())
      .execute();
    await index('volume_snapshots_by_project', 'volume_snapshots', ['project_id', 'id']);
    await index('volume_snapshots_by_volume', 'volume_snapshots', ['volume_uuid']);
    await table('volume_attachments')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('volume_uuid', t.uuid, (c) => c.notNull())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('server_uuid', t.uuid)
      .addColumn('status', t.string(16), (c) => c.notNull())
      .addColumn('mode', t.string(2), (c) => c.notNull())
      .addColumn('mountpoint', t.string(255))
      .addColumn('host', t.string(255))
      .addColumn('connector', t.text)
      .addColumn('connection', t.text)
      .addColumn('by_service', t.bool, (c) => c.notNull())
      .addColumn('attached_at', t.big)
      .addColumn('created_at', t.big, (c) => c.notNull())
      .execute();
    await index('volume_attachments_by_volume', 'volume_attachments', ['volume_uuid', 'id']);
    await index('volume_attachments_by_server', 'volume_attachments', ['server_uuid']);
    await table('volume_types')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('name', t.string(255), (c) => c.notNull().unique())
      .addColumn('description', t.text)
      .addColumn('is_public', t.bool, (c) => c.notNull())
      .addColumn('extra_specs', t.text, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big)
      .execute();
    await table('volume_type_access')
      .addColumn('type_uuid', t.uuid, (c) => c.notNull())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addPrimaryKeyConstraint('volume_type_access_pk', ['type_uuid', 'project_id'])
      .execute();
    await table('volume_quotas')
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('resource', t.string(300), (c) => c.notNull())
      .addColumn('limit_value', t.int)
      .addColumn('used', t.big, (c) => c.notNull())
      .addPrimaryKeyConstraint('volume_quotas_pk', ['project_id', 'resource'])
      .execute();
    await table('volume_tasks')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('kind', t.string(32), (c) => c.notNull())
      .addColumn('target', t.uuid, (c) => c.notNull())
      .addColumn('arguments', t.text, (c) => c.notNull())
      .addColumn('owner', t.string(64), (c) => c.notNull())
      .addColumn('leased_until', t.big, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .execute();
    await index('volume_tasks_by_lease', 'volume_tasks', ['leased_until']);
    await table('volume_messages')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('resource_type', t.string(32), (c) => c.notNull())
      .addColumn('resource_uuid', t.uuid, (c) => c.notNull())
      .addColumn('event_id', t.string(64), (c) => c.notNull())
      .addColumn('request_id', t.string(64))
      .addColumn('message', t.text, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .execute();
    await index('volume_messages_by_project', 'volume_messages', ['project_id', 'id']);
  },
};
