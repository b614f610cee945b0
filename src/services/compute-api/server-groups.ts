import type { Query } from '../../db/engine.ts';
import { writeChange } from '../../db/tables/compute/changes.ts';
import { limitsWithUser } from '../../db/tables/compute/quota-limits.ts';
import {
  deleteServerGroup,
  findServerGroup,
  insertServerGroup,
  listServerGroups,
  type ServerGroup,
  serverGroupsOfUser,
  takeServerGroup,
} from '../../db/tables/compute/server-groups.ts';
import { type Call, one, type Reply } from '../../http/call.ts';
import type { Micros } from '../../lib/clock.ts';
import { invalidInput } from '../../model/errors.ts';
import { serverGroupNotFound, serverGroupQuota } from '../../model/errors-compute-admin.ts';
import { notice, serverGroupPayload } from '../../model/notices.ts';
import type { AdminParts } from './admin-parts.ts';
import { maxLimitOf, publisherOf, quotasOf } from './parts.ts';
import type { ServerGroupCreate } from './shapes/server-groups.ts';
import { serverGroupView } from './views/server-groups.ts';

/** Lists the project's groups; with `all_projects` those of everybody, for admins (others get their own without a word, as in Nova).
 *  Spec: compute api-ref "List Server Groups". */
export async function listGroups(parts: AdminParts, call: Call): Promise<Reply> {
  const all = call.query.all_projects !== undefined && call.allows('context_is_admin');
  if (all) call.allow({ project_id: call.caller.projectId }, 'os_compute_api:os-server-groups:index:all_projects');
  const longest = maxLimitOf(parts);
  const groups = await listServerGroups(parts.db.read, {
    projectId: all ? null : (call.caller.projectId ?? ''),
    limit: Math.min(Number(one(call, 'limit') ?? 0) || longest, longest),
    offset: Number(one(call, 'offset') ?? 0),
  });
  return { status: 200, body: { server_groups: groups.map(serverGroupView) } };
}

/** Makes a group.  Throws invalidInput (400), serverGroupQuota (403).  Spec: compute api-ref "Create Server Group". */
export async function createGroup(parts: AdminParts, call: Call<ServerGroupCreate>): Promise<Reply> {
  const wish = call.body.server_group;
  const policy = wish.policy ?? wish.policies?.[0] ?? '';
  const rules = wish.rules ?? {};
  if (policy !== 'anti-affinity' && Object.keys(rules).length > 0) throw invalidInput({ why: 'Only anti-affinity policy supports rules.' });
  const most = rules.max_server_per_host;
  const projectId = call.caller.projectId ?? '';
  const userId = call.caller.userId;
  const now = parts.clock.now();
  const made = await parts.db.transaction(async (tx) => {
    const { project, user } = await limitsWithUser(tx, quotasOf(parts), projectId, userId);
    const short = (limit: number, used: number) => serverGroupQuota({ limit, used, asked: 1 });
    if (!(await takeServerGroup(tx, parts.db.kind, projectId, project.server_groups)))
      throw short(project.server_groups, project.server_groups);
    const own = user.server_groups;
    if (own !== undefined && own >= 0) {
      const used = await serverGroupsOfUser(tx, projectId, userId);
      if (used >= own) throw short(own, used);
    }
    const group = await insertServerGroup(
      tx,
      { projectId, userId, name: wish.name.trim(), policy, rules: most === undefined ? {} : { max_server_per_host: Number(most) } },
      now,
    );
    await tell(parts, tx, group, 'created', now);
    return group;
  });
  return { status: 200, body: { server_group: serverGroupView(made) } };
}

/** Schedulers and listeners outside hear of it by the change feed. */
const tell = (parts: AdminParts, tx: Query, group: ServerGroup, what: 'created' | 'deleted', at: Micros) =>
  writeChange(tx, {
    noun: 'server-group',
    key: group.uuid,
    what,
    projectId: group.projectId,
    body: {
      policy: group.policy,
      notice: notice(publisherOf(parts), what === 'created' ? 'server_group.create' : 'server_group.delete', serverGroupPayload(group)),
    },
    at,
  });

async function mustFind(parts: AdminParts, call: Call): Promise<ServerGroup> {
  const id = (call.params.id ?? '').slice(0, 100);
  const group = await findServerGroup(parts.db.read, id.toLowerCase());
  if (!group) throw serverGroupNotFound({ id });
  call.allow({ project_id: group.projectId });
  return group;
}

/** Shows a group.  Throws serverGroupNotFound (404).  Spec: compute api-ref "Show Server Group Details". */
export async function showGroup(parts: AdminParts, call: Call): Promise<Reply> {
  return { status: 200, body: { server_group: serverGroupView(await mustFind(parts, call)) } };
}

/** Deletes a group; its servers stay.  Throws serverGroupNotFound (404).  Spec: compute api-ref "Delete Server Group". */
export async function deleteGroup(parts: AdminParts, call: Call): Promise<Reply> {
  const group = await mustFind(parts, call);
  const at = parts.clock.now();
  await parts.db.transaction(async (tx) => {
    if (!(await deleteServerGroup(tx, group))) throw serverGroupNotFound({ id: group.uuid });
    await tell(parts, tx, group, 'deleted', at);
  });
  return { status: 204 };
}
