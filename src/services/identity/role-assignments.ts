import type { Query } from '../../db/engine.ts';
import type { IdentityRoleAssignmentsTable } from '../../db/tables/identity/tables.ts';
import { type Call, one, type Reply, type RouteTable } from '../../http/call.ts';
import { flag } from './listing.ts';
import type { Parts } from './parts.ts';

export const roleAssignmentRoutes: RouteTable<Parts> = {
  'GET /v3/role_assignments': { run: listAssignments, policy: 'identity:list_role_assignments', policyOn: 'object' },
};

type Grant = IdentityRoleAssignmentsTable;
/** One line of the list. `via`: the group through which a user has it. */
interface Line extends Grant {
  readonly via?: string;
}

/** All role assignments, or the effective ones: groups turned into their members, inherited roles into roles on projects, implied roles added.
 *  Spec: identity api-ref "List role assignments". */
async function listAssignments({ db }: Parts, call: Call): Promise<Reply> {
  const all = call.allows('identity:list_role_assignments', {});
  call.allow({ 'target.domain_id': call.caller.domainId ?? undefined });
  const effective = flag(call, 'effective') ?? false;
  const grants = await db.read.selectFrom('identity_role_assignments').selectAll().execute();
  const world = await readWorld(db.read);
  const lines = (effective ? expand(grants, world) : grants).filter((line) => fits(call, line, world, effective));
  const mine = all ? lines : lines.filter((line) => domainOf(line, world) === call.caller.domainId);
  const view = flag(call, 'include_names') ? (line: Line) => withNames(line, world, call.base) : (line: Line) => plain(line, call.base);
  return {
    status: 200,
    body: {
      role_assignments: mine.flatMap((line) => view(line) ?? []),
      links: { self: `${call.base}${call.url}`, previous: null, next: null },
    },
  };
}

async function readWorld(db: Query) {
  const byId = <R extends { id: string }>(rows: R[]) => new Map(rows.map((row) => [row.id, row]));
  return {
    roles: byId(await db.selectFrom('identity_roles').select(['id', 'name', 'domain_id']).execute()),
    users: byId(await db.selectFrom('identity_users').select(['id', 'name', 'domain_id']).execute()),
    groups: byId(await db.selectFrom('identity_groups').select(['id', 'name', 'domain_id']).execute()),
    projects: byId(await db.selectFrom('identity_projects').select(['id', 'name', 'domain_id', 'parent_id']).execute()),
    domains: byId(await db.selectFrom('identity_domains').select(['id', 'name']).execute()),
    members: await db.selectFrom('identity_group_members').selectAll().execute(),
    implications: await db.selectFrom('identity_role_implications').selectAll().execute(),
  };
}
type World = Awaited<ReturnType<typeof readWorld>>;

function expand(grants: readonly Grant[], world: World): Line[] {
  const found = new Map<string, Line>();
  for (const grant of grants) {
    const actors =
      grant.actor_type === 'user'
        ? [{ actor_id: grant.actor_id }]
        : world.members.filter((row) => row.group_id === grant.actor_id).map((row) => ({ actor_id: row.user_id, via: grant.actor_id }));
    const targets = grant.inherited
      ? below(grant.target_id, world).map((id) => ({ target_type: 'project' as const, target_id: id }))
      : [{ target_type: grant.target_type, target_id: grant.target_id }];
    const roles = new Set([grant.role_id]);
    for (const role of roles) for (const rule of world.implications) if (rule.prior_id === role) roles.add(rule.implied_id);
    for (const actor of actors)
      for (const target of targets)
        for (const role_id of roles) {
          const line: Line = { actor_type: 'user', inherited: 0, role_id, ...target, ...actor };
          found.set([line.actor_id, line.target_type, line.target_id, role_id].join(' '), line);
        }
  }
  return [...found.values()];
}

/** Ids of all projects under a domain or a project, without itself. */
function below(id: string, world: World): string[] {
  const found = new Set([id]);
  // Parents come before their children only by chance, so it is repeated until nothing is new.
  for (let before = 0; before !== found.size; ) {
    before = found.size;
    for (const project of world.projects.values()) if (found.has(project.parent_id)) found.add(project.id);
  }
  found.delete(id);
  return [...found];
}

function fits(call: Call, line: Line, world: World, effective: boolean): boolean {
  const user = one(call, 'user.id');
  if (user !== undefined && (line.actor_type !== 'user' || line.actor_id !== user)) return false;
  const group = one(call, 'group.id');
  if (group !== undefined && (effective ? line.via !== group : line.actor_type !== 'group' || line.actor_id !== group)) return false;
  const role = one(call, 'role.id');
  if (role !== undefined && line.role_id !== role) return false;
  const project = one(call, 'scope.project.id');
  if (project !== undefined) {
    const wanted = flag(call, 'include_subtree') ? [project, ...below(project, world)] : [project];
    if (line.target_type !== 'project' || !wanted.includes(line.target_id)) return false;
  }
  const domain = one(call, 'scope.domain.id');
  if (domain !== undefined && (line.target_type !== 'domain' || line.target_id !== domain)) return false;
  if (one(call, 'scope.system') !== undefined && line.target_type !== 'system') return false;
  return one(call, 'scope.OS-INHERIT:inherited_to') === undefined || line.inherited === 1;
}

const domainOf = (line: Line, world: World) =>
  line.target_type === 'domain'
    ? line.target_id
    : line.target_type === 'project'
      ? world.projects.get(line.target_id)?.domain_id
      : undefined;

const assignmentUrl = (line: Line, base: string) => {
  const target = line.target_type === 'system' ? 'system' : `${line.target_type}s/${line.target_id}`;
  const [before, after] = line.inherited ? ['OS-INHERIT/', '/inherited_to_projects'] : ['', ''];
  const [type, id] = line.via ? ['group', line.via] : [line.actor_type, line.actor_id];
  return `${base}/v3/${before}${target}/${type}s/${id}/roles/${line.role_id}${after}`;
};
const scopeOf = (line: Line, thing: object) => ({
  ...(line.target_type === 'system' ? { system: { all: true } } : { [line.target_type]: thing }),
  ...(line.inherited ? { 'OS-INHERIT:inherited_to': 'projects' } : {}),
});
const linksOf = (line: Line, base: string) => ({
  assignment: assignmentUrl(line, base),
  ...(line.via ? { membership: `${base}/v3/groups/${line.via}/users/${line.actor_id}` } : {}),
});

const plain = (line: Line, base: string) => ({
  role: { id: line.role_id },
  [line.actor_type]: { id: line.actor_id },
  scope: scopeOf(line, { id: line.target_id }),
  links: linksOf(line, base),
});

function withNames(line: Line, world: World, base: string): object | undefined {
  const domain = (id: string) => ({ id, name: world.domains.get(id)?.name ?? '' });
  const named = (row: { id: string; name: string; domain_id?: string }) => ({
    id: row.id,
    name: row.name,
    ...(row.domain_id ? { domain: domain(row.domain_id) } : {}),
  });
  const role = world.roles.get(line.role_id);
  const actor = (line.actor_type === 'user' ? world.users : world.groups).get(line.actor_id);
  const target = line.target_type === 'project' ? world.projects.get(line.target_id) : world.domains.get(line.target_id);
  if (!role || !actor || (!target && line.target_type !== 'system')) return undefined; // removed between two of the reads
  return {
    role: named(role),
    [line.actor_type]: named(actor),
    scope: scopeOf(line, target ? named(target) : {}),
    links: linksOf(line, base),
  };
}
