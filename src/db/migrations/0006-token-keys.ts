import type { Migration } from './migration.ts';

/** Public keys of those who issue tokens: each identity process checks the others' tokens by them. */
export const tokenKeys: Migration = {
  async up(tx, t) {
    await tx.schema
      .createTable('identity_token_keys')
      .ifNotExists()
      .addColumn('id', t.string(64), (c) => c.primaryKey())
      .addColumn('public_key', t.text, (c) => c.notNull())
      .addColumn('seen_at', t.big, (c) => c.notNull())
      .execute();
  },
};
