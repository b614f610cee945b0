import type { Migration } from './migration.ts';

/** Builds that failed on a host since the last one that succeeded there: BuildFailureWeigher puts such hosts last. Most hosts have no row. */
export const scheduler: Migration = {
  async up(tx, t) {
    await tx.schema
      .createTable('host_build_failures')
      .ifNotExists()
      .addColumn('host', t.string(255), (c) => c.primaryKey())
      .addColumn('failed', t.int, (c) => c.notNull())
      .execute();
  },
};
