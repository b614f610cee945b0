import type { Generated } from 'kysely';

// Bool: 0/1. At: microseconds UTC. JsonText: JSON in a text column.
type Bool = number;
type At = number;
type JsonText = string;

/** What every object of the API has. */
interface Common {
  id: Generated<number>;
  uuid: string;
  project_id: string;
  name: string;
  description: string;
  /** JSON list of texts, in order of the alphabet. */
  tags: JsonText;
  revision: number;
  created_at: At;
  updated_at: At;
}
export interface NetNetworksTable extends Common {
  admin_state_up: Bool;
  shared: Bool;
  is_external: Bool;
  is_default: Bool;
  port_security: Bool;
  mtu: number;
  dns_domain: string;
  zone_hints: JsonText;
  provider_type: string;
  provider_physical: string | null;
  provider_segment: number | null;
  /** How many ports it has: a network with any cannot be deleted. */
  ports: number;
}
export interface NetSubnetsTable extends Common {
  network_uuid: string;
  ip_version: number;
  cidr: string;
  gateway_ip: string | null;
  enable_dhcp: Bool;
  /** [{ start, end }]. */
  pools: JsonText;
  name_servers: JsonText;
  host_routes: JsonText;
  service_types: JsonText;
  ipv6_ra_mode: string | null;
  ipv6_address_mode: string | null;
  /** Cursor of the allocation: how many addresses of the pools were handed out or passed over so far. Its update is the subnet's lock. */
  next_index: number;
}
/** One address of a subnet that is or was somebody's. */
export interface NetAddressesTable {
  subnet_uuid: string;
  address: string;
  /** Distance from the subnet's first address; null beyond 2^48. */
  position: number | null;
  /** Null: given back, free to be taken again. */
  port_uuid: string | null;
  /** The position again, but only while it is free to be taken: an index on it finds such a one at once, however full the subnet is. */
  freed: number | null;
}
export interface NetPortsTable extends Common {
  network_uuid: string;
  mac: string;
  admin_state_up: Bool;
  status: string;
  device_id: string;
  device_owner: string;
  host: string;
  vnic_type: string;
  profile: JsonText;
  /** [{ subnet_id, ip_address }]: a copy of net_addresses, written in the same transaction. */
  fixed_ips: JsonText;
  /** List of group uuids; each group counts its ports in `uses`. */
  security_groups: JsonText;
  address_pairs: JsonText;
  port_security: Bool;
}
export interface NetSecurityGroupsTable extends Common {
  /** The project whose default group it is; null for all others. */
  default_of: string | null;
  stateful: Bool;
  /** How many ports it is on: a group with any cannot be deleted. */
  uses: number;
}
export interface NetSecurityGroupRulesTable {
  id: Generated<number>;
  uuid: string;
  project_id: string;
  group_uuid: string;
  direction: string;
  ethertype: string;
  protocol: string | null;
  port_min: number | null;
  port_max: number | null;
  remote_ip_prefix: string | null;
  remote_group_uuid: string | null;
  description: string;
  /** Everything that makes two rules the same one. */
  fingerprint: string;
  revision: number;
  created_at: At;
  updated_at: At;
}
export interface NetRoutersTable extends Common {
  admin_state_up: Bool;
  gateway_network_uuid: string | null;
  /** Its port on the external network. Its other ports are those with its uuid as device_id and `network:router_interface` as owner. */
  gateway_port_uuid: string | null;
  enable_snat: Bool;
  /** [{ destination, nexthop }]. */
  routes: JsonText;
  distributed: Bool;
  ha: Bool;
  zone_hints: JsonText;
}
export interface NetFloatingIpsTable extends Omit<Common, 'name'> {
  /** The external network, and the port on it that holds the address. */
  network_uuid: string;
  port_uuid: string;
  address: string;
  /** All three null: not associated. One fixed address has at most one floating address of a network. */
  router_uuid: string | null;
  fixed_port_uuid: string | null;
  fixed_address: string | null;
}
export interface NetQuotasTable {
  project_id: string;
  resource: string;
  /** Null: the default holds. -1: without limit. */
  limit_value: number | null;
  used: number;
}

export interface NetworkTables {
  net_networks: NetNetworksTable;
  net_subnets: NetSubnetsTable;
  net_addresses: NetAddressesTable;
  net_ports: NetPortsTable;
  net_security_groups: NetSecurityGroupsTable;
  net_security_group_rules: NetSecurityGroupRulesTable;
  net_routers: NetRoutersTable;
  net_floating_ips: NetFloatingIpsTable;
  net_quotas: NetQuotasTable;
}
