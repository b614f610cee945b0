import type { Migration } from './migration.ts';

/** What a move goes back to and what its operator wishes of it; images that shelved servers wait in. */
export const move: Migration = {
  async up(tx, t) {
    await tx.schema.alterTable('server_migrations').addColumn('old_vm_state', t.string(32)).execute();
    await tx.schema.alterTable('server_migrations').addColumn('wish', t.string(16)).execute();
    await tx.schema.createIndex('server_migrations_by_status').on('server_migrations').columns(['status', 'updated_at']).execute();
    await tx.schema
      .createTable('server_shelves')
      .ifNotExists()
      .addColumn('server_uuid', t.uuid, (c) => c.primaryKey())
      .addColumn('image_id', t.string(36))
      .addColumn('shelved_at', t.big, (c) => c.notNull())
      .execute();
    await tx.schema.createIndex('server_shelves_by_age').on('server_shelves').columns(['shelved_at']).execute();
  },
};
