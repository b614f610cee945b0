const ADMIN = 'rule:elevated';
const OWNER_READS = '(rule:elevated) or (role:reader and project_id:%(project_id)s)';
const OWNER_WRITES = '(rule:elevated) or (role:member and project_id:%(project_id)s)';
const NETWORK_OWNER = '(rule:elevated) or (role:member and project_id:%(network:project_id)s)';
const EITHER_OWNER = `${OWNER_WRITES} or (role:member and project_id:%(network:project_id)s)`;

/** Who may do what; Neutron's defaults with roles. Compute's service user acts for all projects, as admin does.
 *  Spec: network service, "policy.yaml" sample. */
export const networkPolicies = {
  elevated: 'role:admin or role:service',

  get_any: 'rule:elevated or role:reader',

  create_network: OWNER_WRITES,
  'create_network:shared': ADMIN,
  'create_network:router:external': ADMIN,
  'create_network:is_default': ADMIN,
  'create_network:port_security_enabled': OWNER_WRITES,
  'create_network:provider': ADMIN,
  get_network: `${OWNER_READS} or 'True':%(shared)s or 'True':%(router:external)s`,
  'get_network:provider': ADMIN,
  update_network: OWNER_WRITES,
  'update_network:shared': ADMIN,
  'update_network:router:external': ADMIN,
  'update_network:is_default': ADMIN,
  'update_network:port_security_enabled': OWNER_WRITES,
  'update_network:provider': ADMIN,
  delete_network: OWNER_WRITES,

  create_subnet: NETWORK_OWNER,
  get_subnet: `${OWNER_READS} or (role:reader and project_id:%(network:project_id)s) or 'True':%(shared)s`,
  update_subnet: EITHER_OWNER,
  delete_subnet: EITHER_OWNER,

  create_port: OWNER_WRITES,
  'create_port:device_owner': `not 'True':%(network_device)s or ${NETWORK_OWNER}`,
  'create_port:mac_address': NETWORK_OWNER,
  'create_port:fixed_ips': `${NETWORK_OWNER} or 'True':%(shared)s`,
  'create_port:fixed_ips:ip_address': NETWORK_OWNER,
  'create_port:port_security_enabled': NETWORK_OWNER,
  'create_port:binding:host_id': ADMIN,
  'create_port:binding:profile': 'role:service or role:admin',
  'create_port:binding:vnic_type': OWNER_WRITES,
  'create_port:allowed_address_pairs': NETWORK_OWNER,
  get_port: `${OWNER_READS} or (role:reader and project_id:%(network:project_id)s)`,
  'get_port:binding': ADMIN,
  update_port: EITHER_OWNER,
  'update_port:device_owner': `not 'True':%(network_device)s or ${NETWORK_OWNER}`,
  'update_port:mac_address': ADMIN,
  'update_port:fixed_ips': `${NETWORK_OWNER} or 'True':%(shared)s`,
  'update_port:fixed_ips:ip_address': NETWORK_OWNER,
  'update_port:port_security_enabled': NETWORK_OWNER,
  'update_port:binding:host_id': ADMIN,
  'update_port:binding:profile': ADMIN,
  'update_port:binding:vnic_type': OWNER_WRITES,
  'update_port:allowed_address_pairs': NETWORK_OWNER,
  delete_port: EITHER_OWNER,

  create_security_group: OWNER_WRITES,
  get_security_group: OWNER_READS,
  update_security_group: OWNER_WRITES,
  delete_security_group: OWNER_WRITES,
  create_security_group_rule: OWNER_WRITES,
  get_security_group_rule: OWNER_READS,
  delete_security_group_rule: OWNER_WRITES,

  get_quota: OWNER_READS,
  update_quota: 'role:admin',
  delete_quota: 'role:admin',

  get_tags: '@',
  update_tags: '@',
  get_agent: ADMIN,
  get_availability_zone: '@',
  get_extension: '@',
} as const satisfies Record<string, string>;
