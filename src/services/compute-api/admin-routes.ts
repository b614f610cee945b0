import type { RouteTable } from '../../http/call.ts';
import type { AdminParts } from './admin-parts.ts';
import {
  addHost,
  cacheAggregateImages,
  createAggregate,
  listAllAggregates,
  removeAggregate,
  removeHost,
  setAggregateMetadata,
  showAggregate,
  updateAggregate,
} from './aggregates.ts';
import { tellingFailures } from './failure-news.ts';
import { listHosts, rebootHost, showHost, shutDownHost, startHost, updateHost } from './os-hosts.ts';
import { showQuotaClass, updateQuotaClass } from './quota-classes.ts';
import { createGroup, deleteGroup, listGroups, showGroup } from './server-groups.ts';
import {
  aggregateAddHost,
  aggregateCreate,
  aggregateImages,
  aggregateRemoveHost,
  aggregateSetMetadata,
  aggregateUpdate,
} from './shapes/aggregates.ts';
import { hostListQuery, hostUpdate } from './shapes/os-hosts.ts';
import { noWords } from './shapes/query.ts';
import { quotaClassUpdate } from './shapes/quota-sets.ts';
import { serverGroupCreate, serverGroupListQuery } from './shapes/server-groups.ts';
import { usageListQuery, usageQuery } from './shapes/usage.ts';
import { listUsage, showUsage } from './usage.ts';
import { listAudits, showAudits } from './usage-audits.ts';

const nothing = noWords();
const host = (deed: string) => ({ policy: `os_compute_api:os-hosts:${deed}`, until: '2.42' }) as const;
const group = (deed: string) => ({ policy: `os_compute_api:os-server-groups:${deed}` });
const aggregate = (deed: string) => ({ policy: `os_compute_api:os-aggregates:${deed}` });

/** What operators do with hosts and projects: a part of the compute API's table of contents. */
export const adminRoutes: RouteTable<AdminParts> = {
  'GET /os-aggregates': { run: listAllAggregates, query: nothing, ...aggregate('index') },
  'POST /os-aggregates': { run: tellingFailures(createAggregate), body: aggregateCreate, ...aggregate('create') },
  'GET /os-aggregates/:id': { run: showAggregate, query: nothing, ...aggregate('show') },
  'PUT /os-aggregates/:id': { run: tellingFailures(updateAggregate), body: aggregateUpdate, ...aggregate('update') },
  'DELETE /os-aggregates/:id': { run: tellingFailures(removeAggregate), ...aggregate('delete') },
  'POST /os-aggregates/:id/action#add_host': { run: tellingFailures(addHost), body: aggregateAddHost, ...aggregate('add_host') },
  'POST /os-aggregates/:id/action#remove_host': {
    run: tellingFailures(removeHost),
    body: aggregateRemoveHost,
    ...aggregate('remove_host'),
  },
  'POST /os-aggregates/:id/action#set_metadata': {
    run: tellingFailures(setAggregateMetadata),
    body: aggregateSetMetadata,
    ...aggregate('set_metadata'),
  },
  'POST /os-aggregates/:id/images': {
    run: cacheAggregateImages,
    body: aggregateImages,
    policy: 'compute:aggregates:images',
    since: '2.81',
  },

  'GET /os-hosts': { run: listHosts, query: hostListQuery, ...host('list') },
  'GET /os-hosts/:id': { run: showHost, ...host('show') },
  'PUT /os-hosts/:id': { run: tellingFailures(updateHost), body: hostUpdate, ...host('update') },
  'GET /os-hosts/:id/reboot': { run: tellingFailures(rebootHost), ...host('reboot') },
  'GET /os-hosts/:id/shutdown': { run: tellingFailures(shutDownHost), ...host('shutdown') },
  'GET /os-hosts/:id/startup': { run: tellingFailures(startHost), ...host('start') },

  'GET /os-quota-class-sets/:id': { run: showQuotaClass, query: nothing, policy: 'os_compute_api:os-quota-class-sets:show' },
  'PUT /os-quota-class-sets/:id': {
    run: updateQuotaClass,
    body: quotaClassUpdate,
    policy: 'os_compute_api:os-quota-class-sets:update',
  },

  'GET /os-simple-tenant-usage': { run: listUsage, query: usageListQuery, policy: 'os_compute_api:os-simple-tenant-usage:list' },
  'GET /os-simple-tenant-usage/:id': {
    run: showUsage,
    query: usageQuery,
    policy: 'os_compute_api:os-simple-tenant-usage:show',
    policyOn: 'object',
  },
  'GET /os-instance_usage_audit_log': { run: listAudits, query: nothing, policy: 'os_compute_api:os-instance-usage-audit-log:list' },
  'GET /os-instance_usage_audit_log/:before': {
    run: showAudits,
    query: nothing,
    policy: 'os_compute_api:os-instance-usage-audit-log:show',
  },

  'GET /os-server-groups': { run: listGroups, query: serverGroupListQuery, ...group('index') },
  'POST /os-server-groups': { run: createGroup, body: serverGroupCreate, ...group('create') },
  'GET /os-server-groups/:id': { run: showGroup, query: nothing, ...group('show'), policyOn: 'object' },
  'DELETE /os-server-groups/:id': { run: deleteGroup, ...group('delete'), policyOn: 'object' },
};
