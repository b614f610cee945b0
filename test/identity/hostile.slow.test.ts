import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { identityPolicy } from '../../src/services/identity/policy.ts';
import { leanFetch } from '../support/lean-fetch.ts';
import { type Identity, openIdentity } from './house.ts';

let house: Identity;
before(async () => {
  house = await openIdentity();
});
after(() => house.close());

const WORDS = ['user', 'project', 'domain', 'group', 'role', 'service', 'endpoint', 'region', 'application_credential', 'auth', 'tags'];
const FIELDS = [
  'name',
  'id',
  'domain_id',
  'parent_id',
  'enabled',
  'options',
  'password',
  'original_password',
  'description',
  'tags',
  'url',
  'interface',
  'service_id',
  'region_id',
  'type',
  'roles',
  'secret',
  'expires_at',
  'parent_region_id',
  'default_project_id',
  'identity',
  'methods',
  'scope',
  'token',
  'constructor',
  'links',
  'explicit_domain_id',
  'access_rules',
];
const odd = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.constantFrom(
    'x'.repeat(70_000),
    '',
    ' ',
    '../..',
    "'; drop table identity_users; --",
    'default',
    '\u202e',
    1e308,
    -1,
    0.5,
    true,
    null,
  ),
  fc.jsonValue({ maxDepth: 3 }),
);
const body = fc.dictionary(fc.constantFrom(...WORDS), fc.oneof(odd, fc.dictionary(fc.constantFrom(...FIELDS), odd, { maxKeys: 8 })), {
  maxKeys: 2,
});

test('no body, id or query word brings a 5xx, for an administrator or for nobody', async () => {
  const routes = house.app.routes.filter(({ key }) => !key.startsWith('GET /v3/OS-REVOKE') && !key.startsWith('DELETE /v3/auth'));
  const idOf = fc.oneof(
    fc.constantFrom('default', house.ids.projects.demo, house.ids.roles.reader, '%F0%9F%98%80', 'x'.repeat(300), '%00', '..%2f'),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...routes.map(({ key }) => key)),
      idOf,
      body,
      fc.constantFrom(
        '',
        '?limit=1',
        '?name=%ff',
        '?limit=-1',
        '?marker=%00',
        '?enabled',
        '?tags=,,',
        '?effective&include_names',
        '?domain_id=',
      ),
      fc.boolean(),
      async (key, id, given, query, known) => {
        const [method = '', path = ''] = key.split(' ');
        // What would lock the test itself out is left alone.
        if (/PATCH|DELETE/.test(method) && (id === 'default' || id === house.ids.roles.reader)) return;
        const url = path.replaceAll(/:\w+/g, id);
        const hasBody = !['GET', 'HEAD'].includes(method);
        const token = known ? house.admin : undefined;
        const answer = await house.ask(method, `${url}${query}`, { token, ...(hasBody ? { body: given } : {}) });
        assert.ok(answer.status < 500, `${method} ${url}${query} ${JSON.stringify(given).slice(0, 500)} -> ${answer.status}`);
        if (answer.status >= 400 && method !== 'HEAD') assert.equal(answer.body.error.code, answer.status);
      },
    ),
    { numRuns: 250 },
  );
  assert.equal((await house.ask('GET', '/v3/users', { token: house.admin })).status, 200);
});

test('bodies that are no JSON, too deep, of the wrong form or with lone surrogates are a 400', async () => {
  const deep = `{"user":{"name":"deep","x":${'['.repeat(5000)}${']'.repeat(5000)}}}`;
  for (const text of [
    '',
    '{',
    '[]',
    'null',
    '"x"',
    deep,
    '{"user":{"name":"\\ud800"}}',
    '{"user":{"name":"a\\u0000"}}',
    '{"__proto__":1}',
  ]) {
    const answer = await leanFetch(`${house.base}/v3/users`, { method: 'POST', headers: { 'x-auth-token': house.admin }, body: text });
    assert.equal(answer.status, 400, text.slice(0, 50));
  }
  for (const auth of [
    {},
    { identity: {} },
    { identity: { methods: [] } },
    { identity: { methods: ['password'] } },
    { identity: { methods: ['password'], password: { user: { name: 'demo', password: 'x' } } } },
    { identity: { methods: ['token'] } },
    { identity: { methods: ['application_credential'], application_credential: { secret: 'x' } } },
    { identity: { methods: ['password'], password: { user: { id: house.ids.users.demo, password: 'demo-pw' } } }, scope: {} },
    { identity: { methods: ['password'], password: { user: { id: house.ids.users.demo, password: 'demo-pw' } } }, scope: { project: {} } },
  ]) {
    assert.equal((await house.ask('POST', '/v3/auth/tokens', { body: { auth } })).status, 400, JSON.stringify(auth));
  }
});

test('every route that asks for a token names a rule, and every rule is there', () => {
  for (const { key, policy, auth } of house.app.routes) {
    if (auth === 'none') continue;
    assert.ok(policy && policy in identityPolicy, `${key}: ${policy}`);
  }
});
