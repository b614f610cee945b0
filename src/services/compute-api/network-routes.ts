import type { RouteTable } from '../../http/call.ts';
import { createExternalEvents } from './external-events.ts';
import { createInterface, deleteInterface, listInterfaces, showInterface } from './interfaces.ts';
import * as proxies from './network-proxies.ts';
import type { NetworkingParts } from './networking.ts';
import * as groups from './security-group-proxies.ts';
import { addFixedIp, addFloatingIp, removeFixedIp, removeFloatingIp } from './server-addresses.ts';
import { addSecurityGroup, listServerSecurityGroups, removeSecurityGroup } from './server-security-groups.ts';
import { externalEvents } from './shapes/external-events.ts';
import * as bodies from './shapes/networking.ts';
import { noQuery } from './shapes/server-common.ts';

const onServer = (rule: string) => ({ policy: `os_compute_api:${rule}`, policyOn: 'object' }) as const;
const addressActions = { until: '2.43' } as const;
const proxy = (rule: string) => ({ policy: `os_compute_api:${rule}`, until: '2.35' }) as const;

/** Ports, addresses and security groups of servers, and the old roads to the network service. */
export const networkRoutes: RouteTable<NetworkingParts> = {
  'GET /servers/:id/os-interface': { run: listInterfaces, query: noQuery, ...onServer('os-attach-interfaces:list') },
  'POST /servers/:id/os-interface': { run: createInterface, body: bodies.interfaceCreate, ...onServer('os-attach-interfaces:create') },
  'GET /servers/:id/os-interface/:portId': { run: showInterface, query: noQuery, ...onServer('os-attach-interfaces:show') },
  'DELETE /servers/:id/os-interface/:portId': { run: deleteInterface, ...onServer('os-attach-interfaces:delete') },
  'GET /servers/:id/os-security-groups': { run: listServerSecurityGroups, query: noQuery, ...onServer('os-security-groups:list') },

  'POST /servers/:id/action#addFixedIp': { run: addFixedIp, body: bodies.addFixedIp, ...addressActions, ...onServer('os-multinic:add') },
  'POST /servers/:id/action#removeFixedIp': {
    run: removeFixedIp,
    body: bodies.removeFixedIp,
    ...addressActions,
    ...onServer('os-multinic:remove'),
  },
  'POST /servers/:id/action#addFloatingIp': {
    run: addFloatingIp,
    body: bodies.addFloatingIp,
    ...addressActions,
    ...onServer('os-floating-ips:add'),
  },
  'POST /servers/:id/action#removeFloatingIp': {
    run: removeFloatingIp,
    body: bodies.removeFloatingIp,
    ...addressActions,
    ...onServer('os-floating-ips:remove'),
  },
  'POST /servers/:id/action#addSecurityGroup': {
    run: addSecurityGroup,
    body: bodies.addSecurityGroup,
    ...onServer('os-security-groups:add'),
  },
  'POST /servers/:id/action#removeSecurityGroup': {
    run: removeSecurityGroup,
    body: bodies.removeSecurityGroup,
    ...onServer('os-security-groups:remove'),
  },

  'POST /os-server-external-events': {
    run: createExternalEvents,
    body: externalEvents,
    policy: 'os_compute_api:os-server-external-events:create',
  },

  'GET /os-networks': { run: proxies.listNetworks, ...proxy('os-networks:list') },
  'GET /os-networks/:id': { run: proxies.showNetwork, ...proxy('os-networks:show') },
  'GET /os-tenant-networks': { run: proxies.listTenantNetworks, ...proxy('os-tenant-networks:list') },
  'GET /os-tenant-networks/:id': { run: proxies.showTenantNetwork, ...proxy('os-tenant-networks:show') },
  'GET /os-floating-ip-pools': { run: proxies.listFloatingIpPools, ...proxy('os-floating-ip-pools') },
  'GET /os-floating-ips': { run: proxies.listFloatingIps, ...proxy('os-floating-ips:list') },
  'POST /os-floating-ips': { run: proxies.createFloatingIp, body: bodies.floatingIpCreate, ...proxy('os-floating-ips:create') },
  'GET /os-floating-ips/:id': { run: proxies.showFloatingIp, ...proxy('os-floating-ips:show') },
  'DELETE /os-floating-ips/:id': { run: proxies.deleteFloatingIp, ...proxy('os-floating-ips:delete') },
  'GET /os-security-groups': { run: groups.listSecurityGroups, ...proxy('os-security-groups:get') },
  'POST /os-security-groups': { run: groups.createSecurityGroup, body: bodies.securityGroup, ...proxy('os-security-groups:create') },
  'GET /os-security-groups/:id': { run: groups.showSecurityGroup, ...proxy('os-security-groups:show') },
  'PUT /os-security-groups/:id': { run: groups.updateSecurityGroup, body: bodies.securityGroup, ...proxy('os-security-groups:update') },
  'DELETE /os-security-groups/:id': { run: groups.deleteSecurityGroup, ...proxy('os-security-groups:delete') },
  'POST /os-security-group-rules': {
    run: groups.createSecurityGroupRule,
    body: bodies.securityGroupRule,
    ...proxy('os-security-groups:rule:create'),
  },
  'DELETE /os-security-group-rules/:id': { run: groups.deleteSecurityGroupRule, ...proxy('os-security-groups:rule:delete') },
};
