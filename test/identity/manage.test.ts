import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Identity, openIdentity } from './house.ts';

let house: Identity;
before(async () => {
  house = await openIdentity();
});
after(() => house.close());

const admin = (method: string, path: string, body?: unknown) => house.ask(method, `/v3${path}`, { token: house.admin, body });
const demo = (method: string, path: string, body?: unknown) => house.ask(method, `/v3${path}`, { token: house.demo, body });
const names = (rows: { name: string }[]) => rows.map((row) => row.name).sort();
async function made(path: string, word: string, fields: object): Promise<string> {
  const answer = await admin('POST', path, { [word]: fields });
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer.body[word].id;
}
const user = (name: string, more: object = {}) => made('/users', 'user', { name, password: 'pw', ...more });
const project = (name: string, more: object = {}) => made('/projects', 'project', { name, ...more });

test('projects: made, found, changed, nested, tagged, deleted', async () => {
  const id = await project('alpha', { description: 'first', tags: ['red', 'big'], color: 'blue' });
  const child = await project('alpha-child', { parent_id: id });
  assert.equal((await admin('POST', '/projects', { project: { name: 'alpha' } })).status, 409);
  const shown = (await admin('GET', `/projects/${id}?parents_as_ids&subtree_as_ids`)).body.project;
  assert.deepEqual([shown.color, shown.parent_id, shown.is_domain, shown.enabled], ['blue', 'default', false, true]);
  assert.deepEqual(shown.subtree, { [child]: null });
  const found = async (query: string) => names((await admin('GET', `/projects?${query}`)).body.projects);
  assert.deepEqual(await found('name=alpha'), ['alpha']);
  assert.deepEqual(await found('name__contains=lph'), ['alpha', 'alpha-child']);
  assert.deepEqual(await found('tags=red,big'), ['alpha']);
  assert.deepEqual(await found('tags=red,small'), []);
  assert.deepEqual(await found('tags-any=red,small'), ['alpha']);
  assert.deepEqual(await found(`parent_id=${id}`), ['alpha-child']);
  assert.deepEqual(await found('domain_id=none-such'), []);
  const patched = await admin('PATCH', `/projects/${id}`, { project: { description: null, enabled: false } });
  assert.deepEqual([patched.body.project.description, patched.body.project.enabled, patched.body.project.color], ['', false, 'blue']);
  assert.deepEqual(await found('enabled=false'), ['alpha']);
  assert.equal((await admin('PUT', `/projects/${id}/tags/small`)).status, 201);
  assert.equal((await admin('HEAD', `/projects/${id}/tags/small`)).status, 204);
  assert.equal((await admin('DELETE', `/projects/${id}/tags/red`)).status, 204);
  assert.deepEqual((await admin('GET', `/projects/${id}/tags`)).body.tags, ['big', 'small']);
  assert.deepEqual((await admin('PUT', `/projects/${id}/tags`, { tags: ['x'] })).body.tags, ['x']);
  assert.equal((await admin('DELETE', `/projects/${id}`)).status, 403);
  assert.equal((await admin('DELETE', `/projects/${child}`)).status, 204);
  assert.equal((await admin('DELETE', `/projects/${id}`)).status, 204);
  assert.equal((await admin('GET', `/projects/${id}`)).status, 404);
});

test('users: made, found, changed, deleted; a password is never shown', async () => {
  const id = await user('ann', { email: 'ann@example.org', default_project_id: house.ids.projects.demo });
  const shown = await admin('GET', `/users/${id}`);
  assert.equal(shown.body.user.email, 'ann@example.org');
  assert.doesNotMatch(JSON.stringify(shown.body), /pw|scrypt|password"/);
  assert.equal((await admin('POST', '/users', { user: { name: 'ann' } })).status, 409);
  assert.equal((await admin('POST', '/users', { user: { name: 'b', domain_id: 'none-such' } })).status, 404);
  assert.deepEqual(names((await admin('GET', '/users?name=ann')).body.users), ['ann']);
  assert.equal((await admin('PATCH', `/users/${id}`, { user: { name: 'anna', password: 'pw2' } })).body.user.name, 'anna');
  assert.equal((await house.login('anna', 'pw2', 'unscoped')).status, 401);
  assert.equal((await house.login('anna', 'pw2')).body.token.user.name, 'anna');
  assert.equal((await admin('DELETE', `/users/${id}`)).status, 204);
  assert.equal((await house.login('anna', 'pw2')).status, 401);
});

test('lists come in pages', async () => {
  for (const name of ['page-1', 'page-2', 'page-3']) await project(name);
  const seen: string[] = [];
  let path = '/projects?name__startswith=page-&limit=2';
  for (;;) {
    const { body } = await admin('GET', path);
    seen.push(...names(body.projects));
    if (body.links.next === null) break;
    path = body.links.next.slice(`${house.base}/v3`.length);
  }
  assert.deepEqual(seen, ['page-1', 'page-2', 'page-3']);
  assert.equal((await admin('GET', '/projects?limit=x')).status, 400);
  assert.equal((await admin('GET', '/projects?marker=x')).status, 400);
});

test('groups give their members roles', async () => {
  const member = await user('grouped');
  const group = await made('/groups', 'group', { name: 'crew' });
  const place = await project('crewed');
  assert.equal((await admin('PUT', `/groups/${group}/users/${member}`)).status, 204);
  assert.equal((await admin('HEAD', `/groups/${group}/users/${member}`)).status, 204);
  assert.equal((await house.login('grouped', 'pw', 'crewed')).status, 401);
  const grant = `/projects/${place}/groups/${group}/roles/${house.ids.roles.manager}`;
  assert.equal((await admin('PUT', grant)).status, 204);
  assert.equal((await admin('HEAD', grant)).status, 204);
  const login = await house.login('grouped', 'pw', 'crewed');
  assert.deepEqual(names(login.body.token.roles), ['manager', 'member', 'reader']);
  const token = login.headers.get('x-subject-token') ?? '';
  assert.deepEqual(names((await house.ask('GET', `/v3/users/${member}/groups`, { token })).body.groups), ['crew']);
  assert.deepEqual(names((await house.ask('GET', `/v3/users/${member}/projects`, { token })).body.projects), ['crewed']);
  assert.equal((await admin('DELETE', `/groups/${group}/users/${member}`)).status, 204);
  assert.equal((await house.ask('GET', '/v3/auth/projects', { token })).status, 401);
  assert.equal((await admin('GET', `/groups/${group}/users/${member}`)).status, 404);
  assert.equal((await admin('DELETE', `/groups/${group}`)).status, 204);
});

test('roles imply others, inherited roles reach the projects below', async () => {
  const role = await made('/roles', 'role', { name: 'auditor' });
  const implied = `/roles/${role}/implies/${house.ids.roles.reader}`;
  assert.equal((await admin('PUT', implied)).status, 201);
  assert.equal((await admin('HEAD', implied)).status, 204);
  assert.equal((await admin('PUT', `/roles/${role}/implies/${house.ids.roles.admin}`)).status, 400);
  assert.ok((await admin('GET', '/role_inferences')).body.role_inferences.length >= 4);
  const id = await user('inspector');
  const grant = `/OS-INHERIT/domains/default/users/${id}/roles/${role}/inherited_to_projects`;
  assert.equal((await admin('PUT', grant)).status, 204);
  assert.deepEqual(names((await house.login('inspector', 'pw', 'demo')).body.token.roles), ['auditor', 'reader']);
  assert.equal((await house.login('inspector', 'pw', { domain: { id: 'default' } })).status, 401);
  assert.equal((await admin('DELETE', implied)).status, 204);
  assert.deepEqual(names((await house.login('inspector', 'pw', 'demo')).body.token.roles), ['auditor']);
  assert.equal((await admin('DELETE', `/roles/${role}`)).status, 204);
  assert.equal((await house.login('inspector', 'pw', 'demo')).status, 401);
  assert.equal((await admin('DELETE', `/roles/${house.ids.roles.admin}`)).status, 403);
});

test('role assignments are listed as given and in effect, with names', async () => {
  const query = `user.id=${house.ids.users.demo}`;
  const given = (await admin('GET', `/role_assignments?${query}&include_names`)).body.role_assignments;
  assert.deepEqual(
    given.map((line: { role: { name: string }; scope: { project: { name: string } } }) => [line.role.name, line.scope.project.name]),
    [['member', 'demo']],
  );
  assert.equal(given[0].user.domain.name, 'Default');
  const effective = (await admin('GET', `/role_assignments?${query}&effective`)).body.role_assignments;
  assert.equal(effective.length, 2);
  const system = (await admin('GET', '/role_assignments?scope.system=all')).body.role_assignments;
  assert.deepEqual(system[0].scope, { system: { all: true } });
  assert.equal((await demo('GET', '/role_assignments')).status, 403);
});

test('domains keep names apart, and go with all that is in them once disabled', async () => {
  const domain = await made('/domains', 'domain', { name: 'north' });
  const id = await user('demo', { domain_id: domain });
  assert.equal((await admin('POST', '/domains', { domain: { name: 'north' } })).status, 409);
  assert.equal((await admin('DELETE', `/domains/${domain}`)).status, 403);
  assert.equal((await admin('PATCH', `/domains/${domain}`, { domain: { enabled: false } })).status, 200);
  assert.equal((await admin('DELETE', `/domains/${domain}`)).status, 204);
  assert.equal((await admin('GET', `/users/${id}`)).status, 404);
  assert.equal((await demo('GET', '/domains/default')).status, 200);
});

test('a manager of a domain manages that domain and nothing else', async () => {
  const domain = await made('/domains', 'domain', { name: 'south' });
  const id = await user('chief', { domain_id: domain });
  await admin('PUT', `/domains/${domain}/users/${id}/roles/${house.ids.roles.manager}`);
  const login = await house.ask('POST', '/v3/auth/tokens', {
    body: {
      auth: { identity: { methods: ['password'], password: { user: { id, password: 'pw' } } }, scope: { domain: { id: domain } } },
    },
  });
  const token = login.headers.get('x-subject-token') ?? '';
  const chief = (method: string, path: string, body?: unknown) => house.ask(method, `/v3${path}`, { token, body });
  const place = await chief('POST', '/projects', { project: { name: 'p' } });
  assert.equal(place.body.project.domain_id, domain);
  const worker = await chief('POST', '/users', { user: { name: 'worker' } });
  const grant = (role: string) => `/projects/${place.body.project.id}/users/${worker.body.user.id}/roles/${role}`;
  assert.equal((await chief('PUT', grant(house.ids.roles.member))).status, 204);
  assert.equal((await chief('PUT', grant(house.ids.roles.admin))).status, 403);
  assert.deepEqual(names((await chief('GET', '/users')).body.users), ['chief', 'worker']);
  assert.deepEqual(names((await chief('GET', '/domains')).body.domains), ['south']);
  assert.equal((await chief('GET', '/roles')).status, 200);
  assert.equal((await chief('GET', `/users/${house.ids.users.demo}`)).status, 403);
  assert.equal((await chief('POST', '/users', { user: { name: 'x', domain_id: 'default' } })).status, 403);
  assert.equal((await chief('PUT', `/projects/${house.ids.projects.demo}/users/${id}/roles/${house.ids.roles.member}`)).status, 403);
  assert.equal((await chief('PUT', `/system/users/${id}/roles/${house.ids.roles.reader}`)).status, 403);
});

test('a member sees himself and his project, and nothing of others', async () => {
  const own = [`/users/${house.ids.users.demo}`, `/projects/${house.ids.projects.demo}`, '/auth/projects', '/regions'];
  for (const path of own) assert.equal((await demo('GET', path)).status, 200, path);
  const others = [
    '/users',
    '/projects',
    '/groups',
    '/roles',
    '/services',
    `/users/${house.ids.users.admin}`,
    `/users/${'0'.repeat(32)}`,
    `/projects/${house.ids.projects.admin}`,
    `/users/${house.ids.users.admin}/application_credentials`,
    `/users/${house.ids.users.admin}/projects`,
  ];
  for (const path of others) assert.equal((await demo('GET', path)).status, 403, path);
  assert.equal((await demo('POST', '/projects', { project: { name: 'mine' } })).status, 403);
  assert.equal((await demo('PATCH', `/users/${house.ids.users.demo}`, { user: { enabled: true } })).status, 403);
  assert.equal((await admin('GET', '/no-such-thing')).status, 404);
});

test('services and endpoints: the built-in ones are shown and stay, own ones come into the catalog', async () => {
  const service = await made('/services', 'service', { type: 'object-store', name: 'swift' });
  const url = 'http://swift.example/v1/AUTH_%(project_id)s';
  const endpoint = await made('/endpoints', 'endpoint', { service_id: service, interface: 'public', url, region: 'RegionOne' });
  const { catalog } = (await demo('GET', '/auth/catalog')).body;
  const entry = catalog.find((one: { type: string }) => one.type === 'object-store');
  assert.equal(entry.endpoints[0].url, `http://swift.example/v1/AUTH_${house.ids.projects.demo}`);
  assert.equal((await admin('GET', '/endpoints?interface=public')).body.endpoints.length, 9);
  const builtIn = (await admin('GET', '/services?type=compute')).body.services[0];
  assert.equal((await admin('DELETE', `/services/${builtIn.id}`)).status, 403);
  assert.equal((await admin('PATCH', `/endpoints/${endpoint}`, { endpoint: { enabled: false } })).status, 200);
  assert.equal((await admin('POST', '/endpoints', { endpoint: { service_id: 'x', interface: 'public', url: 'http://x' } })).status, 404);
  assert.equal((await admin('PUT', '/regions/R2', { region: { parent_region_id: 'RegionOne' } })).status, 201);
  assert.equal((await admin('POST', '/regions', { region: { id: 'R2' } })).status, 409);
  assert.equal((await admin('PATCH', '/regions/RegionOne', { region: { parent_region_id: 'R2' } })).status, 400);
  assert.equal((await admin('DELETE', '/regions/R2')).status, 204);
  assert.equal((await admin('DELETE', '/regions/RegionOne')).status, 409);
  assert.equal((await admin('DELETE', `/services/${service}`)).status, 204);
  assert.equal((await admin('GET', `/endpoints/${endpoint}`)).status, 404);
});

test('an application credential logs in with the roles it was given, shows its secret once, and dies with its deletion', async () => {
  const path = `/users/${house.ids.users.demo}/application_credentials`;
  const create = (fields: object) => demo('POST', path, { application_credential: fields });
  const answer = await create({ name: 'ci', roles: [{ name: 'reader' }], expires_at: '2199-01-01T00:00:00' });
  assert.equal(answer.status, 201);
  const { id, secret } = answer.body.application_credential;
  assert.equal((await demo('GET', `${path}/${id}`)).body.application_credential.secret, undefined);
  assert.equal((await create({ name: 'ci' })).status, 409);
  assert.equal((await create({ name: 'too-much', roles: [{ name: 'admin' }] })).status, 400);
  assert.equal((await create({ name: 'past', expires_at: '2001-01-01T00:00:00' })).status, 400);
  assert.equal((await create({ name: 'far', expires_at: '2999-01-01T00:00:00' })).status, 400);
  assert.equal((await create({ name: 'rules', access_rules: [{ path: '/x', method: 'GET', service: 'compute' }] })).status, 400);
  const login = (given: object, scope?: object) =>
    house.ask('POST', '/v3/auth/tokens', {
      body: { auth: { identity: { methods: ['application_credential'], application_credential: given }, ...(scope ? { scope } : {}) } },
    });
  assert.equal((await login({ id, secret: 'wrong' })).status, 401);
  assert.equal((await login({ id, secret }, { project: { id: house.ids.projects.admin } })).status, 403);
  const good = await login({ name: 'ci', user: { name: 'demo', domain: { id: 'default' } }, secret });
  assert.deepEqual(names(good.body.token.roles), ['reader']);
  assert.equal(good.body.token.application_credential.restricted, true);
  const token = good.headers.get('x-subject-token') ?? '';
  const more = await house.ask('POST', `/v3${path}`, { token, body: { application_credential: { name: 'stronger' } } });
  assert.equal(more.status, 403);
  assert.equal((await demo('DELETE', `${path}/${id}`)).status, 204);
  assert.equal((await house.ask('GET', '/v3/auth/projects', { token })).status, 401);
  assert.equal((await login({ id, secret })).status, 401);
});

test('two who take one name at the same time: one has it', async () => {
  const answers = await Promise.all([1, 2, 3, 4].map(() => admin('POST', '/projects', { project: { name: 'raced' } })));
  assert.deepEqual(answers.map((answer) => answer.status).sort(), [201, 409, 409, 409]);
});
