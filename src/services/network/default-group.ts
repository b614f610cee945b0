import type { EngineKind, Query } from '../../db/engine.ts';
import { prepared } from '../../db/prepared.ts';
import { insertIgnore } from '../../db/statements.ts';
import type { QuotaLimits } from '../../db/tables/network/quotas.ts';
import { newUuid } from '../../lib/ids.ts';
import { newRuleRow } from './security-group-rules.ts';

export interface GroupContext {
  readonly kind: EngineKind;
  readonly quotas: QuotaLimits;
  readonly now: number;
}

const defaultOf = prepared((db, p: { projectId: string }) =>
  db.selectFrom('net_security_groups').select('uuid').where('default_of', '=', p.projectId),
);

/** The project's default security group, made with its four rules when it is asked for first: everything out, and in from its own members.
 *  It counts to the quota but is never refused by it. Safe against itself: the project's name on it is unique. */
export async function defaultGroup(tx: Query, context: GroupContext, projectId: string): Promise<string> {
  const find = async () => (await defaultOf(tx, { projectId })).rows[0];
  const kept = await find();
  if (kept) return kept.uuid;
  const { kind, now } = context;
  const uuid = newUuid();
  const fresh = await insertIgnore(tx, kind, 'net_security_groups', {
    uuid,
    project_id: projectId,
    name: 'default',
    description: 'Default security group',
    tags: '[]',
    revision: 1,
    created_at: now,
    updated_at: now,
    default_of: projectId,
    stateful: 1,
    uses: 0,
  });
  if (!fresh) return (await find())?.uuid ?? uuid; // another transaction was first, and its row is committed by now
  for (const ethertype of ['IPv4', 'IPv6'] as const) {
    await tx
      .insertInto('net_security_group_rules')
      .values(newRuleRow(projectId, uuid, { direction: 'egress', ethertype }, now))
      .execute();
    await tx
      .insertInto('net_security_group_rules')
      .values(newRuleRow(projectId, uuid, { direction: 'ingress', ethertype, remote_group_id: uuid }, now))
      .execute();
  }
  for (const [resource, count] of [
    ['security_group', 1],
    ['security_group_rule', 4],
  ] as const) {
    await insertIgnore(tx, kind, 'net_quotas', { project_id: projectId, resource, limit_value: null, used: 0 });
    await tx
      .updateTable('net_quotas')
      .set((eb) => ({ used: eb('used', '+', count) }))
      .where('project_id', '=', projectId)
      .where('resource', '=', resource)
      .execute();
  }
  return uuid;
}
