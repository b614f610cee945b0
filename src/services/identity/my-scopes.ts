import type { Database } from '../../db/engine.ts';

/** Everything a user can ask a token for: enabled projects and domains on which he has a role (his groups' and inherited ones too), and the system. */
export async function userScopes({ read }: Database, userId: string) {
  const groups = await read.selectFrom('identity_group_members').select('group_id').where('user_id', '=', userId).execute();
  const actors = [userId, ...groups.map((row) => row.group_id)];
  const given = await read.selectFrom('identity_role_assignments').selectAll().where('actor_id', 'in', actors).execute();
  const on = (kind: 'project' | 'domain', inherited: number) =>
    new Set(given.filter((row) => row.target_type === kind && row.inherited === inherited).map((row) => row.target_id));
  const direct = on('project', 0);
  const below = new Set([...on('project', 1), ...on('domain', 1)]);
  let query = read
    .selectFrom('identity_projects as p')
    .innerJoin('identity_domains as d', 'd.id', 'p.domain_id')
    .selectAll('p')
    .where('p.enabled', '=', 1)
    .where('d.enabled', '=', 1)
    .orderBy('p.key');
  // Inherited roles need the tree of projects; without one the few projects are asked for by id.
  if (below.size === 0) query = query.where('p.id', 'in', ['', ...direct]);
  const rows = await query.execute();
  const parents = new Map(rows.map((row) => [row.id, row.parent_id]));
  const inherits = (row: { id: string; domain_id: string; parent_id: string }) => {
    if (below.has(row.domain_id)) return true;
    const seen = new Set<string>();
    for (let at: string | undefined = row.parent_id; at !== undefined && !seen.has(at); at = parents.get(at)) {
      if (below.has(at)) return true;
      seen.add(at);
    }
    return false;
  };
  const domains = await read
    .selectFrom('identity_domains')
    .selectAll()
    .where('enabled', '=', 1)
    .where('id', 'in', ['', ...on('domain', 0)])
    .orderBy('key')
    .execute();
  return {
    projects: rows.filter((row) => direct.has(row.id) || inherits(row)),
    domains,
    system: given.some((row) => row.target_type === 'system'),
  };
}
