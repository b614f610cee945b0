import type { Migration } from './migration.ts';

/** Memory cells and devices that servers hold of their hosts. */
export const machineParts: Migration = {
  async up(tx, t) {
    await tx.schema
      .createTable('host_parts')
      .ifNotExists()
      .addColumn('provider_uuid', t.uuid, (c) => c.primaryKey())
      .addColumn('version', t.big, (c) => c.notNull())
      .execute();
    await tx.schema
      .createTable('part_claims')
      .ifNotExists()
      .addColumn('consumer_uuid', t.uuid, (c) => c.primaryKey())
      .addColumn('provider_uuid', t.uuid, (c) => c.notNull())
      .addColumn('held', t.text, (c) => c.notNull())
      .execute();
    await tx.schema.createIndex('part_claims_by_provider').on('part_claims').columns(['provider_uuid']).execute();
  },
};
