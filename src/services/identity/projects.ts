import type { Query } from '../../db/engine.ts';
import type { IdentityProjectsTable } from '../../db/tables/identity/tables.ts';
import { type Call, one, type Reply, type RouteTable } from '../../http/call.ts';
import { newHexId } from '../../lib/ids.ts';
import { leaf } from '../../lib/shape.ts';
import { invalidInput } from '../../model/errors.ts';
import { identityForbidden, identityNotFound } from '../../model/errors-identity.ts';
import {
  descriptionOf,
  enabledOf,
  enabledSchema,
  extraOf,
  idOrNullSchema,
  kept,
  mustBeMutable,
  nameSchema,
  optionsOf,
  optionsSchema,
  tagSchema,
  tagsSchema,
  textSchema,
  wrapped,
} from './attributes.ts';
import { domainListed, mustKeepDomain } from './domain-of.ts';
import { dropGrants } from './drop-grants.ts';
import { findDomain, findProject, mustBeFree, mustSeeUser } from './find.ts';
import { listReply } from './listing.ts';
import { userScopes } from './my-scopes.ts';
import type { Parts } from './parts.ts';

interface ProjectBody {
  project: {
    name?: string;
    domain_id?: string | null;
    parent_id?: string | null;
    description?: string | null;
    enabled?: boolean;
    is_domain?: boolean;
    tags?: string[];
    options?: Record<string, unknown>;
  };
}
const fields = {
  name: nameSchema(64),
  domain_id: idOrNullSchema,
  parent_id: idOrNullSchema,
  description: textSchema,
  enabled: enabledSchema,
  is_domain: { type: 'boolean' },
  tags: tagsSchema,
  options: optionsSchema,
};
const known = Object.keys(fields);

export const projectRoutes: RouteTable<Parts> = {
  'GET /v3/projects': { run: listProjects, policy: 'identity:list_projects', policyOn: 'object' },
  'POST /v3/projects': {
    run: createProject,
    body: wrapped<ProjectBody>('project', fields, ['name']),
    policy: 'identity:create_project',
    policyOn: 'object',
  },
  'GET /v3/projects/:id': { run: showProject, policy: 'identity:get_project', policyOn: 'object' },
  'PATCH /v3/projects/:id': {
    run: updateProject,
    body: wrapped<ProjectBody>('project', fields),
    policy: 'identity:update_project',
    policyOn: 'object',
  },
  'DELETE /v3/projects/:id': { run: deleteProject, policy: 'identity:delete_project', policyOn: 'object' },
  'GET /v3/users/:id/projects': { run: listUserProjects, policy: 'identity:list_user_projects', policyOn: 'object' },
  'GET /v3/projects/:id/tags': { run: listTags, policy: 'identity:list_project_tags', policyOn: 'object' },
  'PUT /v3/projects/:id/tags': {
    run: (parts, call: Call<{ tags: string[] }>) => changeTags(parts, call, () => call.body.tags),
    body: leaf<{ tags: string[] }>({ type: 'object', properties: { tags: tagsSchema }, required: ['tags'] }),
    policy: 'identity:update_project_tags',
    policyOn: 'object',
  },
  'DELETE /v3/projects/:id/tags': {
    run: (parts, call: Call) => changeTags(parts, call, () => []),
    policy: 'identity:delete_project_tags',
    policyOn: 'object',
  },
  'GET /v3/projects/:id/tags/:tag': { run: checkTag, policy: 'identity:get_project_tag', policyOn: 'object' },
  'HEAD /v3/projects/:id/tags/:tag': { run: checkTag, policy: 'identity:get_project_tag', policyOn: 'object' },
  'PUT /v3/projects/:id/tags/:tag': {
    run: (parts, call: Call) => changeTags(parts, call, (tags) => [...tags.filter((tag) => tag !== call.params.tag), newTag(call)]),
    policy: 'identity:create_project_tag',
    policyOn: 'object',
  },
  'DELETE /v3/projects/:id/tags/:tag': {
    run: (parts, call: Call) =>
      changeTags(parts, call, (tags) => {
        if (!tags.includes(call.params.tag ?? '')) throw identityNotFound({ what: 'project tag', id: call.params.tag ?? '' });
        return tags.filter((tag) => tag !== call.params.tag);
      }),
    policy: 'identity:delete_project_tag',
    policyOn: 'object',
  },
};

type ProjectRow = Omit<IdentityProjectsTable, 'key'>;
const tagsOf = (row: Pick<ProjectRow, 'tags'>) => JSON.parse(row.tags) as string[]; // written by us as an array of strings

export const projectView = (row: ProjectRow, base: string) => {
  const { extra, options } = kept(row);
  return {
    ...extra,
    id: row.id,
    name: row.name,
    domain_id: row.domain_id,
    description: row.description ?? '',
    enabled: row.enabled === 1,
    parent_id: row.parent_id,
    is_domain: false,
    tags: tagsOf(row),
    options,
    links: { self: `${base}/v3/projects/${row.id}` },
  };
};
const target = (row: { id: string; domain_id: string }) => ({
  'target.project.id': row.id,
  'target.project.domain_id': row.domain_id,
  'target.domain_id': row.domain_id,
});

async function listProjects({ db }: Parts, call: Call): Promise<Reply> {
  const domainId = domainListed(call, 'identity:list_projects');
  let query = db.read.selectFrom('identity_projects').selectAll().orderBy('key');
  if (domainId !== undefined) query = query.where('domain_id', '=', domainId);
  const name = one(call, 'name');
  if (name !== undefined) query = query.where('name', '=', name);
  const rows = one(call, 'is_domain')?.toLowerCase() === 'true' ? [] : await query.execute();
  return listReply(call, {
    key: 'projects',
    rows: rows.filter((row) => hasTags(call, tagsOf(row))),
    view: (row) => projectView(row, call.base),
    exact: ['name', 'enabled', 'parent_id', 'domain_id', 'id'],
  });
}

/** Spec: API-WG "tags": all of `tags`, any of `tags-any`, and the two refused ones. */
function hasTags(call: Call, tags: readonly string[]): boolean {
  const words = (word: string) => one(call, word)?.split(',').filter(Boolean);
  const [every, some, notEvery, notSome] = [words('tags'), words('tags-any'), words('not-tags'), words('not-tags-any')];
  const has = (tag: string) => tags.includes(tag);
  return !(every && !every.every(has)) && !(some && !some.some(has)) && !notEvery?.every(has) && !notSome?.some(has);
}

async function listUserProjects({ db }: Parts, call: Call): Promise<Reply> {
  const id = await mustSeeUser(db.read, call);
  const { projects } = await userScopes(db, id);
  return listReply(call, {
    key: 'projects',
    rows: projects,
    view: (row) => projectView(row, call.base),
    exact: ['name', 'enabled', 'domain_id', 'parent_id'],
  });
}

async function loadFor(db: Query, call: Call<unknown>): Promise<IdentityProjectsRow> {
  const id = call.params.id ?? '';
  const row = await db.selectFrom('identity_projects').selectAll().where('id', '=', id).executeTakeFirst();
  // Those who may not see any project learn nothing about which exist.
  call.allow(row ? target(row) : { 'target.project.id': id });
  return row ?? findProject(db, id);
}
type IdentityProjectsRow = ProjectRow & { key: number };

async function showProject({ db }: Parts, call: Call): Promise<Reply> {
  const row = await loadFor(db.read, call);
  const view: Record<string, unknown> = projectView(row, call.base);
  if (call.query.parents_as_ids) view.parents = await parentsOf(db.read, row);
  if (call.query.subtree_as_ids) view.subtree = await subtreeOf(db.read, row.id, 0);
  return { status: 200, body: { project: view } };
}

async function parentsOf(db: Query, row: ProjectRow): Promise<object | null> {
  const up = await db.selectFrom('identity_projects').selectAll().where('id', '=', row.parent_id).executeTakeFirst();
  return { [row.parent_id]: up ? await parentsOf(db, up) : null };
}

async function subtreeOf(db: Query, id: string, depth: number): Promise<object | null> {
  const children =
    depth > MAX_PROJECT_DEPTH ? [] : await db.selectFrom('identity_projects').select('id').where('parent_id', '=', id).execute();
  if (children.length === 0) return null;
  const tree: Record<string, object | null> = {};
  for (const child of children) tree[child.id] = await subtreeOf(db, child.id, depth + 1);
  return tree;
}
const MAX_PROJECT_DEPTH = 5;

/** Where a new project stands: the domain asked for, its parent's, the caller's, or the default one. Throws invalidInput. */
async function placeOf(tx: Query, wish: ProjectBody['project'], fallback: string): Promise<{ domainId: string; parentId: string }> {
  if (typeof wish.parent_id === 'string' && wish.parent_id !== wish.domain_id) {
    const parent = await tx.selectFrom('identity_projects').selectAll().where('id', '=', wish.parent_id).executeTakeFirst();
    if (parent) {
      if (wish.domain_id && wish.domain_id !== parent.domain_id) throw invalidInput({ why: 'The parent is in another domain.' });
      let depth = 1;
      for (let at = parent.parent_id; at !== parent.domain_id; depth++) at = (await findProject(tx, at)).parent_id;
      if (depth >= MAX_PROJECT_DEPTH) throw identityForbidden({ why: `Projects may be nested ${MAX_PROJECT_DEPTH} deep.` });
      return { domainId: parent.domain_id, parentId: parent.id };
    }
  }
  const domainId = wish.domain_id ?? wish.parent_id ?? fallback;
  await findDomain(tx, domainId);
  if (wish.parent_id && wish.parent_id !== domainId) throw identityNotFound({ what: 'project', id: wish.parent_id });
  return { domainId, parentId: domainId };
}

async function createProject({ feed }: Parts, call: Call<ProjectBody>): Promise<Reply> {
  const wish = call.body.project;
  if (wish.is_domain) throw invalidInput({ why: 'A project that acts as a domain is made by POST /v3/domains.' });
  const fallback = call.caller.domainId ?? 'default';
  call.allow({ 'target.project.domain_id': wish.domain_id ?? fallback, 'target.domain_id': wish.domain_id ?? fallback });
  const row = await feed.write(async (tx) => {
    const { domainId, parentId } = await placeOf(tx, wish, fallback);
    call.allow({ 'target.project.domain_id': domainId, 'target.domain_id': domainId });
    const row = {
      id: newHexId(),
      name: wish.name ?? '',
      description: descriptionOf(wish),
      enabled: enabledOf(wish),
      domain_id: domainId,
      parent_id: parentId,
      tags: JSON.stringify(wish.tags ?? []),
      options: optionsOf(wish.options),
      extra: extraOf(wish, known),
    };
    await mustBeFree(tx, 'project', { name: row.name, domainId });
    await tx.insertInto('identity_projects').values(row).execute();
    return row;
  });
  return { status: 201, body: { project: projectView(row, call.base) } };
}

async function updateProject({ feed }: Parts, call: Call<ProjectBody>): Promise<Reply> {
  const wish = call.body.project;
  const row = await feed.write(async (tx, tell) => {
    const before = await loadFor(tx, call);
    mustBeMutable('project', before, wish);
    mustKeepDomain('project', wish, before);
    if (wish.parent_id && wish.parent_id !== before.parent_id)
      throw identityForbidden({ why: 'The parent of a project cannot be changed.' });
    const change = {
      name: wish.name ?? before.name,
      description: descriptionOf(wish, before),
      enabled: enabledOf(wish, before),
      tags: wish.tags ? JSON.stringify(wish.tags) : before.tags,
      options: optionsOf(wish.options, before.options),
      extra: extraOf(wish, known, before.extra),
    };
    await mustBeFree(tx, 'project', { name: change.name, domainId: before.domain_id, except: before.id });
    await tx.updateTable('identity_projects').set(change).where('id', '=', before.id).execute();
    tell({ refuse: before.enabled === 1 && change.enabled === 0, projectId: before.id });
    return { ...before, ...change };
  });
  return { status: 200, body: { project: projectView(row, call.base) } };
}

async function deleteProject({ feed }: Parts, call: Call): Promise<Reply> {
  await feed.write(async (tx, tell) => {
    const row = await loadFor(tx, call);
    mustBeMutable('project', row);
    const child = await tx.selectFrom('identity_projects').select('id').where('parent_id', '=', row.id).executeTakeFirst();
    if (child) throw identityForbidden({ why: `Cannot delete the project ${row.id} because there are projects below it.` });
    await dropGrants(tx, row.id);
    await tx.deleteFrom('identity_projects').where('id', '=', row.id).execute();
    tell({ refuse: true, projectId: row.id });
  });
  return { status: 204 };
}

async function listTags({ db }: Parts, call: Call): Promise<Reply> {
  const row = await loadFor(db.read, call);
  return { status: 200, body: { tags: tagsOf(row), links: { self: `${call.base}${call.url}`, previous: null, next: null } } };
}

async function checkTag({ db }: Parts, call: Call): Promise<Reply> {
  const tag = call.params.tag ?? '';
  if (!tagsOf(await loadFor(db.read, call)).includes(tag)) throw identityNotFound({ what: 'project tag', id: tag });
  return { status: 204 };
}

function newTag(call: Call<unknown>): string {
  const tag = call.params.tag ?? '';
  if (tag.length > Number(tagSchema.maxLength) || /[,/]/.test(tag))
    throw invalidInput({ why: 'A tag has up to 255 signs, without comma and slash.' });
  return tag;
}

async function changeTags({ feed }: Parts, call: Call<unknown>, change: (tags: readonly string[]) => readonly string[]): Promise<Reply> {
  const tags = await feed.write(async (tx) => {
    const row = await loadFor(tx, call);
    mustBeMutable('project', row);
    const tags = change(tagsOf(row));
    if (tags.length > Number(tagsSchema.maxItems))
      throw invalidInput({ why: `A project has at most ${String(tagsSchema.maxItems)} tags.` });
    await tx
      .updateTable('identity_projects')
      .set({ tags: JSON.stringify(tags) })
      .where('id', '=', row.id)
      .execute();
    return tags;
  });
  if (call.method === 'DELETE') return { status: 204 };
  if (call.params.tag !== undefined) return { status: 201, headers: { location: `${call.base}${call.url}` } };
  return { status: 200, body: { tags, links: { self: `${call.base}${call.url}`, previous: null, next: null } } };
}
