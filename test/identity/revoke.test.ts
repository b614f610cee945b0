import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { serviceToken, tokenCheck } from '../../src/clients/identity.ts';
import { neighbour } from '../../src/clients/neighbour.ts';
import { manualClock, systemClock } from '../../src/lib/clock.ts';
import { CloudError } from '../../src/model/errors.ts';
import { type Identity, openIdentity } from './house.ts';

let house: Identity;
const clock = manualClock();
before(async () => {
  house = await openIdentity({ clock });
});
after(() => house.close());

const service = (url = `${house.base}/v3`) =>
  serviceToken({ url, userName: 'kilonova', password: 'service-pw', projectName: 'service', clock });
const remote = (more: { subscribe?: Identity['app']['onRevoked'] } = {}) => {
  const asked: string[] = [];
  const url = `${house.base}/v3`;
  const identity = neighbour({ service: 'identity', url, token: service() });
  const counted: typeof identity = {
    ...identity,
    ask: (method, path, options) => {
      asked.push(path.split('?')[0] ?? '');
      return identity.ask(method, path, options);
    },
  };
  return { check: tokenCheck({ identity: counted, clock, ...more }), asked };
};
const unauthorized = (cause: unknown) => cause instanceof CloudError && cause.kind === 'unauthorized';

async function newUser(name: string): Promise<string> {
  const made = await house.ask('POST', '/v3/users', { token: house.admin, body: { user: { name, password: 'pw' } } });
  const id = made.body.user.id;
  const role = `/v3/projects/${house.ids.projects.demo}/users/${id}/roles/${house.ids.roles.member}`;
  assert.equal((await house.ask('PUT', role, { token: house.admin })).status, 204);
  return id;
}

test('a client checks once, then keeps the answer; checks at the same time share one request', async () => {
  const { check, asked } = remote();
  const callers = await Promise.all([check(house.demo), check(house.demo), check(house.demo)]);
  assert.equal(callers[0]?.userName, 'demo');
  assert.deepEqual([...(callers[0]?.roles ?? [])].sort(), ['member', 'reader']);
  assert.deepEqual(callers[0], await house.app.checkToken(house.demo));
  await check(house.demo);
  assert.equal(asked.filter((path) => path === '/auth/tokens').length, 1);
});

test('a token of one process is good in the others, whose keys are their own; one that names a made-up key is not', async () => {
  const other = await house.otherProcess();
  assert.equal((await other.app.checkToken(house.demo)).userName, 'demo');
  const theirs = await house.ask('POST', '/v3/auth/tokens', {
    base: other.base,
    body: {
      auth: { identity: { methods: ['password'], password: { user: { name: 'demo', domain: { id: 'default' }, password: 'demo-pw' } } } },
    },
  });
  const token = theirs.headers.get('x-subject-token') ?? '';
  const [head = '', body, signature] = token.split('.');
  assert.equal((await house.app.checkToken(token)).userName, 'demo');
  const { kid, ...rest } = JSON.parse(Buffer.from(head, 'base64url').toString());
  assert.notEqual(kid, JSON.parse(Buffer.from(house.demo.split('.')[0] ?? '', 'base64url').toString()).kid);
  for (const header of [rest, { ...rest, kid: 7 }, { ...rest, kid: house.ids.users.demo }]) {
    const forged = `${Buffer.from(JSON.stringify(header)).toString('base64url')}.${body}.${signature}`;
    await assert.rejects(house.app.checkToken(forged), unauthorized);
  }
  const unknown = `${Buffer.from(JSON.stringify({ ...rest, kid: 'a'.repeat(64) })).toString('base64url')}.${body}.${signature}`;
  await clock.advance(1000);
  await assert.rejects(house.app.checkToken(unknown), unauthorized);
  await clock.advance(1000);
});

test('a revoked token is refused at once here, and within a second elsewhere', async () => {
  const other = await house.otherProcess();
  const subscribed = remote({ subscribe: house.app.onRevoked });
  const polled = remote();
  const token = await house.tokenOf('demo', 'demo-pw', 'demo');
  for (const check of [subscribed.check, polled.check, other.app.checkToken, house.app.checkToken]) await check(token);
  assert.equal((await house.ask('DELETE', '/v3/auth/tokens', { token, subject: token })).status, 204);
  await assert.rejects(house.app.checkToken(token), unauthorized);
  await assert.rejects(subscribed.check(token), unauthorized);
  await clock.advance(1000);
  await assert.rejects(other.app.checkToken(token), unauthorized);
  await assert.rejects(polled.check(token), unauthorized);
  await polled.check(house.demo);
});

test('a change of password refuses every token of the user, and a new one made right then is good', async () => {
  const id = await newUser('changer');
  const token = await house.tokenOf('changer', 'pw', 'demo');
  const change = (original_password: string) =>
    house.ask('POST', `/v3/users/${id}/password`, { body: { user: { original_password, password: 'pw2' } } });
  assert.equal((await change('wrong')).status, 401);
  assert.equal((await change('pw')).status, 204);
  assert.equal((await house.ask('GET', '/v3/auth/projects', { token })).status, 401);
  assert.equal((await house.login('changer', 'pw', 'demo')).status, 401);
  const fresh = await house.tokenOf('changer', 'pw2', 'demo');
  assert.equal((await house.ask('GET', '/v3/auth/projects', { token: fresh })).status, 200);
});

test('a disabled user, project or domain refuses its tokens, also after it was enabled again', async () => {
  const { body } = await house.ask('POST', '/v3/domains', { token: house.admin, body: { domain: { name: 'off-and-on' } } });
  const domainId = body.domain.id;
  const project = await house.ask('POST', '/v3/projects', { token: house.admin, body: { project: { name: 'p', domain_id: domainId } } });
  const projectId = project.body.project.id;
  const id = await newUser('switched');
  const grant = `/v3/projects/${projectId}/users/${id}/roles/${house.ids.roles.member}`;
  assert.equal((await house.ask('PUT', grant, { token: house.admin })).status, 204);
  for (const [path, word] of [
    [`/v3/users/${id}`, 'user'],
    [`/v3/projects/${projectId}`, 'project'],
    [`/v3/domains/${domainId}`, 'domain'],
  ] as const) {
    const token = await house.tokenOf('switched', 'pw', { project: { id: projectId } });
    const set = (enabled: boolean) => house.ask('PATCH', path, { token: house.admin, body: { [word]: { enabled } } });
    assert.equal((await set(false)).status, 200, word);
    assert.equal((await house.ask('GET', '/v3/auth/projects', { token })).status, 401, word);
    assert.equal((await house.login('switched', 'pw', { project: { id: projectId } })).status, 401, word);
    assert.equal((await set(true)).status, 200, word);
    assert.equal((await house.ask('GET', '/v3/auth/projects', { token })).status, 401, word);
  }
});

test('roles are those of now: a taken role is gone from living tokens, a given one is there', async () => {
  const { check } = remote();
  const id = await newUser('promoted');
  const token = await house.tokenOf('promoted', 'pw', 'demo');
  assert.deepEqual([...(await check(token)).roles].sort(), ['member', 'reader']);
  const role = (name: 'manager' | 'member') => `/v3/projects/${house.ids.projects.demo}/users/${id}/roles/${house.ids.roles[name]}`;
  await house.ask('PUT', role('manager'), { token: house.admin });
  assert.ok((await house.app.checkToken(token)).roles.includes('manager'));
  await clock.advance(1000);
  assert.ok((await check(token)).roles.includes('manager'));
  for (const name of ['manager', 'member'] as const)
    assert.equal((await house.ask('DELETE', role(name), { token: house.admin })).status, 204);
  await assert.rejects(house.app.checkToken(token), unauthorized);
  await clock.advance(1000);
  await assert.rejects(check(token), unauthorized);
});

test('a token ends with its time', async () => {
  const { check } = remote();
  const token = await house.tokenOf('demo', 'demo-pw', 'demo');
  await check(token);
  await clock.advance(3_600_001);
  await assert.rejects(house.app.checkToken(token), unauthorized);
  await assert.rejects(check(token), unauthorized);
});

test('revocations are for services and administrators only, and asked for by number', async () => {
  const admin = await house.tokenOf('admin', 'admin-pw', 'admin');
  const demo = await house.tokenOf('demo', 'demo-pw', 'demo');
  assert.equal((await house.ask('GET', '/v3/OS-REVOKE/events', { token: demo })).status, 403);
  const now = await house.ask('GET', '/v3/OS-REVOKE/events?since=now', { token: await service()(false) });
  assert.deepEqual(now.body.events, []);
  await house.ask('DELETE', '/v3/auth/tokens', { token: demo, subject: demo });
  const since = await house.ask('GET', `/v3/OS-REVOKE/events?since=${now.body.last}`, { token: admin });
  assert.equal(since.body.events.length, 1);
  assert.equal(since.body.last, now.body.last + 1);
  assert.equal((await house.ask('GET', '/v3/OS-REVOKE/events?since=x', { token: admin })).status, 400);
});

test('without an answer from the identity service nothing kept is trusted for more than a second', async () => {
  let up = true;
  let polls = 0;
  const token = await house.tokenOf('demo', 'demo-pw', 'demo');
  const base = `${house.base}/v3`;
  const between = createServer((request, response) => {
    if (request.url?.startsWith('/OS-REVOKE')) polls++;
    if (!up) return response.destroy();
    const headers = Object.fromEntries(['x-auth-token', 'x-subject-token'].map((name) => [name, String(request.headers[name] ?? '')]));
    fetch(`${base}${request.url}`, { headers }).then(
      async (answer) => response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text()),
      () => response.destroy(),
    );
  });
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`;
  const check = tokenCheck({ identity: neighbour({ service: 'identity', url, token: service() }), clock });
  try {
    await check(token);
    up = false;
    await check(token);
    assert.equal(polls, 1);
    await clock.advance(1001);
    await assert.rejects(check(token), (cause) => cause instanceof CloudError && cause.kind === 'unavailable');
    up = true;
    assert.equal((await check(token)).userName, 'demo');
  } finally {
    between.closeAllConnections();
    between.close();
  }
});

test('a Keystone that tells no numbers: answers are kept for a second', async () => {
  let checks = 0;
  const expires_at = new Date(Date.now() + 3_600_000).toISOString();
  const domain = { id: 'default', name: 'Default' };
  const keystone = createServer((request, response) => {
    response.setHeader('content-type', 'application/json');
    if (request.url?.startsWith('/OS-REVOKE')) return response.end('{"events":[]}');
    checks++;
    response.end(JSON.stringify({ token: { user: { id: 'u', name: 'n', domain }, expires_at, roles: [{ name: 'reader' }] } }));
  });
  await new Promise<void>((resolve) => keystone.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(keystone.address() as AddressInfo).port}`;
  const own = manualClock(systemClock.now());
  const check = tokenCheck({ identity: neighbour({ service: 'identity', url, token: async () => 'mine' }), clock: own });
  try {
    await check('theirs');
    await check('theirs');
    assert.equal(checks, 1);
    await own.advance(1001);
    assert.deepEqual((await check('theirs')).roles, ['reader']);
    assert.equal(checks, 2);
  } finally {
    keystone.closeAllConnections();
    keystone.close();
  }
});

test('the service token is kept, renewed before its end, and got anew when it was refused', async () => {
  const token = service();
  const first = await token(false);
  assert.equal(await token(false), first);
  await clock.advance(3_550_000);
  const second = await token(false);
  assert.notEqual(second, first);
  await house.ask('DELETE', '/v3/auth/tokens', { token: second, subject: second });
  await clock.advance(2000);
  const [third, same] = await Promise.all([token(true), token(true)]);
  assert.notEqual(third, second);
  assert.equal(same, third);
});
