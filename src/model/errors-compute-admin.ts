import { row } from './errors.ts';

// What operators' nouns say when they refuse: aggregates, hosts, groups, consoles, events. Texts that clients see follow Nova's.
type Nothing = Record<string, never>;

// Aggregates
export const aggregateNotFound = row<{ id: number }>('aggregate.not_found', 'notFound', (p) => `Aggregate ${p.id} could not be found.`);
export const aggregateNameTaken = row<{ name: string }>('aggregate.name_taken', 'conflict', (p) => `Aggregate ${p.name} already exists.`);
export const aggregateHasHost = row<{ id: number; host: string }>(
  'aggregate.has_host',
  'conflict',
  (p) => `Aggregate ${p.id} already has host ${p.host}.`,
);
export const aggregateHasNoHost = row<{ id: number; host: string }>(
  'aggregate.has_no_host',
  'notFound',
  (p) => `Cannot remove host ${p.host} in aggregate ${p.id}`,
);
export const aggregateNotEmpty = row<{ id: number }>(
  'aggregate.not_empty',
  'invalid',
  (p) => `Cannot remove host from aggregate ${p.id}. Reason: Host aggregate is not empty.`,
);
export const aggregateHostRefused = row<{ id: number; deed: 'add host to' | 'remove host from'; why: string }>(
  'aggregate.host_refused',
  'conflict',
  (p) => `Cannot ${p.deed} aggregate ${p.id}. Reason: ${p.why}.`,
);
export const aggregateChangeRefused = row<{ id: number; what: 'update' | 'update metadata of'; why: string }>(
  'aggregate.change_refused',
  'invalid',
  (p) => `Cannot ${p.what} aggregate ${p.id}. Reason: ${p.why}.`,
);
export const computeHostNotFound = row<{ host: string }>(
  'host.compute_not_found',
  'notFound',
  (p) => `Compute host ${p.host} could not be found.`,
);
export const hostNotFound = row<{ host: string }>('host.not_found', 'notFound', (p) => `Host ${p.host} could not be found.`);
export const hostPowerUnsupported = row<Nothing>(
  'host.power_unsupported',
  'notImplemented',
  () => 'Unable to support the requested feature: no hypervisor here turns its own host on or off, or keeps a maintenance mode.',
);
export const serviceHasMoves = row<{ host: string; moves: number }>(
  'service.has_moves',
  'conflict',
  () => 'Unable to delete compute service that has in-progress migrations. Complete the migrations or delete the instances first.',
);
export const evacuationsPending = row<{ host: string }>(
  'service.evacuations_pending',
  'invalid',
  (p) =>
    `Unable to force up host ${p.host} as \`done\` evacuation migration records remain associated with the host. Ensure the compute service has been restarted, allowing these records to move to \`completed\` before retrying this request.`,
);

// Server groups
export const serverGroupNotFound = row<{ id: string }>(
  'server_group.not_found',
  'notFound',
  (p) => `Instance group ${p.id} could not be found.`,
);
export const serverGroupQuota = row<{ limit: number; used: number; asked: number }>(
  'server_group.quota',
  'forbidden',
  (p) => `Quota exceeded, too many server groups. Requested ${p.asked}, but already used ${p.used} of ${p.limit}.`,
);
