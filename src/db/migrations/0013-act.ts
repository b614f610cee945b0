import type { Migration } from './migration.ts';

/** Who locked a server, when it was deleted softly, and the shares it mounts. */
export const act: Migration = {
  async up(tx, t) {
    await tx.schema.alterTable('servers').addColumn('locked_by', t.string(16)).execute();
    await tx.schema.alterTable('servers').addColumn('soft_deleted_at', t.big).execute();
    await tx.schema.createIndex('servers_by_soft_delete').on('servers').columns(['soft_deleted_at']).execute();
    await tx.schema
      .createTable('server_shares')
      .ifNotExists()
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('server_uuid', t.uuid, (c) => c.notNull())
      .addColumn('share_id', t.string(36), (c) => c.notNull())
      .addColumn('status', t.string(16), (c) => c.notNull())
      .addColumn('tag', t.string(255), (c) => c.notNull())
      .addColumn('export_location', t.string(512))
      .addColumn('share_proto', t.string(32))
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big)
      .addUniqueConstraint('server_shares_once', ['server_uuid', 'share_id'])
      .execute();
  },
};
