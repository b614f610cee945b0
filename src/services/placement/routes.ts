import type { Route, RouteTable } from '../../http/call.ts';
import { listAggregates, setAggregates } from './aggregates.ts';
import { deleteAllocations, postAllocations, putAllocations, showAllocations, showProviderAllocations } from './allocations.ts';
import { answering, plain, taking } from './bodies.ts';
import { listCandidates } from './candidates.ts';
import {
  createInventory,
  deleteInventories,
  deleteInventory,
  listInventories,
  setInventoriesOf,
  showInventory,
  updateInventory,
} from './inventories.ts';
import type { PlacementParts } from './parts.ts';
import { createProvider, deleteProvider, listProviders, showProvider, updateProvider } from './providers.ts';
import { reshapeProviders } from './reshaper.ts';
import { createClass, deleteClass, listClasses, putClass, renameClassOf, showClass } from './resource-classes.ts';
import { deleteProviderTraits, deleteTrait, listProviderTraits, listTraits, putTrait, setProviderTraits, showTrait } from './traits.ts';
import { showProjectUsages, showProviderUsages } from './usages.ts';
import { showVersions } from './versions.ts';

type Of = Route<PlacementParts>;
type Since = Pick<Of, 'since' | 'until'>;
const rule = (name: string) => `placement:${name}`;
const reads = (policy: string, run: Parameters<typeof answering>[0], more: Since = {}): Of => ({
  run: answering(run),
  policy: rule(policy),
  ...more,
});
const writes = (policy: string, run: Parameters<typeof taking>[0], more: Since = {}): Of => ({
  run: taking(run),
  rawBody: true,
  policy: rule(policy),
  ...more,
});
const does = (policy: string, run: Parameters<typeof plain>[0], more: Since = {}): Of => ({
  run: plain(run),
  policy: rule(policy),
  ...more,
});

const PROVIDER = '/resource_providers/:uuid';

/** The placement API. Spec: placement api-ref. */
export const placementRoutes: RouteTable<PlacementParts> = {
  'GET /': { run: showVersions, auth: 'none' },
  'GET /resource_classes': reads('resource_classes:list', listClasses, { since: '1.2' }),
  'POST /resource_classes': writes('resource_classes:create', createClass, { since: '1.2' }),
  'GET /resource_classes/:name': reads('resource_classes:show', showClass, { since: '1.2' }),
  'PUT /resource_classes/:name': writes('resource_classes:update', renameClassOf, { since: '1.2', until: '1.6' }),
  'PUT  /resource_classes/:name': does('resource_classes:update', putClass, { since: '1.7' }),
  'DELETE /resource_classes/:name': does('resource_classes:delete', deleteClass, { since: '1.2' }),
  'GET /resource_providers': reads('resource_providers:list', listProviders),
  'POST /resource_providers': writes('resource_providers:create', createProvider),
  [`GET ${PROVIDER}`]: reads('resource_providers:show', showProvider),
  [`PUT ${PROVIDER}`]: writes('resource_providers:update', updateProvider),
  [`DELETE ${PROVIDER}`]: does('resource_providers:delete', deleteProvider),
  [`GET ${PROVIDER}/inventories`]: reads('resource_providers:inventories:list', listInventories),
  [`POST ${PROVIDER}/inventories`]: writes('resource_providers:inventories:create', createInventory),
  [`PUT ${PROVIDER}/inventories`]: writes('resource_providers:inventories:update', setInventoriesOf),
  [`DELETE ${PROVIDER}/inventories`]: does('resource_providers:inventories:delete', deleteInventories),
  [`GET ${PROVIDER}/inventories/:resource_class`]: reads('resource_providers:inventories:show', showInventory),
  [`PUT ${PROVIDER}/inventories/:resource_class`]: writes('resource_providers:inventories:update', updateInventory),
  [`DELETE ${PROVIDER}/inventories/:resource_class`]: does('resource_providers:inventories:delete', deleteInventory),
  [`GET ${PROVIDER}/usages`]: reads('resource_providers:usages', showProviderUsages),
  [`GET ${PROVIDER}/aggregates`]: reads('resource_providers:aggregates:list', listAggregates, { since: '1.1' }),
  [`PUT ${PROVIDER}/aggregates`]: writes('resource_providers:aggregates:update', setAggregates, { since: '1.1' }),
  [`GET ${PROVIDER}/allocations`]: reads('resource_providers:allocations:list', showProviderAllocations),
  [`GET ${PROVIDER}/traits`]: reads('resource_providers:traits:list', listProviderTraits, { since: '1.6' }),
  [`PUT ${PROVIDER}/traits`]: writes('resource_providers:traits:update', setProviderTraits, { since: '1.6' }),
  [`DELETE ${PROVIDER}/traits`]: does('resource_providers:traits:delete', deleteProviderTraits, { since: '1.6' }),
  'POST /allocations': writes('allocations:manage', postAllocations, { since: '1.13' }),
  'GET /allocations/:consumer_uuid': reads('allocations:list', showAllocations),
  'PUT /allocations/:consumer_uuid': writes('allocations:update', putAllocations),
  'DELETE /allocations/:consumer_uuid': does('allocations:delete', deleteAllocations),
  'GET /allocation_candidates': reads('allocation_candidates:list', listCandidates, { since: '1.10' }),
  'GET /traits': reads('traits:list', listTraits, { since: '1.6' }),
  'GET /traits/:name': does('traits:show', showTrait, { since: '1.6' }),
  'PUT /traits/:name': does('traits:update', putTrait, { since: '1.6' }),
  'DELETE /traits/:name': does('traits:delete', deleteTrait, { since: '1.6' }),
  'GET /usages': { ...reads('usages', showProjectUsages, { since: '1.9' }), policyOn: 'object' },
  'POST /reshaper': writes('reshaper:reshape', reshapeProviders, { since: '1.30' }),
};
