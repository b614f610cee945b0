import { type Selectable, sql } from 'kysely';
import type { Micros } from '../../../lib/clock.ts';
import { newUuid } from '../../../lib/ids.ts';
import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';
import type { ServerGroupsTable } from './tables.ts';

/** A server group as its API shows it. Members are those that are not deleted: who is deleted leaves its group in the same transaction. */
export interface ServerGroup {
  readonly uuid: string;
  readonly projectId: string;
  readonly userId: string;
  readonly name: string;
  /** 'affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'. */
  readonly policy: string;
  readonly rules: { readonly max_server_per_host?: number };
  readonly members: readonly string[];
}

async function withMembers(q: Query, rows: readonly Selectable<ServerGroupsTable>[]): Promise<ServerGroup[]> {
  const members = new Map<string, string[]>();
  for (let at = 0; at < rows.length; at += 500) {
    const found = await q
      .selectFrom('server_group_members')
      .selectAll()
      .where(
        'group_uuid',
        'in',
        rows.slice(at, at + 500).map((row) => row.uuid),
      )
      .orderBy('server_uuid')
      .execute();
    for (const { group_uuid: group, server_uuid: server } of found) {
      const list = members.get(group);
      if (list) list.push(server);
      else members.set(group, [server]);
    }
  }
  return rows.map((row) => ({
    uuid: row.uuid,
    projectId: row.project_id,
    userId: row.user_id,
    name: row.name,
    policy: row.policy,
    rules: JSON.parse(row.rules) as ServerGroup['rules'], // written by insertServerGroup
    members: members.get(row.uuid) ?? [],
  }));
}

/** Groups of a project, or of all with `projectId: null`, oldest first. */
export async function listServerGroups(
  q: Query,
  wish: { projectId: string | null; limit: number; offset: number },
): Promise<ServerGroup[]> {
  let rows = q.selectFrom('server_groups').selectAll().orderBy('id').limit(wish.limit).offset(wish.offset);
  if (wish.projectId !== null) rows = rows.where('project_id', '=', wish.projectId);
  return withMembers(q, await rows.execute());
}

export async function findServerGroup(q: Query, uuid: string): Promise<ServerGroup | undefined> {
  const rows = await q.selectFrom('server_groups').selectAll().where('uuid', '=', uuid).execute();
  return (await withMembers(q, rows))[0];
}

const counter = (tx: Query, projectId: string) =>
  tx.updateTable('quota_usages').where('project_id', '=', projectId).where('user_id', '=', '').where('resource', '=', 'server_groups');

/** Counts a group in by one conditional statement; false when the project has as many as it may. `limit` below 0: none. */
export async function takeServerGroup(tx: Query, kind: EngineKind, projectId: string, limit: number): Promise<boolean> {
  const raise = async () => {
    let count = counter(tx, projectId).set({ used: sql<number>`used + 1` });
    if (limit >= 0) count = count.where('used', '<', limit);
    return (await count.executeTakeFirst()).numUpdatedRows > 0n;
  };
  if (await raise()) return true;
  await insertIgnore(tx, kind, 'quota_usages', { project_id: projectId, user_id: '', resource: 'server_groups', used: 0 });
  return raise();
}

export async function insertServerGroup(
  tx: Query,
  wish: Pick<ServerGroup, 'projectId' | 'userId' | 'name' | 'policy' | 'rules'>,
  now: Micros,
): Promise<ServerGroup> {
  const uuid = newUuid();
  await tx
    .insertInto('server_groups')
    .values({
      uuid,
      project_id: wish.projectId,
      user_id: wish.userId,
      name: wish.name,
      policy: wish.policy,
      rules: JSON.stringify(wish.rules),
      created_at: now,
    })
    .execute();
  return { ...wish, uuid, members: [] };
}

/** Deletes a group with its places and its count; its servers stay. False when it was gone. */
export async function deleteServerGroup(tx: Query, group: Pick<ServerGroup, 'uuid' | 'projectId'>): Promise<boolean> {
  const gone = await tx.deleteFrom('server_groups').where('uuid', '=', group.uuid).executeTakeFirst();
  if (gone.numDeletedRows === 0n) return false;
  await tx.deleteFrom('server_group_members').where('group_uuid', '=', group.uuid).execute();
  await tx.deleteFrom('server_group_hosts').where('group_uuid', '=', group.uuid).execute();
  await counter(tx, group.projectId).set({ used: sql<number>`used - 1` }).where('used', '>', 0).execute();
  return true;
}

/** How many groups a user owns in a project; asked while the project's counter is held. */
export async function serverGroupsOfUser(q: Query, projectId: string, userId: string): Promise<number> {
  const row = await q
    .selectFrom('server_groups')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('project_id', '=', projectId)
    .where('user_id', '=', userId)
    .executeTakeFirst();
  return Number(row?.n ?? 0);
}
