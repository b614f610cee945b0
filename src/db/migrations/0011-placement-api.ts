import { describeSchema } from '../describe-schema.ts';
import { insertIgnore } from '../statements.ts';
import type { Migration } from './migration.ts';

/** What the placement API keeps besides providers, inventories and claims. Standard traits and resource classes are no rows: they are in the program. */
export const placementApi: Migration = {
  async up(tx, t, kind) {
    const table = (name: string) => tx.schema.createTable(name).ifNotExists();
    await table('traits')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('name', t.string(255), (c) => c.notNull().unique())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .execute();
    await table('resource_classes')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('name', t.string(255), (c) => c.notNull().unique())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .execute();
    await table('provider_traits')
      .addColumn('provider_uuid', t.uuid, (c) => c.notNull())
      .addColumn('trait', t.string(255), (c) => c.notNull())
      .addPrimaryKeyConstraint('provider_traits_pk', ['provider_uuid', 'trait'])
      .execute();
    await tx.schema.createIndex('provider_traits_by_trait').on('provider_traits').columns(['trait']).execute();
    await table('provider_aggregates')
      .addColumn('provider_uuid', t.uuid, (c) => c.notNull())
      .addColumn('aggregate_uuid', t.uuid, (c) => c.notNull())
      .addPrimaryKeyConstraint('provider_aggregates_pk', ['provider_uuid', 'aggregate_uuid'])
      .execute();
    await tx.schema.createIndex('inventories_by_class').on('inventories').columns(['resource_class']).execute();
    await tx.schema.createIndex('consumers_by_project').on('consumers').columns(['project_id', 'user_id']).execute();
    await tx.schema.createIndex('providers_by_root').on('resource_providers').columns(['root_uuid']).execute();
    await table('placement_marks')
      .addColumn('name', t.string(32), (c) => c.primaryKey())
      .addColumn('version', t.big, (c) => c.notNull())
      .execute();
    await insertIgnore(tx, kind, 'placement_marks', { name: 'tree', version: 0 }, ['name']);
    const described = await describeSchema({ kind, read: tx });
    if (!described.resource_providers?.columns.touches)
      await tx.schema
        .alterTable('resource_providers')
        .addColumn('touches', t.big, (c) => c.notNull().defaultTo(0))
        .execute();
  },
};
