import type { Migration } from './migration.ts';

export const network: Migration = {
  async up(tx, t) {
    const table = (name: string) => tx.schema.createTable(name).ifNotExists();
    const object = (name: string) =>
      table(name)
        .addColumn('id', t.key, (c) => c.primaryKey())
        .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
        .addColumn('project_id', t.string(255), (c) => c.notNull())
        .addColumn('name', t.string(255), (c) => c.notNull())
        .addColumn('description', t.string(255), (c) => c.notNull())
        .addColumn('tags', t.text, (c) => c.notNull())
        .addColumn('revision', t.int, (c) => c.notNull())
        .addColumn('created_at', t.big, (c) => c.notNull())
        .addColumn('updated_at', t.big, (c) => c.notNull());
    const index = (name: string, on: string, columns: string[]) => tx.schema.createIndex(name).on(on).columns(columns).execute();

    await object('net_networks')
      .addColumn('admin_state_up', t.bool, (c) => c.notNull())
      .addColumn('shared', t.bool, (c) => c.notNull())
      .addColumn('is_external', t.bool, (c) => c.notNull())
      .addColumn('is_default', t.bool, (c) => c.notNull())
      .addColumn('port_security', t.bool, (c) => c.notNull())
      .addColumn('mtu', t.int, (c) => c.notNull())
      .addColumn('dns_domain', t.string(255), (c) => c.notNull())
      .addColumn('zone_hints', t.text, (c) => c.notNull())
      .addColumn('provider_type', t.string(32), (c) => c.notNull())
      .addColumn('provider_physical', t.string(64))
      .addColumn('provider_segment', t.big)
      .addColumn('ports', t.big, (c) => c.notNull())
      .execute();
    await index('net_networks_by_project', 'net_networks', ['project_id']);
    await object('net_subnets')
      .addColumn('network_uuid', t.uuid, (c) => c.notNull())
      .addColumn('ip_version', t.int, (c) => c.notNull())
      .addColumn('cidr', t.string(64), (c) => c.notNull())
      .addColumn('gateway_ip', t.string(64))
      .addColumn('enable_dhcp', t.bool, (c) => c.notNull())
      .addColumn('pools', t.text, (c) => c.notNull())
      .addColumn('name_servers', t.text, (c) => c.notNull())
      .addColumn('host_routes', t.text, (c) => c.notNull())
      .addColumn('service_types', t.text, (c) => c.notNull())
      .addColumn('ipv6_ra_mode', t.string(16))
      .addColumn('ipv6_address_mode', t.string(16))
      .addColumn('next_index', t.big, (c) => c.notNull())
      .execute();
    await index('net_subnets_by_network', 'net_subnets', ['network_uuid']);
    await index('net_subnets_by_project', 'net_subnets', ['project_id']);
    await table('net_addresses')
      .addColumn('subnet_uuid', t.uuid, (c) => c.notNull())
      .addColumn('address', t.string(45), (c) => c.notNull())
      .addColumn('position', t.big)
      .addColumn('port_uuid', t.uuid)
      .addColumn('freed', t.big)
      .addPrimaryKeyConstraint('net_addresses_pk', ['subnet_uuid', 'address'])
      .execute();
    await index('net_addresses_by_position', 'net_addresses', ['subnet_uuid', 'position']);
    await index('net_addresses_free', 'net_addresses', ['subnet_uuid', 'freed']);
    await index('net_addresses_by_port', 'net_addresses', ['port_uuid']);
    await object('net_ports')
      .addColumn('network_uuid', t.uuid, (c) => c.notNull())
      .addColumn('mac', t.string(17), (c) => c.notNull())
      .addColumn('admin_state_up', t.bool, (c) => c.notNull())
      .addColumn('status', t.string(16), (c) => c.notNull())
      .addColumn('device_id', t.string(255), (c) => c.notNull())
      .addColumn('device_owner', t.string(255), (c) => c.notNull())
      .addColumn('host', t.string(255), (c) => c.notNull())
      .addColumn('vnic_type', t.string(64), (c) => c.notNull())
      .addColumn('profile', t.text, (c) => c.notNull())
      .addColumn('fixed_ips', t.text, (c) => c.notNull())
      .addColumn('security_groups', t.text, (c) => c.notNull())
      .addColumn('address_pairs', t.text, (c) => c.notNull())
      .addColumn('port_security', t.bool, (c) => c.notNull())
      .addUniqueConstraint('net_ports_mac', ['network_uuid', 'mac'])
      .execute();
    await index('net_ports_by_device', 'net_ports', ['device_id']);
    await index('net_ports_by_project', 'net_ports', ['project_id']);
    await object('net_security_groups')
      .addColumn('default_of', t.string(255), (c) => c.unique())
      .addColumn('stateful', t.bool, (c) => c.notNull())
      .addColumn('uses', t.big, (c) => c.notNull())
      .execute();
    await index('net_security_groups_by_project', 'net_security_groups', ['project_id']);
    await table('net_security_group_rules')
      .addColumn('id', t.key, (c) => c.primaryKey())
      .addColumn('uuid', t.uuid, (c) => c.notNull().unique())
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('group_uuid', t.uuid, (c) => c.notNull())
      .addColumn('direction', t.string(8), (c) => c.notNull())
      .addColumn('ethertype', t.string(8), (c) => c.notNull())
      .addColumn('protocol', t.string(40))
      .addColumn('port_min', t.int)
      .addColumn('port_max', t.int)
      .addColumn('remote_ip_prefix', t.string(64))
      .addColumn('remote_group_uuid', t.uuid)
      .addColumn('description', t.string(255), (c) => c.notNull())
      .addColumn('fingerprint', t.string(200), (c) => c.notNull())
      .addColumn('revision', t.int, (c) => c.notNull())
      .addColumn('created_at', t.big, (c) => c.notNull())
      .addColumn('updated_at', t.big, (c) => c.notNull())
      .addUniqueConstraint('net_security_group_rules_same', ['group_uuid', 'fingerprint'])
      .execute();
    await index('net_rules_by_remote', 'net_security_group_rules', ['remote_group_uuid']);
    await table('net_quotas')
      .addColumn('project_id', t.string(255), (c) => c.notNull())
      .addColumn('resource', t.string(64), (c) => c.notNull())
      .addColumn('limit_value', t.int)
      .addColumn('used', t.big, (c) => c.notNull())
      .addPrimaryKeyConstraint('net_quotas_pk', ['project_id', 'resource'])
      .execute();
  },
};
