import { type Expression, type ExpressionBuilder, type SqlBool, sql } from 'kysely';
import type { Schema } from '../../db/schema.ts';
import { type Call, one } from '../../http/call.ts';
import { isoMicros, type Micros } from '../../lib/clock.ts';
import type { Caller } from '../../model/caller.ts';
import { invalidInput } from '../../model/errors.ts';
import { adminOnlyDeleted } from '../../model/errors-compute.ts';
import type { Server } from '../../model/server.ts';
import { statesOf } from '../../model/server-states.ts';
import { filterExists, filtersForAll, unknownStatusIsRefused } from './server-behaviours.ts';
import { isAdmin } from './server-find.ts';
import { compilePattern, plainPattern } from './server-pattern.ts';

type Where = (eb: ExpressionBuilder<Schema, 'servers'>) => Expression<SqlBool>;

/** What a list is asked to hold: conditions for the database, and tests for what databases word differently (regular expressions). */
export interface ServerFilters {
  readonly where: readonly Where[];
  readonly tests: readonly ((server: Server) => boolean)[];
  /** Nothing can match. */
  readonly none: boolean;
}

// Regular expressions over what a server shows; Nova's column names.
const textOf: Readonly<Record<string, (server: Server) => readonly string[]>> = {
  name: (s) => [s.name],
  display_name: (s) => [s.name],
  description: (s) => [s.description ?? ''],
  display_description: (s) => [s.description ?? ''],
  hostname: (s) => [s.hostname],
  key_name: (s) => [s.keyName ?? ''],
  node: (s) => [s.node ?? ''],
  availability_zone: (s) => [s.availabilityZone ?? ''],
  reservation_id: (s) => [s.reservationId],
  root_device_name: (s) => [s.rootDeviceName ?? ''],
  config_drive: (s) => [s.configDrive],
  access_ip_v4: (s) => [s.accessIpV4 ?? ''],
  access_ip_v6: (s) => [s.accessIpV6 ?? ''],
  auto_disk_config: (s) => [s.diskConfig === 'AUTO' ? 'True' : 'False', s.diskConfig === 'AUTO' ? '1' : '0'],
  progress: (s) => [String(s.progress)],
  power_state: (s) => [String(s.powerState)],
  kernel_id: (s) => [s.image?.properties.kernel_id ?? ''],
  ramdisk_id: (s) => [s.image?.properties.ramdisk_id ?? ''],
  created_at: (s) => timeForms(s.createdAt),
  launched_at: (s) => timeForms(s.launchedAt),
  terminated_at: (s) => timeForms(s.terminatedAt),
  locked_by: (s) => [s.locked ? (s.lockedBy ?? 'owner') : ''],
  ip: (s) => addressesOf(s, 4),
  ip6: (s) => addressesOf(s, 6),
};
const timeForms = (at: Micros | null) => (at === null ? [''] : [isoMicros(at), isoMicros(at).replace('T', ' ')]);
const addressesOf = (server: Server, version: 4 | 6) =>
  server.networkInfo.flatMap((port) => port.addresses.filter((a) => a.version === version).map((a) => a.address));
/** Columns a plain pattern can be looked for in by the database first; the test then has the last word. */
const columnOf = {
  name: 'name',
  display_name: 'name',
  hostname: 'hostname',
  key_name: 'key_name',
  reservation_id: 'reservation_id',
} as const;

/** Reads the filters of a list. Throws invalidInput for values that cannot be read, policyForbids for all_tenants without the right.
 *  Spec: compute api-ref "List Servers"; words the caller may not filter by are dropped silently, as in Nova. */
export function readFilters(call: Call, allTenantsRule: string): ServerFilters {
  const everything = call.allows('os_compute_api:servers:allow_all_filters');
  const open = filtersForAll(call.version);
  const usable = (word: string) => filterExists(word, call.version) && (everything || open.has(word));
  const value = (word: string) => (usable(word) ? one(call, word) : undefined);
  const where: Where[] = [];
  const tests: ((server: Server) => boolean)[] = [];
  const is = (column: 'host' | 'uuid' | 'image_id' | 'flavor_id' | 'user_id' | 'project_id' | 'launch_index', wanted: string | number) =>
    where.push((eb) => eb(column, '=', wanted));
  let none = false;

  const statuses = usable('status') ? (call.query.status ?? []) : [];
  let vmStates = usable('vm_state') && call.query.vm_state ? [...call.query.vm_state] : undefined;
  let taskStates = usable('task_state') && call.query.task_state ? [...call.query.task_state] : undefined;
  if (statuses.length > 0) {
    const states = statesOf(statuses);
    if (states.vmStates.length === 0) {
      if (unknownStatusIsRefused(call.version)) throw invalidInput({ why: 'Invalid status value' });
      none = true;
    }
    vmStates = states.vmStates;
    taskStates = states.taskStates ?? undefined;
  }
  where.push(...lifeOf(call, value, vmStates));
  if (vmStates) where.push((eb) => eb('vm_state', 'in', vmStates.length ? vmStates : ['']));
  if (taskStates) where.push((eb) => eb('task_state', 'in', taskStates.length ? taskStates : ['']));

  where.push(...projectOf(call, value, allTenantsRule));
  const user = value('user_id');
  if (user !== undefined) is('user_id', user);
  const image = value('image') ?? value('image_ref');
  if (image !== undefined) is('image_id', image);
  const host = value('host');
  if (host !== undefined) is('host', host);
  const uuid = value('uuid');
  if (uuid !== undefined) is('uuid', uuid);
  const launchIndex = value('launch_index');
  if (launchIndex !== undefined) is('launch_index', /^\d{1,9}$/.test(launchIndex) ? Number(launchIndex) : -1);
  const flavor = value('flavor');
  if (flavor !== undefined) is('flavor_id', flavor.split('/').at(-1) ?? flavor);
  const locked = value('locked');
  if (locked !== undefined) where.push((eb) => eb('locked', '=', strictBool('locked', locked) ? 1 : 0));
  const metadata = value('metadata');
  if (metadata !== undefined) tests.push(metadataTest(metadata));
  where.push(...tagFilters(value));

  for (const [word, texts] of Object.entries(textOf)) {
    const source = value(word);
    if (source === undefined) continue;
    const fits = compilePattern(source.slice(0, 1000));
    tests.push((server) => texts(server).some(fits));
    const plain = plainPattern(source);
    const column = Object.hasOwn(columnOf, word) ? columnOf[word as keyof typeof columnOf] : undefined;
    if (plain && column && plain.text !== '') {
      where.push((eb) =>
        plain.exact
          ? eb(column, '=', plain.text)
          : eb(column, 'like', sql<string>`${`%${plain.text.replaceAll(/[%_\\!]/g, '!$&')}%`} escape '!'`),
      );
    }
  }
  return { where, tests, none };
}

type Value = (word: string) => string | undefined;

/** Living or deleted servers, and since when changed. */
function lifeOf(call: Call, value: Value, vmStates: readonly string[] | undefined): Where[] {
  const where: Where[] = [];
  const [since, before] = [timeOf(value, 'changes-since'), timeOf(value, 'changes-before')];
  if (since !== undefined && before !== undefined && since > before) {
    throw invalidInput({ why: 'The value of changes-since must be less than or equal to changes-before.' });
  }
  if (since !== undefined) where.push((eb) => eb('updated_at', '>=', since));
  if (before !== undefined) where.push((eb) => eb('updated_at', '<=', before));
  const asked = value('deleted');
  let deleted: boolean | undefined =
    asked === undefined ? (since === undefined && before === undefined ? false : undefined) : looseBool(asked);
  if (vmStates?.length === 1 && vmStates[0] === 'deleted') {
    if (!isAdmin(call)) throw adminOnlyDeleted({});
    deleted = true;
  }
  if (deleted === false) where.push((eb) => eb('deleted', '=', 0));
  if (deleted === true) where.push((eb) => eb('deleted', '<>', 0));
  if (!vmStates && !looseBool(value('soft_deleted') ?? '')) where.push((eb) => eb('vm_state', '<>', 'soft-delete'));
  return where;
}

/** The caller's own project, or all of them with the right to see them. Without all_tenants a project named in the query means nothing. */
function projectOf(call: Call, value: Value, allTenantsRule: string): Where[] {
  const asked = one(call, 'all_tenants');
  const all = asked !== undefined && (asked === '' || strictBool('all_tenants', asked));
  if (!all) return [ownProject(call.caller)];
  call.allow({ project_id: call.caller.projectId, user_id: call.caller.userId }, allTenantsRule);
  const project = value('tenant_id') ?? value('project_id');
  return project === undefined ? [] : [(eb) => eb('project_id', '=', project)];
}
const ownProject =
  (caller: Caller): Where =>
  (eb) =>
    caller.projectId === null ? eb('user_id', '=', caller.userId) : eb('project_id', '=', caller.projectId);

function tagFilters(value: Value): Where[] {
  const listed = (word: string) => value(word)?.split(',').filter(Boolean);
  const holds =
    (tag: string): Where =>
    (eb) =>
      eb.exists(
        eb
          .selectFrom('server_tags')
          .select('server_tags.tag')
          .whereRef('server_tags.server_id', '=', 'servers.id')
          .where('server_tags.tag', '=', tag.slice(0, 80)),
      );
  const every =
    (tags: readonly string[]): Where =>
    (eb) =>
      eb.and(tags.map((tag) => holds(tag)(eb)));
  const some =
    (tags: readonly string[]): Where =>
    (eb) =>
      eb.or(tags.map((tag) => holds(tag)(eb)));
  const not =
    (inner: Where): Where =>
    (eb) =>
      eb.not(inner(eb));
  const where: Where[] = [];
  const [all, any, notAll, notAny] = [listed('tags'), listed('tags-any'), listed('not-tags'), listed('not-tags-any')];
  if (all?.length) where.push(every(all));
  if (any?.length) where.push(some(any));
  if (notAll?.length) where.push(not(every(notAll)));
  if (notAny?.length) where.push(not(some(notAny)));
  return where;
}

function metadataTest(text: string): (server: Server) => boolean {
  let wanted: unknown;
  try {
    wanted = JSON.parse(text);
  } catch (cause) {
    throw invalidInput({ why: 'The metadata filter is not a JSON object.' }, { cause });
  }
  if (wanted === null || typeof wanted !== 'object' || Array.isArray(wanted))
    throw invalidInput({ why: 'The metadata filter is not a JSON object.' });
  const pairs = Object.entries(wanted);
  return (server) => pairs.every(([key, value]) => Object.hasOwn(server.metadata, key) && server.metadata[key] === String(value));
}

function timeOf(value: Value, word: string): Micros | undefined {
  const text = value(word);
  if (text === undefined) return undefined;
  const zoned = /(Z|[+-]\d{2}:?\d{2})$/.test(text) || !/[T ]/.test(text) ? text : `${text}Z`;
  const at = Date.parse(zoned);
  if (Number.isNaN(at)) throw invalidInput({ why: `Invalid filter field: ${word}.` });
  return at * 1000;
}

const TRUE = ['1', 't', 'true', 'on', 'y', 'yes'];
const FALSE = ['0', 'f', 'false', 'off', 'n', 'no'];
const looseBool = (text: string) => TRUE.includes(text.trim().toLowerCase());
function strictBool(word: string, text: string): boolean {
  const lower = text.trim().toLowerCase();
  if (TRUE.includes(lower)) return true;
  if (FALSE.includes(lower)) return false;
  throw invalidInput({ why: `Invalid value '${text.slice(0, 50)}' for ${word}: one of ${[...TRUE, ...FALSE].join(', ')} is expected.` });
}
