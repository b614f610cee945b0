import { row } from './errors.ts';

// What is said of moves of servers: resize, migration, evacuation, shelving. Texts that clients see follow Nova's.
type Nothing = Record<string, never>;
export const sameFlavor = row<Nothing>('move.same_flavor', 'invalid', () => 'When resizing, instances must change flavor!');
export const diskCannotShrink = row<Nothing>(
  'move.disk_cannot_shrink',
  'invalid',
  () => "The requested flavor's root disk is smaller than the server's: a resize cannot shrink a disk.",
);
export const zeroDiskResize = row<Nothing>(
  'move.zero_disk',
  'invalid',
  () => 'A server with a local disk cannot be resized to a flavor whose root disk is 0.',
);
export const notResized = row<Nothing>('move.not_resized', 'invalid', () => 'Instance has not been resized.');
export const moveHostUnknown = row<{ host: string }>('move.host_unknown', 'invalid', (p) => `Compute host ${p.host} could not be found.`);
export const moveToSelf = row<{ host: string }>(
  'move.to_self',
  'invalid',
  (p) => `The server stands on host ${p.host} already: name another one.`,
);
export const sourceStillUp = row<{ host: string }>(
  'move.source_still_up',
  'invalid',
  (p) => `Compute service of ${p.host} is still in use.`,
);
export const sourceDown = row<{ host: string | null }>(
  'move.source_down',
  'conflict',
  () => 'The compute service of the host that runs this server is down: it can be evacuated, but not moved.',
);
export const migrationNotFound = row<{ id: string; server: string }>(
  'migration.not_found',
  'notFound',
  (p) => `Migration ${p.id} for instance ${p.server} could not be found.`,
);
export const migrationNotInProgress = row<{ id: string; server: string }>(
  'migration.not_in_progress',
  'notFound',
  (p) => `Live migration ${p.id} for server ${p.server} is not in progress.`,
);
export const migrationNotLive = row<{ id: string; server: string }>(
  'migration.not_live',
  'notFound',
  (p) => `Migration ${p.id} for server ${p.server} is not live-migration.`,
);
export const migrationWrongState = row<{ id: string; server: string; state: string; action: string }>(
  'migration.wrong_state',
  'invalid',
  (p) => `Migration ${p.id} state of instance ${p.server} is ${p.state}. Cannot ${p.action} while the migration is in this state.`,
);
export const moveOvertaken = row<{ server: string }>(
  'move.overtaken',
  'conflict',
  (p) => `Server ${p.server} is no longer where or what it was when the move was asked for: it stays as it is.`,
);
export const migrationAborted = row<Nothing>('migration.aborted', 'conflict', () => 'The live migration was aborted.');
/** What Nova refuses for servers with a TPM, by the name of the action: their secrets would be lost, or have to be told to another host. */
export const tpmForbids = row<{ operation: string; id: string }>(
  'server.tpm_forbids',
  'conflict',
  (p) => `'${p.operation}' not supported for vTPM-enabled instance (${p.id}).`,
);
/** `host` is for operators. */
export const targetSilent = row<{ host: string }>(
  'migration.target_silent',
  'conflict',
  () => 'The host that the server was being moved to does not answer any more.',
);
export const needsOffloaded = row<Nothing>(
  'unshelve.needs_offloaded',
  'conflict',
  () => 'A zone or host can be named only for a server that is shelved and offloaded.',
);
export const hostOutsideZone = row<{ host: string; zone: string }>(
  'unshelve.host_outside_zone',
  'conflict',
  (p) => `Host ${p.host} is not in the availability zone ${p.zone}.`,
);
