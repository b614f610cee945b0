import { row } from './errors.ts';

// What compute says of a server's ports and addresses, worded as Nova words it.
type Nothing = Record<string, never>;
export const noMoreFixedIps = row<{ network: string }>(
  'interface.no_more_fixed_ips',
  'invalid',
  (p) => `No fixed IP addresses available for network: ${p.network}`,
);
export const fixedIpInUse = row<{ address: string }>(
  'interface.fixed_ip_in_use',
  'conflict',
  (p) => `Fixed IP address ${p.address} is already in use.`,
);
export const interfacePortNotFound = row<{ id: string }>(
  'interface.port_not_found',
  'notFound',
  (p) => `Port id ${p.id} could not be found.`,
);
export const interfaceNetworkNotFound = row<{ id: string }>(
  'interface.network_not_found',
  'notFound',
  (p) => `Network ${p.id} could not be found.`,
);
export const portNotOnServer = row<{ id: string; port: string }>(
  'interface.port_not_on_server',
  'notFound',
  (p) => `Instance ${p.id} does not have a port with id ${p.port}`,
);
export const networkOrPort = row<Nothing>('interface.network_or_port', 'invalid', () => 'Must not input both network_id and port_id');
export const addressNeedsNetwork = row<Nothing>(
  'interface.address_needs_network',
  'invalid',
  () => 'Must input network_id when request IP address',
);
export const interfaceFailed = row<{ id: string; why: string }>(
  'interface.failed',
  'internal',
  (p) => `Failed to attach network adapter device to ${p.id}: ${p.why}`,
);
export const interfaceHostAway = row<{ id: string; why: string }>(
  'interface.host_away',
  'conflict',
  (p) => `Instance ${p.id} is not ready: ${p.why}`,
);
export const noInterfaceOnNetwork = row<{ id: string; network: string }>(
  'interface.none_on_network',
  'notFound',
  (p) => `Network ${p.network} could not be found for instance ${p.id}.`,
);
export const fixedIpNotOnServer = row<{ id: string; address: string }>(
  'interface.fixed_ip_not_on_server',
  'invalid',
  (p) => `Instance ${p.id} does not have fixed IP '${p.address}'.`,
);

export const floatingIpUnknown = row<{ address: string }>(
  'server.floating_ip_unknown',
  'notFound',
  (p) => `Floating IP not found for address ${p.address}.`,
);
export const floatingIpIdUnknown = row<{ id: string }>(
  'server.floating_ip_id_unknown',
  'notFound',
  (p) => `Floating IP not found for ID ${p.id}`,
);
export const noFixedIps = row<Nothing>('server.no_fixed_ips', 'invalid', () => 'No fixed IPs associated to instance');
export const fixedIpNotAssigned = row<Nothing>(
  'server.fixed_ip_not_assigned',
  'invalid',
  () => 'Specified fixed address not assigned to instance',
);
export const floatingIpNotAssociable = row<{ address: string; fixed: string; id: string; why: string }>(
  'server.floating_ip_not_associable',
  'invalid',
  (p) => `Unable to associate floating IP ${p.address} to fixed IP ${p.fixed} for instance ${p.id}. Error: ${p.why}`,
);
export const floatingIpElsewhere = row<{ address: string; id: string }>(
  'server.floating_ip_elsewhere',
  'conflict',
  (p) => `Floating IP ${p.address} is not associated with instance ${p.id}.`,
);
export const floatingPoolUnknown = row<Nothing>('server.floating_pool_unknown', 'notFound', () => 'Floating IP pool not found.');
export const floatingIpOverQuota = row<Nothing>('server.floating_ip_over_quota', 'forbidden', () => 'IP allocation over quota.');

export const serverGroupUnknown = row<{ name: string; project: string }>(
  'server.security_group_unknown',
  'notFound',
  (p) => `Security group ${p.name} not found for project ${p.project}.`,
);
export const serverGroupAmbiguous = row<{ name: string }>(
  'server.security_group_ambiguous',
  'conflict',
  (p) => `Multiple security groups found matching '${p.name}'. Use an ID to be more specific.`,
);
export const serverWithoutPorts = row<{ id: string }>(
  'server.without_ports',
  'notFound',
  (p) => `Security group cannot be changed: instance ${p.id} has no ports.`,
);
export const groupNotApplicable = row<{ id: string }>(
  'server.security_group_not_applicable',
  'invalid',
  (p) => `Network requires port_security_enabled and subnet associated in order to apply security groups (port ${p.id}).`,
);
export const groupNotOnServer = row<{ name: string; id: string }>(
  'server.security_group_not_on_server',
  'notFound',
  (p) => `Security group ${p.name} not associated with the instance ${p.id}`,
);
export const groupNotFound = row<{ id: string }>('proxy.security_group_not_found', 'notFound', (p) => `Security group ${p.id} not found.`);
export const groupIdMalformed = row<{ id: string }>(
  'security_group.id_malformed',
  'invalid',
  (p) => `Security group id should be uuid, but it is ${p.id}.`,
);
