import type { Call, Reply } from '../../http/call.ts';
import { extensionNotFound } from '../../model/errors-network.ts';
import { listAnswer } from './listing.ts';
import type { NetworkParts } from './parts.ts';

/** What this service really does beyond the core, by the alias clients ask for. */
const EXTENSIONS: Readonly<Record<string, string>> = {
  'security-group': 'Security groups and rules; every project has a default one.',
  'security-groups-normalized-cidr': 'Rules show their normalized CIDR.',
  'stateful-security-group': 'Security groups may be stateless.',
  'external-net': 'Networks may be external.',
  router: 'Routers between subnets, and floating addresses.',
  'ext-gw-mode': "A router's gateway may leave addresses as they are.",
  extraroute: 'Routers carry routes of their own.',
  'extraroute-atomic': 'Routes of a router are added and removed one by one.',
  'l3-ha': 'Routers tell whether they are doubled.',
  dvr: 'Routers tell whether they are spread over hosts.',
  router_availability_zone: 'Availability zone hints of routers.',
  'fip-port-details': 'Floating addresses show their port.',
  'network-ip-availability': 'How many addresses are in use.',
  provider: 'Provider attributes of networks, for operators.',
  binding: 'Ports are bound to hosts.',
  'port-security': 'Filtering of a port can be turned off.',
  'allowed-address-pairs': 'Addresses a port may use besides its own.',
  'net-mtu': 'Networks show their MTU.',
  'net-mtu-writable': 'The MTU of a network can be set.',
  quotas: 'Limits for each project.',
  quota_details: 'Limits with what is used.',
  'quota-check-limit': 'A new limit may be held against what is used.',
  availability_zone: 'Availability zones.',
  network_availability_zone: 'Availability zone hints of networks.',
  agent: 'The list of agents.',
  'standard-attr-description': 'Every object has a description.',
  'standard-attr-revisions': 'Every object counts its changes.',
  'standard-attr-tag': 'Objects carry tags.',
  'standard-attr-timestamp': 'Objects tell when they were made and changed.',
  'revision-if-match': 'Changes may be made to depend on a revision.',
  'project-id': 'project_id beside tenant_id.',
  'filter-validation': 'Filters that do not exist are refused.',
  'empty-string-filtering': 'A filter may ask for an empty text.',
  sorting: 'Lists can be sorted.',
  pagination: 'Lists come in pages.',
  'subnet-service-types': 'Subnets may be meant for some kinds of ports only.',
  'tag-ports-during-bulk-creation': 'New ports may bring their tags.',
};
const ALIASES = Object.keys(EXTENSIONS);
const view = (alias: string) => ({ alias, name: alias, description: EXTENSIONS[alias], updated: '2024-01-01T00:00:00-00:00', links: [] });

export const listExtensions = (_parts: NetworkParts, call: Call): Reply =>
  listAnswer(call, { table: '', plural: 'extensions', columns: {}, hasTags: false }, ALIASES.map(view), undefined);

export function showExtension(_parts: NetworkParts, call: Call): Reply {
  const alias = call.params.alias ?? '';
  if (!ALIASES.includes(alias)) throw extensionNotFound({ alias: alias.slice(0, 100) });
  return { status: 200, body: { extension: view(alias) } };
}

/** There are none: hosts do their own networking and report it to compute. */
export const listAgents = (): Reply => ({ status: 200, body: { agents: [] } });

export const listZones = (): Reply => ({
  status: 200,
  body: {
    availability_zones: ['network', 'router'].map((resource) => ({ name: 'nova', resource, state: 'available' })),
  },
});
