import type { Migration } from './migration.ts';

export const image: Migration = {
  async up(tx, t) {
    await tx.schema
      .createTable('images')
      .ifNotExists()
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('name', t.string(255))
      .addColumn('status', t.string(16), (c) => c.notNull())
      .addColumn('visibility', t.string(16), (c) => c.notNull())
      .addColumn('owner', t.string(255))
      .addColumn('disk_format', t.string(20))
      .addColumn('container_format', t.string(20))
      .addColumn('protected', t.bool, (c) => c.notNull())
      .addColumn('os_hidden', t.bool, (c) => c.notNull())
      .addColumn('min_disk', t.int, (c) => c.notNull())
      .addColumn('min_ram', t.int, (c) => c.notNull())
      .addColumn('size', t.big)
      .addColumn('virtual_size', t.big)
      .addColumn('checksum', t.string(32))
      .addColumn('os_hash_algo', t.string(64))
      .addColumn('os_hash_value', t.string(128))
      .addColumn('upload', t.string(36))
      .addColumn('seeded', t.bool, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big, (c) => c.notNull())
      .addColumn('deleted', t.bool, (c) => c.notNull())
      .addColumn('deleted_at', t.big)
      .execute();
    await tx.schema.createIndex('images_by_age').on('images').columns(['deleted', 'created_at', 'id']).execute();
    await tx.schema.createIndex('images_by_owner').on('images').columns(['owner', 'deleted']).execute();
    await tx.schema
      .createTable('image_properties')
      .ifNotExists()
      .addColumn('image_id', t.big, (c) => c.notNull())
      .addColumn('name', t.string(255), (c) => c.notNull())
      .addColumn('value', t.text, (c) => c.notNull())
      .addPrimaryKeyConstraint('image_properties_pk', ['image_id', 'name'])
      .execute();
    await tx.schema
      .createTable('image_tags')
      .ifNotExists()
      .addColumn('image_id', t.big, (c) => c.notNull())
      .addColumn('tag', t.string(255), (c) => c.notNull())
      .addPrimaryKeyConstraint('image_tags_pk', ['image_id', 'tag'])
      .execute();
    await tx.schema
      .createTable('image_members')
      .ifNotExists()
      .addColumn('image_id', t.big, (c) => c.notNull())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('status', t.string(16), (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big, (c) => c.notNull())
      .addPrimaryKeyConstraint('image_members_pk', ['image_id', 'project_id'])
      .execute();
    await tx.schema.createIndex('image_members_by_project').on('image_members').columns(['project_id', 'status']).execute();
  },
};
