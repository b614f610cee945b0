import type { Migration } from './migration.ts';

/** Aggregates, moves of servers, and the disks a server is made of. */
export const computeNouns: Migration = {
  async up(tx, t) {
    const table = (name: string) => tx.schema.createTable(name).ifNotExists();
    const index = (name: string, on: string, columns: string[]) => tx.schema.createIndex(name).on(on).columns(columns).execute();
    await table('aggregates')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('name', t.string(255), (c) => c.notNull().unique())
      .addColumn('metadata', t.text, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big)
      .execute();
    await table('aggregate_hosts')
      .addColumn('aggregate_id', t.big, (c) => c.notNull())
      .addColumn('host', t.string(255), (c) => c.notNull())
      .addPrimaryKeyConstraint('aggregate_hosts_pk', ['aggregate_id', 'host'])
      .execute();
    await index('aggregate_hosts_by_host', 'aggregate_hosts', ['host']);
    await table('server_migrations')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('server_uuid', t.uuid, (c) => c.notNull())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('user_id', t.string(255), (c) => c.notNull())
      .addColumn('type', t.string(32), (c) => c.notNull())
      .addColumn('status', t.string(32), (c) => c.notNull())
      .addColumn('source_host', t.string(255))
      .addColumn('source_node', t.string(255))
      .addColumn('dest_host', t.string(255))
      .addColumn('dest_node', t.string(255))
      .addColumn('dest_ip', t.string(39))
      .addColumn('old_flavor', t.text)
      .addColumn('new_flavor', t.text)
      .addColumn('progress', t.text, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big)
      .execute();
    await index('server_migrations_by_server', 'server_migrations', ['server_uuid', 'id']);
    await index('server_migrations_by_age', 'server_migrations', ['created_at', 'id']);
    await table('block_devices')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('server_uuid', t.uuid, (c) => c.notNull())
      .addColumn('source_type', t.string(16), (c) => c.notNull())
      .addColumn('destination_type', t.string(16), (c) => c.notNull())
      .addColumn('boot_index', t.int)
      .addColumn('device_name', t.string(255))
      .addColumn('disk_bus', t.string(32))
      .addColumn('device_type', t.string(32))
      .addColumn('guest_format', t.string(255))
      .addColumn('volume_size_gib', t.int)
      .addColumn('volume_type', t.string(255))
      .addColumn('image_id', t.string(36))
      .addColumn('snapshot_id', t.string(36))
      .addColumn('volume_id', t.string(36))
      .addColumn('attachment_id', t.string(36))
      .addColumn('connection', t.text)
      .addColumn('delete_on_termination', t.bool, (c) => c.notNull())
      .addColumn('tag', t.string(255))
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big)
      .execute();
    await index('block_devices_by_server', 'block_devices', ['server_uuid', 'id']);
    await index('block_devices_by_volume', 'block_devices', ['volume_id']);
  },
};
