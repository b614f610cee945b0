import type { Migration } from './migration.ts';

/** Volumes that are encrypted: what types ask for, and the keys of their volumes. */
export const volumeKeys: Migration = {
  async up(tx, t) {
    await tx.schema.alterTable('volumes').addColumn('encryption_key_id', t.uuid).execute();
    await tx.schema
      .createTable('volume_type_encryptions')
      .ifNotExists()
      .addColumn('type_uuid', t.uuid, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('provider', t.string(255), (c) => c.notNull())
      .addColumn('cipher', t.string(255))
      .addColumn('key_size', t.int)
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big)
      .execute();
    await tx.schema
      .createTable('volume_keys')
      .ifNotExists()
      .addColumn('uuid', t.uuid, (c) => c.primaryKey())
      .addColumn('provider', t.string(255), (c) => c.notNull())
      .addColumn('cipher', t.string(255), (c) => c.notNull())
      .addColumn('key_size', t.int, (c) => c.notNull())
      .addColumn('secret', t.string(255), (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .execute();
  },
};
