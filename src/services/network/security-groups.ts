import { type Selectable, sql } from 'kysely';
import type { Query } from '../../db/engine.ts';
import { giveQuota, takeQuota } from '../../db/tables/network/quotas.ts';
import type { NetSecurityGroupsTable } from '../../db/tables/network/tables.ts';
import type { Call, Reply } from '../../http/call.ts';
import { one } from '../../http/call.ts';
import {
  defaultGroupExists,
  defaultGroupKept,
  networkConflict,
  securityGroupInUse,
  securityGroupNotFound,
} from '../../model/errors-network.ts';
import { commonView, elevated, must, mustBeRevision, mustSee, ownerOf, pieces, touch } from './access.ts';
import { atCreate, bool, both, objectsIn, readAttributes, text } from './attributes.ts';
import { defaultGroup } from './default-group.ts';
import { boolColumn, commonColumns, type Listing, listAnswer, listRows, selectFields } from './listing.ts';
import { given } from './networks.ts';
import type { NetworkParts } from './parts.ts';
import { resourceRow } from './resource-row.ts';
import { newRuleRow, type RuleRow, ruleView } from './security-group-rules.ts';

export type GroupRow = Selectable<NetSecurityGroupsTable>;
const attributes = {
  name: both(text()),
  description: both(text()),
  stateful: both(bool),
  project_id: atCreate(text()),
  tenant_id: atCreate(text()),
};

export const groupListing: Listing = {
  table: 'net_security_groups',
  plural: 'security_groups',
  hasTags: true,
  columns: { ...commonColumns, stateful: boolColumn('stateful') },
  special: {
    shared: (values) => (values.some((value) => ['true', '1'].includes(value.toLowerCase())) ? sql<boolean>`1 = 0` : sql<boolean>`1 = 1`),
  },
};

const groupView = (row: Omit<GroupRow, 'id'>, rules: readonly Omit<RuleRow, 'id'>[]) => ({
  id: row.uuid,
  name: row.name,
  ...commonView(row),
  stateful: row.stateful === 1,
  shared: false,
  security_group_rules: rules.map(ruleView),
  tags: JSON.parse(row.tags) as string[],
});

async function rulesOf(db: Query, groups: readonly string[]): Promise<Map<string, RuleRow[]>> {
  const found = new Map<string, RuleRow[]>(groups.map((id) => [id, []]));
  for (const some of pieces(groups)) {
    const rows = await db.selectFrom('net_security_group_rules').selectAll().where('group_uuid', 'in', some).orderBy('id').execute();
    for (const row of rows) found.get(row.group_uuid)?.push(row);
  }
  return found;
}

/** Makes the default group of a project that was not seen yet. */
async function haveDefault(parts: NetworkParts, projectId: string | null | undefined): Promise<void> {
  if (!projectId || projectId.length > 255) return;
  const kept = await parts.db.read.selectFrom('net_security_groups').select('uuid').where('default_of', '=', projectId).executeTakeFirst();
  if (!kept)
    await parts.db.transaction((tx) => defaultGroup(tx, { kind: parts.db.kind, quotas: parts.quotas, now: parts.clock.now() }, projectId));
}

const groupFound = async (parts: NetworkParts, id: string) =>
  parts.db.read.selectFrom('net_security_groups').selectAll().where('uuid', '=', id.toLowerCase()).executeTakeFirst();
export async function visibleGroup(parts: NetworkParts, call: Call, id: string): Promise<GroupRow> {
  const row = await groupFound(parts, id);
  const missing = () => securityGroupNotFound({ id: id.slice(0, 100) });
  if (!row) throw missing();
  mustSee(call, 'get_security_group', { project_id: row.project_id }, missing);
  return row;
}

export async function listGroups(parts: NetworkParts, call: Call): Promise<Reply> {
  const all = elevated(call);
  await haveDefault(parts, call.caller.projectId);
  if (all) await haveDefault(parts, one(call, 'project_id') ?? one(call, 'tenant_id'));
  const visible = all ? [] : [sql<boolean>`project_id = ${call.caller.projectId ?? ''}`];
  const { rows, links } = await listRows<GroupRow>(parts.db, call, groupListing, visible);
  const rules = await rulesOf(
    parts.db.read,
    rows.map((row) => row.uuid),
  );
  return listAnswer(
    call,
    groupListing,
    rows.map((row) => groupView(row, rules.get(row.uuid) ?? [])),
    links,
  );
}

export async function showGroup(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleGroup(parts, call, call.params.id ?? '');
  const rules = await rulesOf(parts.db.read, [row.uuid]);
  return { status: 200, body: { security_group: selectFields(call, groupView(row, rules.get(row.uuid) ?? [])) } };
}

export async function createGroups(parts: NetworkParts, call: Call): Promise<Reply> {
  const { items, bulk } = objectsIn(call.body, 'security_group', 'security_groups');
  const now = parts.clock.now();
  const made = items.map((item) => {
    const wish = readAttributes(attributes, item, 'create');
    const projectId = ownerOf(call, wish);
    must(call, 'create_security_group', { project_id: projectId });
    if (wish.name === 'default') throw defaultGroupExists({});
    const row = { ...resourceRow(projectId, wish, now), default_of: null, stateful: wish.stateful === false ? 0 : 1, uses: 0 };
    const rules = (['IPv4', 'IPv6'] as const).map((ethertype) => newRuleRow(projectId, row.uuid, { direction: 'egress', ethertype }, now));
    return { row, rules };
  });
  for (const projectId of new Set(made.map(({ row }) => row.project_id))) await haveDefault(parts, projectId);
  await parts.db.transaction(async (tx) => {
    for (const { row, rules } of made) {
      await takeQuota(tx, parts.db.kind, parts.quotas, row.project_id, 'security_group', 1);
      await takeQuota(tx, parts.db.kind, parts.quotas, row.project_id, 'security_group_rule', rules.length);
      await tx.insertInto('net_security_groups').values(row).execute();
      for (const rule of rules) await tx.insertInto('net_security_group_rules').values(rule).execute();
    }
  });
  const views = made.map(({ row, rules }) => groupView(row, rules));
  return { status: 201, body: bulk ? { security_groups: views } : { security_group: views[0] } };
}

export async function updateGroup(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleGroup(parts, call, call.params.id ?? '');
  must(call, 'update_security_group', { project_id: row.project_id });
  const { items } = objectsIn(call.body, 'security_group', 'security_group');
  const wish = readAttributes(attributes, items[0] ?? {}, 'update');
  if (row.default_of !== null && wish.name !== undefined && wish.name !== row.name)
    throw networkConflict({ why: 'Updating default security group not allowed.', type: 'SecurityGroupCannotUpdateDefault' });
  if (row.default_of === null && wish.name === 'default') throw defaultGroupExists({});
  const set = given({
    name: wish.name,
    description: wish.description,
    stateful: wish.stateful === undefined ? undefined : wish.stateful ? 1 : 0,
  });
  const fresh = await parts.db.transaction(async (tx) => {
    if (!(await touch(tx, 'net_security_groups', row.uuid, parts.clock.now()))) throw securityGroupNotFound({ id: row.uuid });
    const locked = await tx.selectFrom('net_security_groups').selectAll().where('uuid', '=', row.uuid).executeTakeFirstOrThrow();
    mustBeRevision(call, { revision: locked.revision - 1 });
    if (set.stateful !== undefined && set.stateful !== locked.stateful && locked.uses > 0)
      throw securityGroupInUse({ id: row.uuid, why: 'its statefulness cannot change while ports use it' });
    if (Object.keys(set).length > 0) await tx.updateTable('net_security_groups').set(set).where('uuid', '=', row.uuid).execute();
    return { ...locked, ...set };
  });
  const rules = await rulesOf(parts.db.read, [row.uuid]);
  return { status: 200, body: { security_group: groupView(fresh, rules.get(row.uuid) ?? []) } };
}

export async function deleteGroup(parts: NetworkParts, call: Call): Promise<Reply> {
  const row = await visibleGroup(parts, call, call.params.id ?? '');
  must(call, 'delete_security_group', { project_id: row.project_id });
  if (row.default_of !== null && !elevated(call)) throw defaultGroupKept({ id: row.uuid });
  await parts.db.transaction(async (tx) => {
    const gone = await tx.deleteFrom('net_security_groups').where('uuid', '=', row.uuid).where('uses', '=', 0).executeTakeFirst();
    if (gone.numDeletedRows === 0n) {
      const left = await tx.selectFrom('net_security_groups').select('uses').where('uuid', '=', row.uuid).executeTakeFirst();
      if (!left) throw securityGroupNotFound({ id: row.uuid });
      throw securityGroupInUse({ id: row.uuid, why: `${left.uses} port(s) use it` });
    }
    mustBeRevision(call, row);
    // Its own rules go with it, and rules of others that let its members in.
    // Only what this transaction deletes is given back: one of them may be deleted by itself at this moment.
    const rules = await tx
      .deleteFrom('net_security_group_rules')
      .where((eb) => eb.or([eb('group_uuid', '=', row.uuid), eb('remote_group_uuid', '=', row.uuid)]))
      .returning(['project_id'])
      .execute();
    for (const rule of rules) await giveQuota(tx, rule.project_id, 'security_group_rule', 1);
    await giveQuota(tx, row.project_id, 'security_group', 1);
  });
  return { status: 204 };
}
