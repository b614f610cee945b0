import type { RouteTable } from '../../http/call.ts';
import { listZoneDetails, listZones } from './availability-zones.ts';
import { listExtensions, showExtension } from './extensions.ts';
import { tellingFailures } from './failure-news.ts';
import { addFlavorAccess, listFlavorAccess, removeFlavorAccess } from './flavor-access.ts';
import { createExtraSpecs, listExtraSpecs, removeExtraSpec, showExtraSpec, updateExtraSpec } from './flavor-extra-specs.ts';
import { createFlavor, listFlavorDetails, listFlavorNames, removeFlavor, showFlavor, updateFlavor } from './flavors.ts';
import {
  listHypervisorDetails,
  listHypervisorNames,
  listHypervisorServers,
  searchHypervisors,
  showHypervisor,
  showHypervisorStatistics,
  showHypervisorUptime,
} from './hypervisors.ts';
import { createKeypair, listKeypairNames, removeKeypair, showKeypair } from './keypairs.ts';
import { showLimits } from './limits.ts';
import type { ComputeParts } from './parts.ts';
import { removeQuota, showDefaultQuota, showQuota, showQuotaDetail, updateQuota } from './quota-sets.ts';
import { listCloudServices, removeCloudService, updateCloudService } from './services.ts';
import {
  accessAdd,
  accessRemove,
  extraSpecsCreate,
  extraSpecUpdate,
  flavorCreate,
  flavorListQuery,
  flavorUpdate,
} from './shapes/flavors.ts';
import { hypervisorListQuery, hypervisorQuery, serviceListQuery, serviceUpdate } from './shapes/hosts.ts';
import { keypairCreate, keypairListQuery, keypairQuery } from './shapes/keypairs.ts';
import { noWords, query, texts } from './shapes/query.ts';
import { quotaQuery, quotaUpdate } from './shapes/quota-sets.ts';
import { showRootVersion, showVersion } from './versions.ts';

const nothing = noWords();

/** The table of contents of this room; servers have their own table beside it. */
export const routes: RouteTable<ComputeParts> = {
  'GET /': { run: showRootVersion, auth: 'none' },
  'GET /versions/:id': { run: showVersion, policy: 'none' },

  'GET /flavors': { run: listFlavorNames, query: flavorListQuery, policy: 'none' },
  'GET /flavors/detail': { run: listFlavorDetails, query: flavorListQuery, policy: 'none' },
  'POST /flavors': { run: createFlavor, body: flavorCreate, policy: 'os_compute_api:os-flavor-manage:create' },
  'GET /flavors/:id': { run: showFlavor, query: nothing, policy: 'none' },
  'PUT /flavors/:id': { run: updateFlavor, body: flavorUpdate, policy: 'os_compute_api:os-flavor-manage:update', since: '2.55' },
  'DELETE /flavors/:id': { run: removeFlavor, policy: 'os_compute_api:os-flavor-manage:delete' },
  'GET /flavors/:id/os-flavor-access': { run: listFlavorAccess, query: nothing, policy: 'os_compute_api:os-flavor-access' },
  'POST /flavors/:id/action#addTenantAccess': {
    run: addFlavorAccess,
    body: accessAdd,
    policy: 'os_compute_api:os-flavor-access:add_tenant_access',
  },
  'POST /flavors/:id/action#removeTenantAccess': {
    run: removeFlavorAccess,
    body: accessRemove,
    policy: 'os_compute_api:os-flavor-access:remove_tenant_access',
  },
  'GET /flavors/:id/os-extra_specs': { run: listExtraSpecs, query: nothing, policy: 'os_compute_api:os-flavor-extra-specs:index' },
  'POST /flavors/:id/os-extra_specs': {
    run: createExtraSpecs,
    body: extraSpecsCreate,
    policy: 'os_compute_api:os-flavor-extra-specs:create',
  },
  'GET /flavors/:id/os-extra_specs/:key': { run: showExtraSpec, query: nothing, policy: 'os_compute_api:os-flavor-extra-specs:show' },
  'PUT /flavors/:id/os-extra_specs/:key': {
    run: updateExtraSpec,
    body: extraSpecUpdate,
    policy: 'os_compute_api:os-flavor-extra-specs:update',
  },
  'DELETE /flavors/:id/os-extra_specs/:key': { run: removeExtraSpec, policy: 'os_compute_api:os-flavor-extra-specs:delete' },

  'GET /os-keypairs': { run: listKeypairNames, query: keypairListQuery, policy: 'os_compute_api:os-keypairs:index', policyOn: 'object' },
  'POST /os-keypairs': {
    run: tellingFailures(createKeypair),
    body: keypairCreate,
    policy: 'os_compute_api:os-keypairs:create',
    policyOn: 'object',
  },
  'GET /os-keypairs/:name': { run: showKeypair, query: keypairQuery, policy: 'os_compute_api:os-keypairs:show', policyOn: 'object' },
  'DELETE /os-keypairs/:name': {
    run: tellingFailures(removeKeypair),
    query: keypairQuery,
    policy: 'os_compute_api:os-keypairs:delete',
    policyOn: 'object',
  },

  'GET /limits': { run: showLimits, query: query({ tenant_id: texts() }, '2.75'), policy: 'os_compute_api:limits' },
  'GET /os-quota-sets/:id': { run: showQuota, query: quotaQuery, policy: 'os_compute_api:os-quota-sets:show', policyOn: 'object' },
  'GET /os-quota-sets/:id/defaults': { run: showDefaultQuota, policy: 'os_compute_api:os-quota-sets:defaults' },
  'GET /os-quota-sets/:id/detail': {
    run: showQuotaDetail,
    query: quotaQuery,
    policy: 'os_compute_api:os-quota-sets:detail',
    policyOn: 'object',
  },
  'PUT /os-quota-sets/:id': {
    run: updateQuota,
    body: quotaUpdate,
    query: quotaQuery,
    policy: 'os_compute_api:os-quota-sets:update',
    policyOn: 'object',
  },
  'DELETE /os-quota-sets/:id': { run: removeQuota, query: quotaQuery, policy: 'os_compute_api:os-quota-sets:delete', policyOn: 'object' },

  'GET /os-availability-zone': { run: listZones, query: nothing, policy: 'os_compute_api:os-availability-zone:list' },
  'GET /os-availability-zone/detail': { run: listZoneDetails, query: nothing, policy: 'os_compute_api:os-availability-zone:detail' },

  'GET /os-hypervisors': { run: listHypervisorNames, query: hypervisorListQuery, policy: 'os_compute_api:os-hypervisors:list' },
  'GET /os-hypervisors/detail': {
    run: listHypervisorDetails,
    query: hypervisorListQuery,
    policy: 'os_compute_api:os-hypervisors:list-detail',
  },
  'GET /os-hypervisors/statistics': {
    run: showHypervisorStatistics,
    policy: 'os_compute_api:os-hypervisors:statistics',
    until: '2.87',
  },
  'GET /os-hypervisors/:id': { run: showHypervisor, query: hypervisorQuery, policy: 'os_compute_api:os-hypervisors:show' },
  'GET /os-hypervisors/:id/uptime': { run: showHypervisorUptime, policy: 'os_compute_api:os-hypervisors:uptime', until: '2.87' },
  'GET /os-hypervisors/:id/search': { run: searchHypervisors, policy: 'os_compute_api:os-hypervisors:search', until: '2.52' },
  'GET /os-hypervisors/:id/servers': { run: listHypervisorServers, policy: 'os_compute_api:os-hypervisors:servers', until: '2.52' },

  'GET /os-services': { run: listCloudServices, query: serviceListQuery, policy: 'os_compute_api:os-services:list' },
  'PUT /os-services/:id': { run: updateCloudService, body: serviceUpdate, policy: 'os_compute_api:os-services:update' },
  'DELETE /os-services/:id': { run: removeCloudService, policy: 'os_compute_api:os-services:delete' },

  'GET /extensions': { run: listExtensions, query: nothing, policy: 'os_compute_api:extensions' },
  'GET /extensions/:alias': { run: showExtension, query: nothing, policy: 'os_compute_api:extensions' },
};
