import type { Migration } from './migration.ts';

export const networkRouters: Migration = {
  async up(tx, t) {
    const table = (name: string) => tx.schema.createTable(name).ifNotExists();
    const index = (name: string, on: string, columns: string[]) => tx.schema.createIndex(name).on(on).columns(columns).execute();

    await table('net_routers')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('name', t.string(255), (c) => c.notNull())
      .addColumn('description', t.string(255), (c) => c.notNull())
      .addColumn('tags', t.text, (c) => c.notNull())
      .addColumn('revision', t.int, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big, (c) => c.notNull())
      .addColumn('admin_state_up', t.bool, (c) => c.notNull())
      .addColumn('gateway_network_uuid', t.uuid)
      .addColumn('gateway_port_uuid', t.uuid)
      .addColumn('enable_snat', t.bool, (c) => c.notNull())
      .addColumn('routes', t.text, (c) => c.notNull())
      .addColumn('distributed', t.bool, (c) => c.notNull())
      .addColumn('ha', t.bool, (c) => c.notNull())
      .addColumn('zone_hints', t.text, (c) => c.notNull())
      .execute();
    await index('net_routers_by_project', 'net_routers', ['project_id']);
    await index('net_routers_by_gateway', 'net_routers', ['gateway_network_uuid']);
    await table('net_floating_ips')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('description', t.string(255), (c) => c.notNull())
      .addColumn('tags', t.text, (c) => c.notNull())
      .addColumn('revision', t.int, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big, (c) => c.notNull())
      .addColumn('network_uuid', t.uuid, (c) => c.notNull())
      .addColumn('port_uuid', t.uuid, (c) => c.notNull())
      .addColumn('address', t.string(45), (c) => c.notNull())
      .addColumn('router_uuid', t.uuid)
      .addColumn('fixed_port_uuid', t.uuid)
      .addColumn('fixed_address', t.string(45))
      .addUniqueConstraint('net_floating_ips_fixed', ['fixed_port_uuid', 'fixed_address', 'network_uuid'])
      .execute();
    await index('net_floating_ips_by_project', 'net_floating_ips', ['project_id']);
    await index('net_floating_ips_by_address', 'net_floating_ips', ['address']);
    await index('net_floating_ips_by_router', 'net_floating_ips', ['router_uuid']);
  },
};
