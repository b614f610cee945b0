import type { Database, Query } from '../../db/engine.ts';
import type { Clock } from '../../lib/clock.ts';
import { newHexId } from '../../lib/ids.ts';
import type { Log } from '../../lib/log.ts';
import { openFeed } from './feed.ts';
import { hashSecret, isSecret } from './passwords.ts';

const DOMAIN = 'default';
const ROLES = ['admin', 'manager', 'member', 'reader', 'service'] as const;
const IMPLIES = [
  ['admin', 'manager'],
  ['manager', 'member'],
  ['member', 'reader'],
] as const;
const PROJECTS = {
  admin: 'Bootstrap project for initializing the cloud.',
  demo: 'A project to try things in.',
  service: 'The services of this cloud.',
} as const;
type RoleName = (typeof ROLES)[number];
type ProjectName = keyof typeof PROJECTS;
type UserName = 'admin' | 'demo' | 'kilonova';
const GRANTS: readonly (readonly [user: UserName, role: RoleName, on: ProjectName | 'domain' | 'system'])[] = [
  ['admin', 'admin', 'admin'],
  ['admin', 'admin', 'demo'],
  ['admin', 'admin', 'domain'],
  ['admin', 'admin', 'system'],
  ['demo', 'member', 'demo'],
  ['kilonova', 'service', 'service'],
  ['kilonova', 'admin', 'service'],
];
const NO_ATTRIBUTES = { enabled: 1, options: '{}', extra: '{}' } as const;

export interface SeededIds {
  readonly domainId: string;
  readonly projects: Readonly<Record<ProjectName, string>>;
  readonly users: Readonly<Record<UserName, string>>;
  readonly roles: Readonly<Record<RoleName, string>>;
}

/** Puts in what every cloud begins with, and answers its ids. May be repeated at every start: what is there stays as it is (an administrator may have changed
 *  it), only the service user's password is set to the one given, for the services log in with that. All in one transaction: nothing is ever half there. */
export async function seedIdentity(options: {
  readonly db: Database;
  readonly clock: Clock;
  readonly log: Log;
  readonly adminPassword: string;
  readonly demoPassword: string;
  readonly servicePassword: string;
  readonly regionName?: string;
}): Promise<SeededIds> {
  const { db, log } = options;
  const passwords: Readonly<Record<UserName, string>> = {
    admin: options.adminPassword,
    demo: options.demoPassword,
    kilonova: options.servicePassword,
  };
  const hashes = await missingHashes(db, passwords);
  const feed = openFeed({ db, clock: options.clock, keepSeconds: 86_400 });
  const ids = await feed.write(async (tx, tell) => {
    const fresh = !(await tx.selectFrom('identity_domains').select('id').where('id', '=', DOMAIN).executeTakeFirst());
    if (fresh) await seedBase(tx, options.regionName ?? 'RegionOne');
    const projects = await seedProjects(tx);
    const roles = await idsByName(tx, 'identity_roles', ROLES, '');
    const users = {} as Record<UserName, string>;
    const created = new Set<UserName>();
    for (const name of ['admin', 'demo', 'kilonova'] as const) {
      const project = name === 'kilonova' ? 'service' : name;
      const known = await userId(tx, name);
      if (known === undefined) created.add(name);
      users[name] = known ?? (await seedUser(tx, name, hashes[name], projects[project]));
      if (known !== undefined && name === 'kilonova' && hashes[name] !== undefined) {
        await tx.updateTable('identity_users').set({ password_hash: hashes[name] }).where('id', '=', known).execute();
      }
      if (name === 'kilonova' && hashes[name] !== undefined) tell({ refuse: true, userId: users[name] });
    }
    for (const [user, role, on] of GRANTS) if (created.has(user)) await seedGrant(tx, users[user], roles[role], on, projects);
    return { domainId: DOMAIN, projects, users, roles };
  });
  log.info({ users: Object.keys(hashes) }, 'identity is seeded');
  return ids;
}

/** Whether a seeded user still has this password. */
export async function knowsPassword(db: Database, name: UserName, password: string): Promise<boolean> {
  const query = db.read.selectFrom('identity_users').select('password_hash').where('domain_id', '=', DOMAIN).where('name', '=', name);
  return isSecret(password, (await query.executeTakeFirst())?.password_hash);
}

/** Hashes of the passwords that must be written: of users that are not there, and of the service user when its own has changed. */
async function missingHashes(db: Database, passwords: Readonly<Record<UserName, string>>): Promise<Partial<Record<UserName, string>>> {
  const rows = await db.read.selectFrom('identity_users').select(['name', 'password_hash']).where('domain_id', '=', DOMAIN).execute();
  const wanted = await Promise.all(
    (Object.keys(passwords) as UserName[]).map(async (name) => {
      const row = rows.find((user) => user.name === name);
      const keep = row && (name !== 'kilonova' || (await isSecret(passwords[name], row.password_hash)));
      return keep ? [] : [[name, await hashSecret(passwords[name])] as const];
    }),
  );
  return Object.fromEntries(wanted.flat());
}

async function seedBase(tx: Query, regionName: string): Promise<void> {
  await tx
    .insertInto('identity_domains')
    .values({ ...NO_ATTRIBUTES, id: DOMAIN, name: 'Default', description: 'The default domain', tags: '[]' })
    .execute();
  const roles = ROLES.map((name) => ({ id: newHexId(), name }));
  for (const { id, name } of roles) {
    // Without the role admin nobody could put it back.
    const options = name === 'admin' ? '{"immutable":true}' : '{}';
    await tx
      .insertInto('identity_roles')
      .values({ ...NO_ATTRIBUTES, id, name, options, domain_id: '', description: null })
      .execute();
  }
  const id = (name: RoleName) => roles.find((role) => role.name === name)?.id ?? '';
  for (const [prior, implied] of IMPLIES)
    await tx
      .insertInto('identity_role_implications')
      .values({ prior_id: id(prior), implied_id: id(implied) })
      .execute();
  await tx.insertInto('identity_regions').values({ id: regionName, description: '', parent_region_id: null, extra: '{}' }).execute();
}

async function seedProjects(tx: Query): Promise<Record<ProjectName, string>> {
  const names = Object.keys(PROJECTS) as ProjectName[];
  const there = await tx
    .selectFrom('identity_projects')
    .select('name')
    .where('domain_id', '=', DOMAIN)
    .where('name', 'in', names)
    .execute();
  for (const name of names) {
    if (there.some((row) => row.name === name)) continue;
    const place = { domain_id: DOMAIN, parent_id: DOMAIN, tags: '[]' };
    await tx
      .insertInto('identity_projects')
      .values({ ...NO_ATTRIBUTES, ...place, id: newHexId(), name, description: PROJECTS[name] })
      .execute();
  }
  return idsByName(tx, 'identity_projects', names, DOMAIN);
}

async function idsByName<N extends string>(
  tx: Query,
  table: 'identity_projects' | 'identity_roles',
  names: readonly N[],
  domainId: string,
): Promise<Record<N, string>> {
  const rows = await tx.selectFrom(table).select(['id', 'name']).where('domain_id', '=', domainId).where('name', 'in', names).execute();
  return Object.fromEntries(names.map((name) => [name, rows.find((row) => row.name === name)?.id ?? ''])) as Record<N, string>; // keyed by the names given
}

async function userId(tx: Query, name: UserName): Promise<string | undefined> {
  const query = tx.selectFrom('identity_users').select('id').where('domain_id', '=', DOMAIN).where('name', '=', name);
  return (await query.executeTakeFirst())?.id;
}

async function seedUser(tx: Query, name: UserName, hash: string | undefined, projectId: string): Promise<string> {
  const id = newHexId();
  await tx
    .insertInto('identity_users')
    .values({
      ...NO_ATTRIBUTES,
      id,
      name,
      domain_id: DOMAIN,
      description: null,
      default_project_id: projectId,
      password_hash: hash ?? null,
    })
    .execute();
  return id;
}

async function seedGrant(
  tx: Query,
  userId: string,
  roleId: string,
  on: ProjectName | 'domain' | 'system',
  projects: Readonly<Record<ProjectName, string>>,
): Promise<void> {
  const target =
    on === 'system'
      ? ({ target_type: 'system', target_id: 'system' } as const)
      : on === 'domain'
        ? ({ target_type: 'domain', target_id: DOMAIN } as const)
        : ({ target_type: 'project', target_id: projects[on] } as const);
  await tx
    .insertInto('identity_role_assignments')
    .values({ actor_type: 'user', actor_id: userId, role_id: roleId, inherited: 0, ...target })
    .execute();
}
