import { createHash } from 'node:crypto';
import type { Database, Query } from '../../db/engine.ts';
import { insertActions } from '../../db/tables/compute/actions.ts';
import { insertBlockDevices, type NewBlockDevice } from '../../db/tables/compute/block-devices.ts';
import { writeChange, writeChanges } from '../../db/tables/compute/changes.ts';
import { insertJobs } from '../../db/tables/compute/jobs.ts';
import { limitsWithUser } from '../../db/tables/compute/quota-limits.ts';
import { type QuotaShort, takeQuota, userQuotaShort } from '../../db/tables/compute/quotas.ts';
import { findServerGroup } from '../../db/tables/compute/server-groups.ts';
import { insertServers, type NewServer, newServerRow } from '../../db/tables/compute/servers.ts';
import type { Micros } from '../../lib/clock.ts';
import type { JobContext } from '../../model/caller.ts';
import { groupMembersExceeded, groupUnknown, idempotencyConflict, quotaExceeded } from '../../model/errors-compute.ts';
import type { BuildServerInput } from '../../model/jobs.ts';
import { notice, serverGroupPayload } from '../../model/notices.ts';
import { taskDeadline } from './server-tasks.ts';

/** What a create has come to: everything resolved and checked, nothing written. */
export interface Acceptance {
  /** Makes the servers for a count that quota allows. The count is between `min` and `max`. */
  readonly servers: (count: number) => readonly NewServer[];
  readonly min: number;
  readonly max: number;
  readonly tags: readonly string[];
  /** Rows of a server's own disks. */
  readonly devices: (serverUuid: string, now: Micros) => readonly NewBlockDevice[];
  /** What was set aside for it elsewhere is its own from now on. */
  readonly fulfil: (tx: Query) => Promise<void>;
  readonly groupUuid: string | null;
  readonly build: Omit<BuildServerInput, 'serverUuid'>;
  readonly context: JobContext;
  readonly idempotency: Idempotency | undefined;
  /** Limits of projects without their own. */
  readonly limits: Readonly<Record<string, number>>;
  /** Who says so in notifications: 'nova-api:<host>'. */
  readonly publisher: string;
  readonly now: Micros;
}
export interface Idempotency {
  readonly key: string;
  readonly bodyHash: string;
}
export const bodyHash = (body: unknown): string => createHash('sha256').update(JSON.stringify(body)).digest('hex');

/** What stands in the tables after an accept: the new servers, or those of the request that came first with the same key. */
export type Accepted =
  | { readonly fresh: true; readonly servers: readonly NewServer[] }
  | { readonly fresh: false; readonly serverUuid: string; readonly reservationId: string };

/** Rolls the transaction back when a counter was short. */
export class Short extends Error {
  readonly short: QuotaShort;
  constructor(short: QuotaShort) {
    super('quota is short');
    this.short = short;
  }
}

/** Accepts servers in one transaction: idempotency key, quota, rows, group membership, action, jobs and change rows; or nothing at all.
 *  Makes as many as quota has room for, at least `min`. Throws quotaExceeded, idempotencyConflict, groupUnknown, groupMembersExceeded. */
export async function accept(db: Database, acceptance: Acceptance): Promise<Accepted> {
  for (let count = acceptance.max; ; ) {
    try {
      return await db.transaction((tx) => write(tx, db, acceptance, acceptance.servers(count)));
    } catch (cause) {
      if (!(cause instanceof Short)) throw cause;
      const room = Math.min(count - 1, roomFor(cause.short, count));
      if (room < acceptance.min) throw overQuota(cause.short);
      count = room;
    }
  }
}

/** How many of `count` equal servers fit what is left. */
const roomFor = (short: QuotaShort, count: number) =>
  Math.min(...short.map(({ asked, used, limit }) => Math.floor((limit - used) / (asked / count))));

/** The 403 that says what was short. */
export function overQuota(short: QuotaShort) {
  const join = (read: (one: QuotaShort[number]) => string | number) => short.map(read).join(', ');
  return quotaExceeded({
    over: join((one) => one.resource),
    asked: join((one) => one.asked),
    used: join((one) => one.used),
    limit: join((one) => one.limit),
  });
}

async function write(tx: Query, db: Database, acceptance: Acceptance, servers: readonly NewServer[]): Promise<Accepted> {
  const { context, now } = acceptance;
  const first = servers[0];
  if (!first) throw new Error('a create of no servers');
  if (acceptance.idempotency) {
    const earlier = await claimKey(tx, db.kind, context.projectId, acceptance.idempotency, first, now);
    if (earlier) return { fresh: false, ...earlier };
  }
  await acceptance.fulfil(tx);
  const { flavor } = first;
  const { project: limits, user: own } = await limitsWithUser(tx, acceptance.limits, context.projectId, context.userId);
  const share = { instances: servers.length, cores: servers.length * flavor.vcpus, ram: servers.length * flavor.memoryMiB };
  const short =
    (await takeQuota(tx, db.kind, context.projectId, share, limits)) ??
    (await userQuotaShort(tx, context.projectId, context.userId, share, own));
  if (short) throw new Short(short);
  const deadline = taskDeadline('build-server', now);
  await insertServers(
    tx,
    servers.map((server) => newServerRow(server, deadline)),
  );
  if (acceptance.groupUuid !== null) {
    await joinGroup(tx, acceptance.groupUuid, context.projectId, servers, own.server_group_members ?? limits.server_group_members ?? -1);
    await tellGroup(tx, acceptance.groupUuid, acceptance);
  }
  const devices = servers.flatMap(({ uuid }) => acceptance.devices(uuid, now));
  if (devices.length > 0) await insertBlockDevices(tx, devices);
  if (acceptance.tags.length > 0) await insertTags(tx, servers, acceptance.tags);
  await insertActions(
    tx,
    servers.map(({ uuid }) => ({ serverUuid: uuid, action: 'create', context, at: now })),
  );
  await insertJobs(
    tx,
    servers.map(({ uuid }) => ({
      kind: 'build-server' as const,
      serverUuid: uuid,
      input: { ...acceptance.build, serverUuid: uuid },
      context,
      now,
    })),
  );
  await writeChanges(
    tx,
    servers.map(({ uuid, projectId, vmState, taskState }) => ({
      noun: 'server' as const,
      key: uuid,
      what: 'created',
      projectId,
      body: { vmState, taskState },
      at: now,
    })),
  );
  return { fresh: true, servers };
}

/** Takes the key for this request; answers the earlier request's servers when it is taken. Throws idempotencyConflict when that had another body. */
async function claimKey(
  tx: Query,
  kind: Database['kind'],
  projectId: string,
  { key, bodyHash: hash }: Idempotency,
  server: NewServer,
  now: Micros,
): Promise<{ serverUuid: string; reservationId: string } | undefined> {
  const insert = tx.insertInto('idempotency_keys').values({
    project_id: projectId,
    key,
    body_hash: hash,
    server_uuid: server.uuid,
    reservation_id: server.reservationId,
    created_at: now,
  });
  const result = await (kind === 'mariadb' ? insert.ignore() : insert.onConflict((conflict) => conflict.doNothing())).executeTakeFirst();
  if (result.numInsertedOrUpdatedRows !== undefined && result.numInsertedOrUpdatedRows > 0n) return undefined;
  return findKey(tx, projectId, { key, bodyHash: hash });
}

/** What an earlier request with this key made, if there was one. Throws idempotencyConflict when it had another body. */
export async function findKey(
  db: Query,
  projectId: string,
  { key, bodyHash: hash }: Idempotency,
): Promise<{ serverUuid: string; reservationId: string } | undefined> {
  const row = await db
    .selectFrom('idempotency_keys')
    .selectAll()
    .where('project_id', '=', projectId)
    .where('key', '=', key)
    .executeTakeFirst();
  if (!row) return undefined;
  if (row.body_hash !== hash) throw idempotencyConflict({ key });
  return { serverUuid: row.server_uuid, reservationId: row.reservation_id };
}

/** Makes the servers members of their group. The group's row is locked first, so that its count cannot be passed by two at once. */
async function joinGroup(tx: Query, groupUuid: string, projectId: string, servers: readonly NewServer[], limit: number): Promise<void> {
  const { numUpdatedRows } = await tx
    .updateTable('server_groups')
    .set((eb) => ({ name: eb.ref('name') }))
    .where('uuid', '=', groupUuid)
    .where('project_id', '=', projectId)
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw groupUnknown({ id: groupUuid });
  await tx
    .insertInto('server_group_members')
    .values(servers.map(({ uuid }) => ({ group_uuid: groupUuid, server_uuid: uuid })))
    .execute();
  const { members } = await tx
    .selectFrom('server_group_members')
    .select((eb) => eb.fn.countAll<number>().as('members'))
    .where('group_uuid', '=', groupUuid)
    .executeTakeFirstOrThrow();
  const used = Number(members) - servers.length;
  if (limit >= 0 && Number(members) > limit) throw groupMembersExceeded({ limit, used, asked: servers.length });
}

async function tellGroup(tx: Query, groupUuid: string, { publisher, now }: Pick<Acceptance, 'publisher' | 'now'>): Promise<void> {
  const group = await findServerGroup(tx, groupUuid);
  if (!group) return; // joined a moment ago, and locked
  await writeChange(tx, {
    noun: 'server-group',
    key: groupUuid,
    what: 'member-added',
    projectId: group.projectId,
    body: { notice: notice(publisher, 'server_group.add_member', serverGroupPayload(group)) },
    at: now,
  });
}

async function insertTags(tx: Query, servers: readonly NewServer[], tags: readonly string[]): Promise<void> {
  const rows = await tx
    .selectFrom('servers')
    .select('id')
    .where(
      'uuid',
      'in',
      servers.map(({ uuid }) => uuid),
    )
    .execute();
  for (const { id } of rows)
    await tx
      .insertInto('server_tags')
      .values(tags.map((tag) => ({ server_id: id, tag })))
      .execute();
}
