import type { Migration } from './migration.ts';

/** Which hosts' servers were counted for which period, and what guests read from and wrote to volumes. */
export const notices: Migration = {
  async up(tx, t) {
    await tx.schema
      .createTable('task_log')
      .ifNotExists()
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('task_name', t.string(64), (c) => c.notNull())
      .addColumn('host', t.string(255), (c) => c.notNull())
      .addColumn('period_beginning', t.big, (c) => c.notNull())
      .addColumn('period_ending', t.big, (c) => c.notNull())
      .addColumn('state', t.string(16), (c) => c.notNull())
      .addColumn('task_items', t.int, (c) => c.notNull())
      .addColumn('errors', t.int, (c) => c.notNull())
      .addColumn('message', t.string(255), (c) => c.notNull())
      .addColumn('owner', t.string(255), (c) => c.notNull())
      .addColumn('touched_at', t.big, (c) => c.notNull())
      .addUniqueConstraint('task_log_of_period', ['task_name', 'host', 'period_beginning', 'period_ending'])
      .execute();
    await tx.schema
      .createTable('volume_usages')
      .ifNotExists()
      .addColumn('volume_id', t.uuid, (c) => c.notNull())
      .addColumn('server_uuid', t.uuid, (c) => c.notNull())
      .addColumn('counted_at', t.big, (c) => c.notNull())
      .addColumn('reads', t.big, (c) => c.notNull())
      .addColumn('read_bytes', t.big, (c) => c.notNull())
      .addColumn('writes', t.big, (c) => c.notNull())
      .addColumn('write_bytes', t.big, (c) => c.notNull())
      .addColumn('earlier_reads', t.big, (c) => c.notNull())
      .addColumn('earlier_read_bytes', t.big, (c) => c.notNull())
      .addColumn('earlier_writes', t.big, (c) => c.notNull())
      .addColumn('earlier_write_bytes', t.big, (c) => c.notNull())
      .addPrimaryKeyConstraint('volume_usages_pk', ['volume_id', 'server_uuid'])
      .execute();
  },
};
