import type { Migration } from './migration.ts';

/** Tokens that let a console proxy in, and passwords guests have made for themselves. */
export const tokens: Migration = {
  async up(tx, t) {
    const index = (name: string, columns: string[]) => tx.schema.createIndex(name).on('console_tokens').columns(columns).execute();
    await tx.schema
      .createTable('console_tokens')
      .ifNotExists()
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('token_hash', t.string(64), (c) => c.notNull().unique())
      .addColumn('server_uuid', t.uuid, (c) => c.notNull())
      .addColumn('server_host', t.string(255), (c) => c.notNull())
      .addColumn('console_type', t.string(32), (c) => c.notNull())
      .addColumn('host', t.string(255), (c) => c.notNull())
      .addColumn('port', t.int, (c) => c.notNull())
      .addColumn('tls_port', t.int)
      .addColumn('socket', t.string(255))
      .addColumn('internal_path', t.string(255))
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('expires_at', t.big, (c) => c.notNull())
      .execute();
    await index('console_tokens_by_server', ['server_uuid']);
    await index('console_tokens_by_end', ['expires_at']);
    await tx.schema
      .createTable('server_passwords')
      .ifNotExists()
      .addColumn('server_uuid', t.uuid, (c) => c.primaryKey())
      .addColumn('password', t.text, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .execute();
  },
};
