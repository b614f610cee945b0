import type { Migration } from './migration.ts';

/** Tables of the identity service. Names carry the service because `services`, `users` or `groups` alone would say too little. */
export const identity: Migration = {
  async up(tx, t) {
    const named = (table: string) =>
      tx.schema
        .createTable(table)
        .ifNotExists()
        .addColumn('key', t.key, (c) => c.primaryKey())
        .addColumn('id', t.string(64), (c) => c.notNull().unique())
        .addColumn('name', t.string(255), (c) => c.notNull())
        .addColumn('description', t.text)
        .addColumn('enabled', t.bool, (c) => c.notNull())
        .addColumn('options', t.text, (c) => c.notNull())
        .addColumn('extra', t.text, (c) => c.notNull());
    await named('identity_domains')
      .addColumn('tags', t.text, (c) => c.notNull())
      .addUniqueConstraint('identity_domains_name', ['name'])
      .execute();
    await named('identity_projects')
      .addColumn('domain_id', t.string(64), (c) => c.notNull())
      .addColumn('parent_id', t.string(64), (c) => c.notNull())
      .addColumn('tags', t.text, (c) => c.notNull())
      .addUniqueConstraint('identity_projects_name', ['domain_id', 'name'])
      .execute();
    await named('identity_users')
      .addColumn('domain_id', t.string(64), (c) => c.notNull())
      .addColumn('default_project_id', t.string(64))
      .addColumn('password_hash', t.string(255))
      .addUniqueConstraint('identity_users_name', ['domain_id', 'name'])
      .execute();
    await named('identity_groups')
      .addColumn('domain_id', t.string(64), (c) => c.notNull())
      .addUniqueConstraint('identity_groups_name', ['domain_id', 'name'])
      .execute();
    // '' for roles of no domain: null would make every name unique.
    await named('identity_roles')
      .addColumn('domain_id', t.string(64), (c) => c.notNull())
      .addUniqueConstraint('identity_roles_name', ['domain_id', 'name'])
      .execute();
    await named('identity_services')
      .addColumn('type', t.string(255), (c) => c.notNull())
      .execute();
    await tx.schema
      .createTable('identity_group_members')
      .ifNotExists()
      .addColumn('group_id', t.string(64), (c) => c.notNull())
      .addColumn('user_id', t.string(64), (c) => c.notNull())
      .addPrimaryKeyConstraint('identity_group_members_pk', ['user_id', 'group_id'])
      .execute();
    await tx.schema
      .createTable('identity_role_implications')
      .ifNotExists()
      .addColumn('prior_id', t.string(64), (c) => c.notNull())
      .addColumn('implied_id', t.string(64), (c) => c.notNull())
      .addPrimaryKeyConstraint('identity_role_implications_pk', ['prior_id', 'implied_id'])
      .execute();
    await tx.schema
      .createTable('identity_role_assignments')
      .ifNotExists()
      .addColumn('actor_type', t.string(5), (c) => c.notNull())
      .addColumn('actor_id', t.string(64), (c) => c.notNull())
      .addColumn('target_type', t.string(7), (c) => c.notNull())
      .addColumn('target_id', t.string(64), (c) => c.notNull())
      .addColumn('role_id', t.string(64), (c) => c.notNull())
      .addColumn('inherited', t.bool, (c) => c.notNull())
      .addPrimaryKeyConstraint('identity_role_assignments_pk', [
        'actor_id',
        'target_id',
        'target_type',
        'role_id',
        'inherited',
        'actor_type',
      ])
      .execute();
    await tx.schema
      .createTable('identity_regions')
      .ifNotExists()
      .addColumn('key', t.key, (c) => c.primaryKey())
      .addColumn('id', t.string(255), (c) => c.notNull().unique())
      .addColumn('description', t.text, (c) => c.notNull())
      .addColumn('parent_region_id', t.string(255))
      .addColumn('extra', t.text, (c) => c.notNull())
      .execute();
    await tx.schema
      .createTable('identity_endpoints')
      .ifNotExists()
      .addColumn('key', t.key, (c) => c.primaryKey())
      .addColumn('id', t.string(64), (c) => c.notNull().unique())
      .addColumn('service_id', t.string(64), (c) => c.notNull())
      .addColumn('interface', t.string(8), (c) => c.notNull())
      .addColumn('region_id', t.string(255))
      .addColumn('url', t.text, (c) => c.notNull())
      .addColumn('enabled', t.bool, (c) => c.notNull())
      .addColumn('extra', t.text, (c) => c.notNull())
      .execute();
    await tx.schema
      .createTable('identity_application_credentials')
      .ifNotExists()
      .addColumn('key', t.key, (c) => c.primaryKey())
      .addColumn('id', t.string(64), (c) => c.notNull().unique())
      .addColumn('user_id', t.string(64), (c) => c.notNull())
      .addColumn('project_id', t.string(64), (c) => c.notNull())
      .addColumn('name', t.string(255), (c) => c.notNull())
      .addColumn('description', t.text)
      .addColumn('secret_hash', t.string(255), (c) => c.notNull())
      .addColumn('role_ids', t.text, (c) => c.notNull())
      .addColumn('expires_at', t.big)
      .addColumn('unrestricted', t.bool, (c) => c.notNull())
      .addUniqueConstraint('identity_application_credentials_name', ['user_id', 'name'])
      .execute();
    // One row, updated first by every write: it puts the writes in a row and numbers what other processes must hear of, in the order of commits.
    await tx.schema
      .createTable('identity_feed')
      .ifNotExists()
      .addColumn('id', t.int, (c) => c.primaryKey())
      .addColumn('number', t.big, (c) => c.notNull())
      .addColumn('pruned_to', t.big, (c) => c.notNull())
      .execute();
    await tx.schema
      .createTable('identity_revocations')
      .ifNotExists()
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('number', t.big, (c) => c.notNull())
      .addColumn('revoked_at', t.big, (c) => c.notNull())
      .addColumn('issued_before', t.big)
      .addColumn('audit_id', t.string(32))
      .addColumn('audit_chain_id', t.string(32))
      .addColumn('user_id', t.string(64))
      .addColumn('project_id', t.string(64))
      .addColumn('domain_id', t.string(64))
      .addColumn('application_credential_id', t.string(64))
      .execute();
    for (const [name, table, columns] of [
      ['identity_assignments_by_target', 'identity_role_assignments', ['target_id']],
      ['identity_projects_by_parent', 'identity_projects', ['parent_id']],
      ['identity_endpoints_by_service', 'identity_endpoints', ['service_id']],
      ['identity_revocations_by_number', 'identity_revocations', ['number']],
      ['identity_revocations_by_time', 'identity_revocations', ['issued_before']],
      ['identity_members_by_group', 'identity_group_members', ['group_id']],
    ] as const) {
      await tx.schema
        .createIndex(name)
        .ifNotExists()
        .on(table)
        .columns([...columns])
        .execute();
    }
    const feed = await tx.selectFrom('identity_feed').select('id').execute();
    if (feed.length === 0) await tx.insertInto('identity_feed').values({ id: 1, number: 0, pruned_to: 0 }).execute();
  },
};
