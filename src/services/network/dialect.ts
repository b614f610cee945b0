import type { Dialect } from '../../http/app.ts';
import type { CloudError } from '../../model/errors.ts';

/** Type names that clients switch on, by our code. */
const TYPES: Readonly<Record<string, string>> = {
  'network.not_found': 'NetworkNotFound',
  'subnet.not_found': 'SubnetNotFound',
  'port.not_found': 'PortNotFound',
  'router.not_found': 'RouterNotFound',
  'floating_ip.not_found': 'FloatingIPNotFound',
  'router.in_use': 'RouterInUse',
  'router.gateway_in_use': 'RouterExternalGatewayInUseByFloatingIp',
  'router_interface.not_found': 'RouterInterfaceNotFound',
  'router_interface.not_found_for_subnet': 'RouterInterfaceNotFoundForSubnet',
  'router_interface.in_use_by_floating_ip': 'RouterInterfaceInUseByFloatingIP',
  'router_interface.in_use_by_route': 'RouterInterfaceInUseByRoute',
  'floating_ip.no_way_out': 'ExternalGatewayForFloatingIPNotFound',
  'floating_ip.already_associated': 'FloatingIPPortAlreadyAssociated',
  'port.serves_network': 'ServicePortInUse',
  'security_group.not_found': 'SecurityGroupNotFound',
  'security_group_rule.not_found': 'SecurityGroupRuleNotFound',
  'network_extension.not_found': 'ExtensionNotFound',
  'tag.not_found': 'TagNotFound',
  'network.in_use': 'NetworkInUse',
  'subnet.in_use': 'SubnetInUse',
  'port.in_use': 'PortInUse',
  'security_group.in_use': 'SecurityGroupInUse',
  'security_group.default_kept': 'SecurityGroupCannotRemoveDefault',
  'security_group.default_exists': 'SecurityGroupDefaultAlreadyExists',
  'security_group_rule.exists': 'SecurityGroupRuleExists',
  'address.none_left': 'IpAddressGenerationFailure',
  'address.taken': 'IpAddressAlreadyAllocated',
  'address.reserved': 'IpAddressInUse',
  'address.not_in_subnet': 'InvalidIpForSubnet',
  'address.not_in_network': 'InvalidIpForNetwork',
  'mac.in_use': 'MacAddressInUse',
  'network.over_quota': 'OverQuota',
  'network.quota_below_use': 'QuotaUpdateInvalid',
  'network.revision_mismatch': 'RevisionNumberConstraintFailed',
  'subnet.overlaps': 'InvalidInput',
  'network.bad_input': 'InvalidInput',
  'network.conflict': 'Conflict',
  'input.invalid': 'HTTPBadRequest',
  'input.malformed': 'HTTPBadRequest',
  'policy.forbids': 'PolicyNotAuthorized',
  'route.not_found': 'HTTPNotFound',
  'database.unavailable': 'ServiceUnavailable',
};
const BY_STATUS: Readonly<Record<number, string>> = {
  400: 'HTTPBadRequest',
  401: 'HTTPUnauthorized',
  403: 'HTTPForbidden',
  404: 'HTTPNotFound',
  409: 'Conflict',
  413: 'HTTPRequestEntityTooLarge',
  500: 'HTTPInternalServerError',
  501: 'HTTPNotImplemented',
  503: 'HTTPServiceUnavailable',
};

const typeOf = (error: CloudError, status: number) =>
  (typeof error.params.type === 'string' ? error.params.type : undefined) ?? TYPES[error.code] ?? BY_STATUS[status] ?? 'NeutronException';

/** The networking API's form of an error.  Spec: network api-ref, "Faults". */
export const networkDialect: Dialect = {
  fault: (error, status) => ({
    headers: { 'content-type': 'application/json', ...(status === 401 ? { 'www-authenticate': 'Keystone' } : {}) },
    body: JSON.stringify({
      NeutronError: {
        type: typeOf(error, status),
        message: error.code === 'policy.forbids' ? `rule:${String(error.params.rule)} is disallowed by policy` : error.message,
        detail: '',
      },
    }),
  }),
};
