import { row } from './errors.ts';

// One row per refusal of the networking API; services/network/dialect.ts gives each the type name that clients know.
type Id = { id: string };
export const networkNotFound = row<Id>('network.not_found', 'notFound', (p) => `Network ${p.id} could not be found.`);
export const subnetNotFound = row<Id>('subnet.not_found', 'notFound', (p) => `Subnet ${p.id} could not be found.`);
export const portNotFound = row<Id>('port.not_found', 'notFound', (p) => `Port ${p.id} could not be found.`);
export const securityGroupNotFound = row<Id>('security_group.not_found', 'notFound', (p) => `Security group ${p.id} does not exist`);
export const securityGroupRuleNotFound = row<Id>(
  'security_group_rule.not_found',
  'notFound',
  (p) => `Security group rule ${p.id} does not exist`,
);
export const extensionNotFound = row<{ alias: string }>(
  'network_extension.not_found',
  'notFound',
  (p) => `Extension with alias ${p.alias} does not exist`,
);
export const tagNotFound = row<{ tag: string }>('tag.not_found', 'notFound', (p) => `Tag ${p.tag} could not be found.`);
export const networkInUse = row<{ id: string; ports: number }>(
  'network.in_use',
  'conflict',
  (p) => `Unable to complete operation on network ${p.id}. There are one or more ports still in use on the network (${p.ports}).`,
);
export const subnetInUse = row<Id>(
  'subnet.in_use',
  'conflict',
  (p) => `Unable to complete operation on subnet ${p.id}: One or more ports have an IP allocation from this subnet.`,
);
export const portInUse = row<{ id: string; network: string; device: string }>(
  'port.in_use',
  'conflict',
  (p) => `Unable to complete operation on port ${p.id} for network ${p.network}. Port already has an attached device ${p.device}.`,
);
export const securityGroupInUse = row<{ id: string; why: string }>(
  'security_group.in_use',
  'conflict',
  (p) => `Security Group ${p.id} in use: ${p.why}.`,
);
export const defaultGroupKept = row<Id>(
  'security_group.default_kept',
  'conflict',
  () => 'Insufficient rights for removing default security group.',
);
export const defaultGroupExists = row<object & Record<string, never>>(
  'security_group.default_exists',
  'conflict',
  () => 'Default security group already exists.',
);
export const ruleExists = row<Id>(
  'security_group_rule.exists',
  'conflict',
  (p) => `Security group rule already exists. Rule id is ${p.id}.`,
);
export const noMoreAddresses = row<{ network: string }>(
  'address.none_left',
  'conflict',
  (p) => `No more IP addresses available on network ${p.network}.`,
);
export const addressTaken = row<{ address: string; subnet: string }>(
  'address.taken',
  'conflict',
  (p) => `IP address ${p.address} already allocated in subnet ${p.subnet}`,
);
export const addressReserved = row<{ address: string; subnet: string; why: string }>(
  'address.reserved',
  'conflict',
  (p) => `Unable to complete operation on subnet ${p.subnet}. The IP address ${p.address} is in use: ${p.why}.`,
);
export const addressNotInSubnet = row<{ address: string; subnet: string }>(
  'address.not_in_subnet',
  'invalid',
  (p) => `IP address ${p.address} is not a valid IP for the specified subnet ${p.subnet}.`,
);
export const addressNotInNetwork = row<{ address: string }>(
  'address.not_in_network',
  'invalid',
  (p) => `IP address ${p.address} is not a valid IP for any of the subnets on the specified network.`,
);
export const macInUse = row<{ network: string; mac: string }>(
  'mac.in_use',
  'conflict',
  (p) => `Unable to complete operation for network ${p.network}. The mac address ${p.mac} is in use.`,
);
export const overQuota = row<{ resource: string }>(
  'network.over_quota',
  'conflict',
  (p) => `Quota exceeded for resources: ['${p.resource}'].`,
);
export const quotaBelowUse = row<{ resource: string; used: number }>(
  'network.quota_below_use',
  'conflict',
  (p) => `The quota for ${p.resource} cannot be less than what is in use (${p.used}); send "force": true to set it all the same.`,
);
export const revisionMismatch = row<{ expected: number }>(
  'network.revision_mismatch',
  'staleGeneration',
  (p) => `Constrained to ${p.expected}, but current revision is different: the object was changed meanwhile.`,
);
export const subnetOverlaps = row<{ cidr: string; other: string }>(
  'subnet.overlaps',
  'invalid',
  (p) => `Requested subnet with cidr: ${p.cidr} for network overlaps with another subnet (${p.other}).`,
);
/** `type`: the type name clients know, where it is not InvalidInput. */
export const badNetworkInput = row<{ why: string; type?: string }>('network.bad_input', 'invalid', (p) => p.why);
export const networkConflict = row<{ why: string; type?: string }>('network.conflict', 'conflict', (p) => p.why);

// What compute tells of networks; worded as Nova words them.
export const networksAmbiguous = row<object & Record<string, never>>(
  'networks.ambiguous',
  'conflict',
  () => 'Multiple possible networks found, use a Network ID to be more specific.',
);
export const noNetworkToAllocate = row<{ project: string }>(
  'networks.none_for_project',
  'invalid',
  (p) => `Unable to automatically allocate a network for project ${p.project}: it has no network and none is shared with it.`,
);
export const requestedNetworkNotFound = row<Id>('networks.requested_not_found', 'invalid', (p) => `Network ${p.id} could not be found.`);
export const requestedPortNotFound = row<Id>('networks.port_not_found', 'invalid', (p) => `Port id ${p.id} could not be found.`);
export const requestedPortInUse = row<Id>('networks.port_in_use', 'conflict', (p) => `Port ${p.id} is still in use.`);
export const networkNeedsSubnet = row<Id>(
  'networks.needs_subnet',
  'invalid',
  (p) => `Network ${p.id} requires a subnet in order to boot instances on.`,
);
export const requestedNetworkDuplicated = row<Id>('networks.duplicated', 'invalid', (p) => `Port ${p.id} is requested twice.`);
export const externalNetworkForbidden = row<Id>(
  'networks.external_forbidden',
  'forbidden',
  (p) => `It is not allowed to create an interface on external network ${p.id}`,
);
export const portLimitExceeded = row<object & Record<string, never>>(
  'networks.port_limit',
  'forbidden',
  () => 'Maximum number of ports exceeded',
);
export const requestedAddressTaken = row<{ address: string; server: string }>(
  'networks.address_taken',
  'invalid',
  (p) => `Fixed IP address ${p.address} is already in use${p.server}.`,
);
export const requestedAddressInvalid = row<{ address: string }>(
  'networks.address_invalid',
  'invalid',
  (p) => `Fixed IP address ${p.address} is not inside any subnet of the network.`,
);
export const onePortForMany = row<object & Record<string, never>>(
  'networks.one_port_for_many',
  'invalid',
  () =>
    'Unable to launch multiple instances with a single configured port ID or fixed IP. Please launch your instance one by one with different ports.',
);
export const requestedGroupNotFound = row<{ name: string; project: string }>(
  'networks.group_not_found',
  'invalid',
  (p) => `Security group ${p.name} not found for project ${p.project}.`,
);
export const requestedGroupAmbiguous = row<{ name: string }>(
  'networks.group_ambiguous',
  'conflict',
  (p) => `Multiple security groups found matching '${p.name}'. Use an ID to be more specific.`,
);
