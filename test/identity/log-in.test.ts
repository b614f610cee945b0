import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Identity, openIdentity } from './house.ts';

let house: Identity;
before(async () => {
  house = await openIdentity();
});
after(() => house.close());

const rolesIn = (body: { token: { roles: { name: string }[] } }) => body.token.roles.map((role) => role.name).sort();

test('version documents are answered without a token, as Keystone does', async () => {
  const list = await house.ask('GET', '/');
  assert.equal(list.status, 300);
  assert.equal(list.body.versions.values[0].links[0].href, `${house.base}/v3/`);
  for (const path of ['/v3', '/v3/']) {
    const one = await house.ask('GET', path);
    assert.equal(one.status, 200);
    assert.equal(one.body.version.id, 'v3.14');
  }
});

test('a password gives a token of a project with effective roles and the catalog of the address asked for', async () => {
  const answer = await house.login('admin', 'admin-pw', 'admin');
  assert.equal(answer.status, 201);
  assert.equal(answer.headers.get('vary'), 'X-Auth-Token');
  const { token } = answer.body;
  assert.equal(token.project.name, 'admin');
  assert.deepEqual(token.methods, ['password']);
  assert.deepEqual(rolesIn(answer.body), ['admin', 'manager', 'member', 'reader']);
  assert.deepEqual(token.catalog.map((entry: { type: string }) => entry.type).sort(), [
    'block-storage',
    'compute',
    'compute_legacy',
    'identity',
    'image',
    'network',
    'placement',
    'volumev3',
  ]);
  const origin = house.base.replace('/identity', '');
  const urlOf = (type: string) => token.catalog.find((entry: { type: string }) => entry.type === type).endpoints[0].url;
  assert.equal(urlOf('compute'), `${origin}/v2.1`);
  assert.equal(urlOf('compute_legacy'), `${origin}/v2/${token.project.id}`);
  assert.match(token.expires_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);
});

test('scopes: project by id, domain, system, none, and the default project', async () => {
  const byId = await house.login('demo', 'demo-pw', { project: { id: house.ids.projects.demo } });
  assert.deepEqual(rolesIn(byId.body), ['member', 'reader']);
  const domain = await house.login('admin', 'admin-pw', { domain: { name: 'Default' } });
  assert.deepEqual(domain.body.token.domain, { id: 'default', name: 'Default' });
  assert.equal(domain.body.token.project, undefined);
  const system = await house.login('admin', 'admin-pw', { system: { all: true } });
  assert.deepEqual(system.body.token.system, { all: true });
  const none = await house.ask('POST', '/v3/auth/tokens', {
    body: {
      auth: {
        identity: { methods: ['password'], password: { user: { id: house.ids.users.demo, password: 'demo-pw' } } },
        scope: 'unscoped',
      },
    },
  });
  assert.equal(none.status, 201);
  assert.equal(none.body.token.roles, undefined);
  assert.equal(none.body.token.catalog, undefined);
  const byDefault = await house.login('demo', 'demo-pw');
  assert.equal(byDefault.body.token.project.name, 'demo');
});

test('who is wrong, or has no role there, is refused with 401 and learns nothing', async () => {
  const wrong = [
    await house.login('demo', 'nope', 'demo'),
    await house.login('nobody', 'demo-pw', 'demo'),
    await house.login('demo', 'demo-pw', 'admin'),
    await house.login('demo', 'demo-pw', 'no-such-project'),
    await house.login('demo', 'demo-pw', { system: { all: true } }),
    await house.login('demo', 'demo-pw', { domain: { id: 'default' } }),
    await house.ask('GET', '/v3/users'),
    await house.ask('GET', '/v3/users', { token: 'garbage' }),
    await house.ask('GET', '/v3/users', { token: `${house.admin.slice(0, -4)}AAAA` }),
  ];
  const texts = new Set(wrong.map((answer) => JSON.stringify(answer.body)));
  assert.deepEqual([...new Set(wrong.map((answer) => answer.status))], [401]);
  assert.equal(texts.size, 1);
  assert.match(wrong[0]?.headers.get('www-authenticate') ?? '', /^Keystone uri="http/);
});

test('a token is traded for one of another scope, which ends no later and belongs to the same chain', async () => {
  const first = await house.ask('GET', '/v3/auth/tokens', { token: house.demo, subject: house.demo });
  const traded = await house.ask('POST', '/v3/auth/tokens', {
    body: { auth: { identity: { methods: ['token'], token: { id: house.demo } }, scope: { project: { id: house.ids.projects.demo } } } },
  });
  assert.equal(traded.status, 201);
  assert.equal(traded.body.token.expires_at, first.body.token.expires_at);
  assert.equal(traded.body.token.audit_ids[1], first.body.token.audit_ids[0]);
  assert.deepEqual(traded.body.token.methods.sort(), ['password', 'token']);
});

test('GET, HEAD and DELETE of a token', async () => {
  const token = await house.tokenOf('demo', 'demo-pw', 'demo');
  const shown = await house.ask('GET', '/v3/auth/tokens?nocatalog', { token: house.admin, subject: token });
  assert.equal(shown.status, 200);
  assert.equal(shown.body.token.user.name, 'demo');
  assert.equal(shown.body.token.catalog, undefined);
  assert.equal((await house.ask('HEAD', '/v3/auth/tokens', { token, subject: token })).status, 200);
  assert.equal((await house.ask('GET', '/v3/auth/tokens', { token, subject: house.admin })).status, 403);
  assert.equal((await house.ask('GET', '/v3/auth/tokens', { token, subject: 'garbage' })).status, 403);
  assert.equal((await house.ask('GET', '/v3/auth/tokens', { token: house.admin, subject: 'garbage' })).status, 404);
  assert.equal((await house.ask('GET', '/v3/auth/tokens', { token: house.admin })).status, 400);
  assert.equal((await house.ask('DELETE', '/v3/auth/tokens', { token, subject: token })).status, 204);
  assert.equal((await house.ask('GET', '/v3/auth/tokens', { token: house.admin, subject: token })).status, 404);
  assert.equal((await house.ask('GET', '/v3/auth/projects', { token })).status, 401);
});

test('my catalog, projects, domains and system', async () => {
  assert.ok((await house.ask('GET', '/v3/auth/catalog', { token: house.demo })).body.catalog.length > 5);
  const projects = await house.ask('GET', '/v3/auth/projects', { token: house.demo });
  assert.deepEqual(
    projects.body.projects.map((project: { name: string }) => project.name),
    ['demo'],
  );
  assert.deepEqual((await house.ask('GET', '/v3/auth/system', { token: house.demo })).body.system, []);
  assert.deepEqual((await house.ask('GET', '/v3/auth/system', { token: house.admin })).body.system, [{ all: true }]);
  assert.equal((await house.ask('GET', '/v3/auth/domains', { token: house.admin })).body.domains.length, 1);
});

test('seeding again changes nothing, and the key file is for its owner only', async () => {
  assert.deepEqual(await house.seed(), house.ids);
  assert.equal((await house.ask('GET', '/v3/auth/projects', { token: house.demo })).status, 200);
  assert.equal(statSync(join(house.dir, 'keys', 'tokens.pem')).mode & 0o777, 0o600);
});

test('a checked token costs less than 100 us', async () => {
  await house.app.checkToken(house.demo);
  const began = performance.now();
  for (let i = 0; i < 1000; i++) await house.app.checkToken(house.demo);
  const each = (performance.now() - began) / 1000;
  assert.ok(each < 0.1, `${each} ms`);
});
