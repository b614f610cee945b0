import type { Migration } from './migration.ts';

export const placement: Migration = {
  async up(tx, t) {
    await tx.schema
      .createTable('resource_providers')
      .ifNotExists()
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('name', t.string(200), (c) => c.notNull().unique())
      .addColumn('generation', t.int, (c) => c.notNull())
      .addColumn('root_uuid', t.uuid, (c) => c.notNull())
      .addColumn('parent_uuid', t.uuid)
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big, (c) => c.notNull())
      .execute();
    await tx.schema
      .createTable('inventories')
      .ifNotExists()
      .addColumn('provider_uuid', t.uuid, (c) => c.notNull())
      .addColumn('resource_class', t.string(255), (c) => c.notNull())
      .addColumn('total', t.big, (c) => c.notNull())
      .addColumn('reserved', t.big, (c) => c.notNull())
      .addColumn('min_unit', t.big, (c) => c.notNull())
      .addColumn('max_unit', t.big, (c) => c.notNull())
      .addColumn('step_size', t.big, (c) => c.notNull())
      .addColumn('allocation_ratio', t.real, (c) => c.notNull())
      .addColumn('capacity', t.big, (c) => c.notNull())
      .addColumn('used', t.big, (c) => c.notNull())
      .addPrimaryKeyConstraint('inventories_pk', ['provider_uuid', 'resource_class'])
      .execute();
    await tx.schema
      .createTable('allocations')
      .ifNotExists()
      .addColumn('consumer_uuid', t.uuid, (c) => c.notNull())
      .addColumn('provider_uuid', t.uuid, (c) => c.notNull())
      .addColumn('resource_class', t.string(255), (c) => c.notNull())
      .addColumn('used', t.big, (c) => c.notNull())
      .addPrimaryKeyConstraint('allocations_pk', ['consumer_uuid', 'provider_uuid', 'resource_class'])
      .execute();
    await tx.schema.createIndex('allocations_by_provider').on('allocations').columns(['provider_uuid', 'resource_class']).execute();
    await tx.schema
      .createTable('consumers')
      .ifNotExists()
      .addColumn('uuid', t.uuid, (c) => c.primaryKey())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('user_id', t.string(255), (c) => c.notNull())
      .addColumn('generation', t.int, (c) => c.notNull())
      .addColumn('consumer_type', t.string(255))
      .addColumn('created_at', t.big, (c) => c.notNull())
      .execute();
  },
};
