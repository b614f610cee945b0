import type { Migration } from './migration.ts';

/** How far a volume's move to another place is. */
export const vol2: Migration = {
  async up(tx, t) {
    await tx.schema.alterTable('volumes').addColumn('migration_status', t.string(64)).execute();
  },
};
