import { atLeast, type Version } from '../../lib/shape.ts';

// What servers do differently from some version on. Handlers ask these names; no handler compares versions.
const since = (from: Version) => (version: Version) => atLeast(version, from);

/** Older requests store the name as the description when they say none (they cannot). */
export const descriptionIsOwn = since('2.19');
/** A list filtered by a status that nobody knows is a 400, before: empty. */
export const unknownStatusIsRefused = since('2.38');

/** List filters that everybody may use; the others are for those whom `servers:allow_all_filters` trusts, and dropped silently else. */
const openFilters: readonly (readonly [since: Version, words: readonly string[]])[] = [
  ['2.1', ['reservation_id', 'name', 'status', 'image', 'flavor', 'ip', 'changes-since', 'all_tenants']],
  ['2.5', ['ip6']],
  ['2.26', ['tags', 'tags-any', 'not-tags', 'not-tags-any']],
  ['2.66', ['changes-before']],
  ['2.73', ['locked']],
  [
    '2.83',
    [
      'availability_zone',
      'config_drive',
      'key_name',
      'created_at',
      'launched_at',
      'terminated_at',
      'power_state',
      'task_state',
      'vm_state',
      'progress',
      'user_id',
    ],
  ],
  ['2.90', ['hostname']],
];
export const filtersForAll = (version: Version): ReadonlySet<string> =>
  new Set(openFilters.flatMap(([from, words]) => (atLeast(version, from) ? words : [])));

/** Words that are filters only from some version on, for everybody. */
const youngFilters: Readonly<Record<string, Version>> = {
  tags: '2.26',
  'tags-any': '2.26',
  'not-tags': '2.26',
  'not-tags-any': '2.26',
  'changes-before': '2.66',
  locked: '2.73',
};
export const filterExists = (word: string, version: Version) => {
  const from = youngFilters[word];
  return from === undefined || atLeast(version, from);
};
/** Whether a server list can be sorted by whether servers are locked. */
export const sortsByLocked = since('2.73');

/** A lock can say why. */
export const locksHaveReasons = since('2.73');
/** Snapshots and backups answer their image in the body, before: as Location. */
export const imageIdIsInTheBody = since('2.45');
/** Metadata of a snapshot is not held against the metadata quota any more. */
export const imageMetadataIsFree = since('2.39');
/** Servers whose root disk is a volume can be rescued. */
export const volumeBackedCanBeRescued = since('2.87');
/** Servers whose root disk is a volume can be rebuilt with another image. */
export const volumeBackedCanBeReimaged = since('2.93');
/** Diagnostics have one form whatever the hypervisor. */
export const diagnosticsAreUniform = since('2.48');

/** The history of a server outlives it. */
export const historyOutlivesServer = since('2.21');
/** Whoever may see an action sees its events, before: only those whom `os-instance-actions:events` trusts. */
export const ownerSeesEvents = since('2.51');
/** Action lists are paged and can be asked for a span of time. */
export const actionsArePaged = since('2.58');

const LAST_ALIAS: Version = '2.102';
/** Until when a route of servers has its other name under `os-volumes_boot`; undefined: never. */
export const volumesBootUntil = (route: { readonly since?: Version; readonly until?: Version }): Version | undefined => {
  if (route.since !== undefined && !atLeast(LAST_ALIAS, route.since)) return undefined;
  return route.until !== undefined && atLeast(LAST_ALIAS, route.until) ? route.until : LAST_ALIAS;
};
/** Evacuations to a named host are checked by the scheduler unless forced, before: never. */
export const evacuationAsksScheduler = since('2.29');
/** Evacuate finds out about shared storage by itself, and answers no password. */
export const evacuationKeepsPassword = since('2.14');
/** Evacuated servers are left stopped. */
export const evacuatedStayStopped = since('2.95');
/** Live migrations to a named host are checked by the scheduler unless forced, before: never. */
export const liveMigrationAsksScheduler = since('2.30');
/** Live migrations can be aborted before they run. */
export const queuedMigrationsCanBeAborted = since('2.65');
/** Lists of migrations have pages, the newest first. */
export const migrationsArePaged = since('2.59');
