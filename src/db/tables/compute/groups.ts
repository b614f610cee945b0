import type { EngineKind, Query } from '../../engine.ts';
import { insertIgnore } from '../../statements.ts';

/** The rule of a server group, and where its members stand. */
export interface GroupRule {
  readonly uuid: string;
  /** 'affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'. */
  readonly policy: string;
  /** Only for anti-affinity; 1 unless the group says otherwise. */
  readonly maxPerHost: number;
  /** Members by host. */
  readonly hosts: Readonly<Record<string, number>>;
}

export async function readGroup(db: Query, uuid: string): Promise<GroupRule | undefined> {
  const row = await db.selectFrom('server_groups').select(['policy', 'rules']).where('uuid', '=', uuid).executeTakeFirst();
  if (!row) return undefined;
  const rules = JSON.parse(row.rules) as { max_server_per_host?: number };
  const hosts = await db
    .selectFrom('server_group_hosts')
    .select(['host', 'members'])
    .where('group_uuid', '=', uuid)
    .where('members', '>', 0)
    .execute();
  return {
    uuid,
    policy: row.policy,
    maxPerHost: rules.max_server_per_host ?? 1,
    hosts: Object.fromEntries(hosts.map((one) => [one.host, one.members])),
  };
}

/** Counts a member in on a host if the group's rule allows it there; the counter row is where parallel placings meet. A group that was deleted
 *  meanwhile has no rule and counts nobody. */
export async function joinGroupHost(tx: Query, kind: EngineKind, group: Omit<GroupRule, 'hosts'>, host: string): Promise<boolean> {
  // A write to the group's own row: its delete waits for this placing, or this one finds it gone. Affinity looks at other hosts' rows too: so placings of one
  // group follow each other.
  const there = await tx
    .updateTable('server_groups')
    .set((eb) => ({ policy: eb.ref('policy') }))
    .where('uuid', '=', group.uuid)
    .executeTakeFirst();
  if (there.numUpdatedRows === 0n) return true;
  if (group.policy === 'affinity') {
    const elsewhere = await tx
      .selectFrom('server_group_hosts')
      .select('host')
      .where('group_uuid', '=', group.uuid)
      .where('members', '>', 0)
      .where('host', '<>', host)
      .limit(1)
      .executeTakeFirst();
    if (elsewhere) return false;
  }
  await insertIgnore(tx, kind, 'server_group_hosts', { group_uuid: group.uuid, host, members: 0 }, ['group_uuid', 'host']);
  const joined = await tx
    .updateTable('server_group_hosts')
    .set((eb) => ({ members: eb('members', '+', 1) }))
    .where('group_uuid', '=', group.uuid)
    .where('host', '=', host)
    .$if(group.policy === 'anti-affinity', (q) => q.where('members', '<', group.maxPerHost))
    .executeTakeFirst();
  return joined.numUpdatedRows > 0n;
}

/** Counts a server out of its groups on the host it leaves. */
export async function leaveGroupHost(tx: Query, serverUuid: string, host: string): Promise<void> {
  const groups = await tx.selectFrom('server_group_members').select('group_uuid').where('server_uuid', '=', serverUuid).execute();
  if (groups.length === 0) return;
  await tx
    .updateTable('server_group_hosts')
    .set((eb) => ({ members: eb('members', '-', 1) }))
    .where(
      'group_uuid',
      'in',
      groups.map((row) => row.group_uuid),
    )
    .where('host', '=', host)
    .where('members', '>', 0)
    .execute();
}

/** Counts a server in on a host where it has its place already, whatever the rule says. */
export async function stayOnGroupHost(tx: Query, serverUuid: string, host: string): Promise<void> {
  await tx
    .updateTable('server_group_hosts')
    .set((eb) => ({ members: eb('members', '+', 1) }))
    .where('host', '=', host)
    .where('group_uuid', 'in', tx.selectFrom('server_group_members').select('group_uuid').where('server_uuid', '=', serverUuid))
    .execute();
}
