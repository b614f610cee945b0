import type { Migration } from './migration.ts';

/** Keys by which usage is added up over a time, and groups are listed by project. */
export const admin: Migration = {
  async up(tx) {
    await tx.schema.createIndex('servers_by_end').on('servers').columns(['terminated_at', 'project_id']).execute();
    await tx.schema.createIndex('server_groups_by_project').on('server_groups').columns(['project_id', 'id']).execute();
  },
};
