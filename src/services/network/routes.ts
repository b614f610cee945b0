import type { Route, RouteTable } from '../../http/call.ts';
import { leaf } from '../../lib/shape.ts';
import { listAgents, listExtensions, listZones, showExtension } from './extensions.ts';
import { createFloatingIps, deleteFloatingIp, listFloatingIps, showFloatingIp, updateFloatingIp } from './floating-ips.ts';
import { listAvailabilities, showAvailability } from './ip-availability.ts';
import { createNetworks, deleteNetwork, listNetworks, showNetwork, updateNetwork } from './networks.ts';
import type { NetworkParts } from './parts.ts';
import { createPorts, deletePort, listPorts, showPort, updatePort } from './ports.ts';
import { deleteQuota, listQuotas, showQuota, showQuotaDefaults, showQuotaDetails, updateQuota } from './quota-views.ts';
import { addRouterInterface, removeRouterInterface } from './router-interfaces.ts';
import { addExtraRoutes, createRouters, deleteRouter, listRouters, removeExtraRoutes, showRouter, updateRouter } from './routers.ts';
import { createRules, deleteRule, listRules, showRule } from './security-group-rules.ts';
import { createGroups, deleteGroup, listGroups, showGroup, updateGroup } from './security-groups.ts';
import { createSubnets, deleteSubnet, listSubnets, showSubnet, updateSubnet } from './subnets.ts';
import { addTag, addTags, listTags, removeTag, removeTags, replaceTags, showTag } from './tags.ts';
import { listVersions, showVersion } from './versions.ts';

/** Bodies are read attribute by attribute (attributes.ts), with the sentences clients of this API know; here only: it is an object. */
const object = leaf<object>({ type: 'object' });

// Handlers ask their rules themselves: nearly all depend on the object or its network. A route's own rule is asked for the caller's project.
const tags = (plural: string): RouteTable<NetworkParts> => ({
  [`GET /v2.0/${plural}/:id/tags`]: { run: listTags, policy: 'get_tags' },
  [`PUT /v2.0/${plural}/:id/tags`]: { run: replaceTags, body: object, policy: 'update_tags' },
  [`POST /v2.0/${plural}/:id/tags`]: { run: addTags, body: object, policy: 'update_tags' },
  [`DELETE /v2.0/${plural}/:id/tags`]: { run: removeTags, policy: 'update_tags' },
  [`GET /v2.0/${plural}/:id/tags/:tag`]: { run: showTag, policy: 'get_tags' },
  [`PUT /v2.0/${plural}/:id/tags/:tag`]: { run: addTag, policy: 'update_tags' },
  [`DELETE /v2.0/${plural}/:id/tags/:tag`]: { run: removeTag, policy: 'update_tags' },
});

type Run = Route<NetworkParts>['run'];
const crud = (
  plural: string,
  rule: string,
  run: { list: Run; create: Run; show: Run; update?: Run; remove: Run },
): RouteTable<NetworkParts> => ({
  [`GET /v2.0/${plural}`]: { run: run.list, policy: 'get_any' },
  [`POST /v2.0/${plural}`]: { run: run.create, body: object, policy: `create_${rule}`, policyOn: 'object' },
  [`GET /v2.0/${plural}/:id`]: { run: run.show, policy: `get_${rule}`, policyOn: 'object' },
  ...(run.update
    ? { [`PUT /v2.0/${plural}/:id`]: { run: run.update, body: object, policy: `update_${rule}`, policyOn: 'object' as const } }
    : {}),
  [`DELETE /v2.0/${plural}/:id`]: { run: run.remove, policy: `delete_${rule}`, policyOn: 'object' },
});

export const networkRoutes: RouteTable<NetworkParts> = {
  'GET /': { run: listVersions, auth: 'none' },
  'GET /v2.0': { run: showVersion, auth: 'none' },
  'GET /v2.0/extensions': { run: listExtensions, policy: 'get_extension' },
  'GET /v2.0/extensions/:alias': { run: showExtension, policy: 'get_extension' },
  ...crud('networks', 'network', {
    list: listNetworks,
    create: createNetworks,
    show: showNetwork,
    update: updateNetwork,
    remove: deleteNetwork,
  }),
  ...crud('subnets', 'subnet', { list: listSubnets, create: createSubnets, show: showSubnet, update: updateSubnet, remove: deleteSubnet }),
  ...crud('ports', 'port', { list: listPorts, create: createPorts, show: showPort, update: updatePort, remove: deletePort }),
  ...crud('security-groups', 'security_group', {
    list: listGroups,
    create: createGroups,
    show: showGroup,
    update: updateGroup,
    remove: deleteGroup,
  }),
  ...crud('security-group-rules', 'security_group_rule', { list: listRules, create: createRules, show: showRule, remove: deleteRule }),
  ...crud('routers', 'router', { list: listRouters, create: createRouters, show: showRouter, update: updateRouter, remove: deleteRouter }),
  'PUT /v2.0/routers/:id/add_router_interface': {
    run: addRouterInterface,
    body: object,
    policy: 'add_router_interface',
    policyOn: 'object',
  },
  'PUT /v2.0/routers/:id/remove_router_interface': {
    run: removeRouterInterface,
    body: object,
    policy: 'remove_router_interface',
    policyOn: 'object',
  },
  'PUT /v2.0/routers/:id/add_extraroutes': { run: addExtraRoutes, body: object, policy: 'add_extraroutes', policyOn: 'object' },
  'PUT /v2.0/routers/:id/remove_extraroutes': { run: removeExtraRoutes, body: object, policy: 'remove_extraroutes', policyOn: 'object' },
  ...crud('floatingips', 'floatingip', {
    list: listFloatingIps,
    create: createFloatingIps,
    show: showFloatingIp,
    update: updateFloatingIp,
    remove: deleteFloatingIp,
  }),
  'GET /v2.0/network-ip-availabilities': { run: listAvailabilities, policy: 'get_network_ip_availability' },
  'GET /v2.0/network-ip-availabilities/:id': { run: showAvailability, policy: 'get_network_ip_availability' },
  ...tags('routers'),
  ...tags('floatingips'),
  ...tags('networks'),
  ...tags('subnets'),
  ...tags('ports'),
  ...tags('security-groups'),
  'GET /v2.0/quotas': { run: listQuotas, policy: 'update_quota' },
  'GET /v2.0/quotas/:project_id': { run: showQuota, policy: 'get_quota', policyOn: 'object' },
  'GET /v2.0/quotas/:project_id/default': { run: showQuotaDefaults, policy: 'get_quota', policyOn: 'object' },
  'GET /v2.0/quotas/:project_id/details': { run: showQuotaDetails, policy: 'get_quota', policyOn: 'object' },
  'GET /v2.0/quotas/:project_id/details.json': { run: showQuotaDetails, policy: 'get_quota', policyOn: 'object' },
  'PUT /v2.0/quotas/:project_id': { run: updateQuota, body: object, policy: 'update_quota' },
  'DELETE /v2.0/quotas/:project_id': { run: deleteQuota, policy: 'delete_quota' },
  'GET /v2.0/agents': { run: listAgents, policy: 'get_agent' },
  'GET /v2.0/availability_zones': { run: listZones, policy: 'get_availability_zone' },
};
