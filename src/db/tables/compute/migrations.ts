import type { Selectable, Updateable } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import { newUuid } from '../../../lib/ids.ts';
import type { Flavor, Server } from '../../../model/server.ts';
import type { Query } from '../../engine.ts';
import type { ServerMigrationsTable } from './tables.ts';

export type MigrationType = 'migration' | 'resize' | 'live-migration' | 'evacuation';
/** Bytes of a live migration, as far as known. */
export interface MoveBytes {
  readonly memoryTotal: number;
  readonly memoryProcessed: number;
  readonly memoryRemaining: number;
  readonly diskTotal: number;
  readonly diskProcessed: number;
  readonly diskRemaining: number;
}
/** One move of a server.  Spec: compute api-ref "Migrations". */
export interface ServerMigration {
  readonly id: number;
  readonly uuid: string;
  readonly serverUuid: string;
  readonly projectId: string;
  readonly userId: string;
  readonly type: MigrationType;
  readonly status: string;
  readonly sourceHost: string | null;
  readonly sourceNode: string | null;
  readonly destHost: string | null;
  readonly destNode: string | null;
  readonly destIp: string | null;
  readonly oldFlavor: Flavor | null;
  readonly newFlavor: Flavor | null;
  readonly progress: MoveBytes | null;
  readonly oldVmState: string | null;
  readonly wish: 'abort' | 'force-complete' | null;
  readonly createdAt: Micros;
  readonly updatedAt: Micros | null;
}

/** Statuses after which nothing more happens: no claim is held for the move any more. */
export const endedStatuses = ['confirmed', 'reverted', 'completed', 'done', 'cancelled', 'failed', 'error'] as const;
/** A resize that waits for its confirm or revert. */
export const FINISHED = 'finished';

const toMigration = (row: Selectable<ServerMigrationsTable>): ServerMigration => ({
  id: row.id,
  uuid: row.uuid,
  serverUuid: row.server_uuid,
  projectId: row.project_id,
  userId: row.user_id,
  type: row.type as MigrationType, // only insertMigration writes it
  status: row.status,
  sourceHost: row.source_host,
  sourceNode: row.source_node,
  destHost: row.dest_host,
  destNode: row.dest_node,
  destIp: row.dest_ip,
  oldFlavor: row.old_flavor === null ? null : (JSON.parse(row.old_flavor) as Flavor), // written below
  newFlavor: row.new_flavor === null ? null : (JSON.parse(row.new_flavor) as Flavor),
  progress: row.progress === '{}' ? null : (JSON.parse(row.progress) as MoveBytes),
  oldVmState: row.old_vm_state,
  wish: row.wish as ServerMigration['wish'], // only wishOf writes it
  createdAt: row.created_at,
  updatedAt: row.updated_at,
});

export interface NewMigration {
  readonly uuid: string;
  readonly server: Server;
  readonly userId: string;
  readonly type: MigrationType;
  readonly status: string;
  readonly newFlavor: Flavor | null;
  readonly at: Micros;
}
export const newMigrationUuid = newUuid;

/** Notes a move, in the transaction that accepts it. */
export async function insertMigration(tx: Query, { uuid, server, userId, type, status, newFlavor, at }: NewMigration): Promise<void> {
  await tx
    .insertInto('server_migrations')
    .values({
      uuid,
      server_uuid: server.uuid,
      project_id: server.projectId,
      user_id: userId,
      type,
      status,
      source_host: server.host,
      source_node: server.node,
      dest_host: null,
      dest_node: null,
      dest_ip: null,
      old_flavor: JSON.stringify(server.flavor),
      new_flavor: JSON.stringify(newFlavor ?? server.flavor),
      progress: '{}',
      old_vm_state: server.vmState,
      wish: null,
      created_at: at,
      updated_at: at,
    })
    .execute();
}

export type MigrationSet = Pick<Updateable<ServerMigrationsTable>, 'status' | 'dest_host' | 'dest_node' | 'dest_ip' | 'progress' | 'wish'>;
/** Changes a move; with `from` only while it has one of these statuses. False: it has not. */
export async function setMigration(tx: Query, uuid: string, set: MigrationSet, at: Micros, from?: readonly string[]): Promise<boolean> {
  const done = await tx
    .updateTable('server_migrations')
    .set({ ...set, updated_at: at })
    .where('uuid', '=', uuid)
    .$if(from !== undefined, (q) => q.where('status', 'in', from ?? []))
    .executeTakeFirst();
  return done.numUpdatedRows > 0n;
}

/** The host that servers were evacuated from is back and puts their guests away.  Spec: compute api-ref "Update Compute Service", forced_down. */
export async function completeEvacuations(tx: Query, host: string, at: Micros): Promise<void> {
  const set = { status: 'completed', updated_at: at };
  await tx
    .updateTable('server_migrations')
    .set(set)
    .where('type', '=', 'evacuation')
    .where('source_host', '=', host)
    .where('status', '=', 'done')
    .execute();
}

export async function findMigration(
  db: Query,
  by: { uuid: string } | { id: number; serverUuid: string },
): Promise<ServerMigration | undefined> {
  const rows = db.selectFrom('server_migrations').selectAll();
  const row = await ('uuid' in by
    ? rows.where('uuid', '=', by.uuid)
    : rows.where('id', '=', by.id).where('server_uuid', '=', by.serverUuid)
  ).executeTakeFirst();
  return row && toMigration(row);
}

/** Moves of a server that have not ended, newest first: at most one, unless something was forced. */
export async function openMigrations(db: Query, serverUuid: string, type?: MigrationType): Promise<ServerMigration[]> {
  const rows = await db
    .selectFrom('server_migrations')
    .selectAll()
    .where('server_uuid', '=', serverUuid)
    .where('status', 'not in', [...endedStatuses])
    .$if(type !== undefined, (q) => q.where('type', '=', type ?? ''))
    .orderBy('id', 'desc')
    .execute();
  return rows.map(toMigration);
}

/** Servers that a host must keep something of though they stand elsewhere, or are on their way to it. */
export async function heldOn(db: Query, host: string): Promise<string[]> {
  const rows = await db
    .selectFrom('server_migrations')
    .select('server_uuid')
    .where('status', 'not in', [...endedStatuses])
    .where((eb) => eb.or([eb('source_host', '=', host), eb('dest_host', '=', host)]))
    .execute();
  return rows.map((row) => row.server_uuid);
}

/** Resizes that wait for a confirm since before a time. */
export async function unconfirmedBefore(db: Query, before: Micros, limit: number): Promise<ServerMigration[]> {
  const rows = await db
    .selectFrom('server_migrations')
    .selectAll()
    .where('status', '=', FINISHED)
    .where('updated_at', '<=', before)
    .orderBy('id')
    .limit(limit)
    .execute();
  return rows.map(toMigration);
}

export interface MigrationWish {
  readonly host?: string | undefined;
  readonly sourceHost?: string | undefined;
  readonly serverUuid?: string | undefined;
  readonly status?: string | undefined;
  readonly type?: string | undefined;
  readonly userId?: string | undefined;
  readonly projectId?: string | undefined;
  readonly changedSince?: Micros | undefined;
  readonly changedBefore?: Micros | undefined;
  /** uuid of the move after which the page begins. */
  readonly marker?: string | undefined;
  readonly limit?: number | undefined;
  /** Newest first, as pages are; else oldest first. */
  readonly newestFirst: boolean;
}

/** Moves that fit; undefined when the marker is none. */
export async function listMigrations(db: Query, wish: MigrationWish): Promise<ServerMigration[] | undefined> {
  const after = wish.marker === undefined ? undefined : await findMigration(db, { uuid: wish.marker });
  if (wish.marker !== undefined && !after) return undefined;
  let rows = db.selectFrom('server_migrations').selectAll();
  const { host } = wish;
  if (host !== undefined) rows = rows.where((eb) => eb.or([eb('source_host', '=', host), eb('dest_host', '=', host)]));
  const equal = {
    source_host: wish.sourceHost,
    server_uuid: wish.serverUuid,
    status: wish.status,
    type: wish.type,
    user_id: wish.userId,
    project_id: wish.projectId,
  } as const;
  for (const [column, value] of Object.entries(equal) as [keyof typeof equal, string | undefined][])
    if (value !== undefined) rows = rows.where(column, '=', value);
  if (wish.changedSince !== undefined) rows = rows.where('updated_at', '>=', wish.changedSince);
  if (wish.changedBefore !== undefined) rows = rows.where('updated_at', '<=', wish.changedBefore);
  if (after) {
    const [at, id] = [after.createdAt, after.id];
    rows = rows.where((eb) => eb.or([eb('created_at', '<', at), eb.and([eb('created_at', '=', at), eb('id', '<', id)])]));
  }
  const down = wish.newestFirst ? 'desc' : 'asc';
  const found = await rows
    .orderBy('created_at', down)
    .orderBy('id', down)
    .limit(wish.limit ?? 1000)
    .execute();
  return found.map(toMigration);
}
