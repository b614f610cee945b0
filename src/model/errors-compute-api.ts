import { row } from './errors.ts';

// Versions
export const versionNotFound = row<Record<string, never>>('version.not_found', 'notFound', () => 'The resource could not be found.');
export const foreignProject = row<{ url: string; token: string | null }>(
  'project.foreign',
  'invalid',
  (p) => `Malformed request URL: URL's project_id '${p.url}' doesn't match Context's project_id '${p.token ?? 'None'}'`,
);

// Flavors
export const flavorNotFound = row<{ id: string }>('flavor.not_found', 'notFound', (p) => `Flavor ${p.id} could not be found.`);
export const flavorIdTaken = row<{ id: string }>('flavor.id_taken', 'conflict', (p) => `Flavor with ID ${p.id} already exists.`);
export const flavorNameTaken = row<{ name: string }>('flavor.name_taken', 'conflict', (p) => `Flavor with name ${p.name} already exists.`);
export const flavorMarkerNotFound = row<{ marker: string }>('flavor.marker', 'invalid', (p) => `marker [${p.marker}] not found`);
export const flavorAccessExists = row<{ id: string; project: string }>(
  'flavor.access_exists',
  'conflict',
  (p) => `Flavor access already exists for flavor ${p.id} and project ${p.project} combination.`,
);
export const flavorAccessNotFound = row<{ id: string; project: string }>(
  'flavor.access_not_found',
  'notFound',
  (p) => `Flavor access not found for ${p.id} / ${p.project} combination.`,
);
export const flavorIsPublic = row<{ id: string }>(
  'flavor.is_public',
  'conflict',
  () => 'Can not add access to a public flavor: every project may use it already.',
);
export const publicFlavorHasNoAccessList = row<{ id: string }>(
  'flavor.no_access_list',
  'notFound',
  () => 'Access list not available for public flavors.',
);
export const extraSpecNotFound = row<{ id: string; key: string }>(
  'flavor.extra_spec_not_found',
  'notFound',
  (p) => `Flavor ${p.id} has no extra specs with key ${p.key}.`,
);

// Key pairs
export const keypairNotFound = row<{ user: string; name: string }>(
  'keypair.not_found',
  'notFound',
  (p) => `Keypair ${p.name} not found for user ${p.user}`,
);
export const keypairTaken = row<{ name: string }>('keypair.taken', 'conflict', (p) => `Key pair '${p.name}' already exists.`);
export const keypairInvalid = row<{ why: string }>('keypair.invalid', 'invalid', (p) => `Keypair data is invalid: ${p.why}`);
export const keypairMarkerNotFound = row<{ marker: string }>('keypair.marker', 'invalid', (p) => `marker [${p.marker}] not found`);
export const keypairQuota = row<{ limit: number; used: number; asked: number }>(
  'keypair.quota',
  'forbidden',
  (p) => `Quota exceeded, too many key pairs. Requested ${p.asked}, but already used ${p.used} of ${p.limit}.`,
);

// Hosts
export const hypervisorNotFound = row<{ id: string }>(
  'hypervisor.not_found',
  'notFound',
  (p) => `Hypervisor with ID '${p.id}' could not be found.`,
);
export const noHypervisorMatches = row<{ pattern: string }>(
  'hypervisor.no_match',
  'notFound',
  (p) => `No hypervisor matching '${p.pattern}' could be found.`,
);
export const hypervisorMarkerNotFound = row<{ marker: string }>('hypervisor.marker', 'invalid', (p) => `marker [${p.marker}] not found`);
export const hypervisorDown = row<{ host: string }>(
  'hypervisor.down',
  'invalid',
  (p) => `Service on host ${p.host} is unavailable at this time.`,
);
export const uptimeUnknown = row<{ host: string }>(
  'hypervisor.uptime_unknown',
  'notImplemented',
  (p) => `The hypervisor on host ${p.host} does not tell how long it is up.`,
);
export const serviceNotFound = row<{ id: string }>('service.not_found', 'notFound', (p) => `Service ${p.id} could not be found.`);
export const hostBinaryNotFound = row<{ host: string; binary: string }>(
  'service.host_binary_not_found',
  'notFound',
  (p) => `Could not find binary ${p.binary} on host ${p.host}.`,
);
export const serviceHasServers = row<{ host: string; servers: number }>(
  'service.has_servers',
  'conflict',
  (p) => `Unable to delete compute service that is hosting instances: ${p.servers} on ${p.host}. Migrate or delete the instances first.`,
);

// Extensions, limits and quotas
export const extensionNotFound = row<{ alias: string }>('extension.not_found', 'notFound', () => 'The resource could not be found.');
export const quotaBelowUsage = row<{ resource: string; limit: number; used: number }>(
  'quota.below_usage',
  'invalid',
  (p) => `Quota limit ${p.limit} for ${p.resource} must be greater than or equal to already used ${p.used}; set force to go below.`,
);
export const quotaAboveProject = row<{ resource: string; limit: number; most: number }>(
  'quota.above_project',
  'invalid',
  (p) =>
    `Quota limit ${p.limit} for ${p.resource} must be less than or equal to ${p.most}, what the project has left; set force to go above.`,
);
export const projectUnknown = row<{ id: string }>('project.unknown', 'invalid', (p) => `Project ID ${p.id} is not a valid project.`);
