import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { computeChoices, computeVersions } from '../../src/services/compute-api/versions.ts';
import { type ComputeHouse, DEMO_PROJECT, openComputeHouse } from '../support/compute-api.ts';

let house: ComputeHouse;
before(async () => {
  house = await openComputeHouse();
});
after(() => house.close());

const OWN = 'x-openstack-nova-api-version';
const STANDARD = 'openstack-api-version';

test('which version a request gets, and what its answer says of it', async () => {
  const table: readonly [Record<string, string>, number, string | null][] = [
    [{}, 200, '2.1'],
    [{ [STANDARD]: 'compute 2.53' }, 200, '2.53'],
    [{ [STANDARD]: 'Compute 2.53' }, 200, '2.53'],
    [{ [STANDARD]: 'compute latest' }, 200, '2.104'],
    [{ [STANDARD]: 'volume 3.70, compute 2.30' }, 200, '2.30'],
    [{ [STANDARD]: 'compute 2.30, compute 2.40' }, 200, '2.40'],
    [{ [STANDARD]: 'volume 3.70' }, 200, '2.1'],
    [{ [OWN]: '2.26' }, 200, '2.26'],
    [{ [OWN]: 'latest' }, 200, '2.104'],
    [{ [OWN]: '2.26', [STANDARD]: 'compute 2.27' }, 200, '2.27'],
    [{ [OWN]: '2.26', [STANDARD]: 'volume 3.70' }, 200, '2.26'],
    [{ [STANDARD]: 'compute 2.105' }, 406, '2.105'],
    [{ [STANDARD]: 'compute 1.1' }, 406, '1.1'],
    [{ [STANDARD]: 'compute 2.0' }, 406, '2.0'],
    [{ [STANDARD]: 'compute 3.1' }, 406, '3.1'],
    [{ [STANDARD]: 'compute 2.01' }, 400, null],
    [{ [STANDARD]: 'compute 2' }, 400, null],
    [{ [STANDARD]: 'compute new' }, 400, null],
    [{ [OWN]: '2.x' }, 400, null],
  ];
  for (const [headers, status, version] of table) {
    const answer = await house.ask('GET /extensions', { headers });
    const what = JSON.stringify(headers);
    assert.equal(answer.status, status, what);
    assert.equal(answer.headers.get(OWN), version, what);
    assert.equal(answer.headers.get(STANDARD), version && `compute ${version}`, what);
    assert.equal(answer.headers.get('vary'), version && 'OpenStack-API-Version, X-OpenStack-Nova-API-Version', what);
    assert.match(answer.headers.get('x-compute-request-id') ?? '', /^req-[0-9a-f-]{36}$/);
    assert.equal(answer.headers.get('x-compute-request-id'), answer.headers.get('x-openstack-request-id'));
    if (status === 406) {
      const message = `Version ${version} is not supported by the API. Minimum is 2.1 and maximum is 2.104.`;
      assert.deepEqual(answer.body, { computeFault: { code: 406, message } });
    }
    if (status === 400) assert.equal(answer.body.badRequest.code, 400);
  }
});

test('the legacy mount knows no microversions and drops what it does not know', async () => {
  for (const version of ['2.53', '2.999', 'x']) {
    const answer = await house.ask('GET /v2/flavors?nonsense=1', { at: version });
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get(STANDARD), null);
    assert.equal(answer.headers.get('vary'), null);
  }
  const flavor = { name: 'legacy', ram: 1, vcpus: 1, disk: 1, nonsense: true };
  const made = await house.ask('POST /v2/flavors', { body: { flavor } });
  assert.equal(made.status, 200);
  assert.match(made.body.flavor.links[0].href, /\/v2\/flavors\//);
  assert.equal((await house.ask('POST /flavors', { body: { flavor: { ...flavor, name: 'new' } } })).status, 400);
});

test('errors before the API speak the language of who stands there', async () => {
  for (const as of [null, 'nobody knows me', '']) {
    const answer = await house.ask('GET /nowhere', { as });
    assert.equal(answer.status, 401);
    assert.equal(answer.headers.get('www-authenticate'), 'Keystone uri="http://identity.example/v3"');
    assert.equal(answer.body.error.code, 401);
    assert.equal(answer.body.error.title, 'Unauthorized');
  }
  const nowhere = (accept: string) => house.ask('PUT /flavors', { headers: { accept } });
  assert.deepEqual((await nowhere('application/json')).body, {
    ...{ message: 'The resource could not be found.<br /><br />\n\n\n', code: '404 Not Found', title: 'Not Found' },
  });
  assert.match((await nowhere('text/html,*/*')).headers.get('content-type') ?? '', /^text\/html/);
  assert.match((await nowhere('*/*')).headers.get('content-type') ?? '', /^text\/plain/);
  const large = await house.ask('POST /flavors', { raw: `{"flavor": "${'x'.repeat(114_688)}"}` });
  assert.equal(large.status, 413);
  assert.match(large.headers.get('content-type') ?? '', /^text\/plain/);
  const media = await house.ask('POST /flavors', { raw: 'flavor', headers: { 'content-type': 'application/xml' } });
  assert.equal(media.status, 415);
  assert.equal(media.body.badMediaType.code, 415);
  const broken = await house.ask('POST /flavors', { raw: '{"flavor": ' });
  assert.deepEqual(broken.body, { badRequest: { code: 400, message: 'Malformed request body' } });
  assert.equal(broken.headers.get('content-type'), 'application/json; charset=UTF-8');
});

test('the project in the URL is optional, but must be the token’s', async () => {
  const own = await house.ask(`GET /${DEMO_PROJECT}/flavors`, { as: 'demo' });
  assert.equal(own.status, 200);
  assert.equal((await house.ask(`GET /v2/${DEMO_PROJECT}/flavors`, { as: 'demo' })).status, 200);
  for (const mount of ['/v2', '/v2.1']) {
    const foreign = await house.ask(`GET ${mount}/${DEMO_PROJECT}/flavors`, { as: 'other' });
    assert.equal(foreign.status, 400);
    assert.match(foreign.body.badRequest.message, /project_id/);
  }
  assert.equal((await house.ask('GET /not-a-project/flavors')).status, 404);
});

test('paths that could be read in two ways are read in the right one', async () => {
  const flavor = { name: 'path', id: 'path', ram: 1, vcpus: 1, disk: 1 };
  await house.ask('POST /flavors', { body: { flavor } });
  const prefix = `/${DEMO_PROJECT}`;
  for (const [path, key] of [
    ['/flavors/detail', 'flavors'],
    ['/flavors/path', 'flavor'],
    ['/flavors/path/os-extra_specs', 'extra_specs'],
    ['/os-availability-zone', 'availabilityZoneInfo'],
  ] as const) {
    assert.ok(key in (await house.ask(`GET ${path}`, { as: 'demo' })).body, path);
    assert.ok(key in (await house.ask(`GET ${prefix}${path}`, { as: 'demo' })).body, prefix + path);
  }
  // A hex word in front is a project, whatever stands behind it.
  assert.equal((await house.ask('GET /fade/flavors/detail', { as: 'demo' })).status, 400);
  assert.equal((await house.ask('GET /flavors/flavors', { as: 'demo' })).body.itemNotFound.message, 'Flavor flavors could not be found.');
});

test('a slash behind a path makes it another path; nothing has an empty id', async () => {
  for (const path of ['/v2.1/servers', '/v2.1/flavors', '/v2.1/os-keypairs']) {
    assert.equal((await house.ask(`GET ${path.slice('/v2.1'.length)}`)).status, 200, path);
    assert.equal((await house.ask(`GET ${path.slice('/v2.1'.length)}/`)).status, 404, path);
  }
});

test('version documents need no token', async () => {
  const { version } = (await house.ask('GET /v2.1/', { as: null })).body;
  assert.deepEqual([version.id, version.status, version.min_version, version.version], ['v2.1', 'CURRENT', '2.1', '2.104']);
  assert.equal(version.links[0].href, `${house.origin}/v2.1/`);
  const legacy = (await house.ask('GET /v2/', { as: null })).body.version;
  assert.deepEqual([legacy.id, legacy.status, legacy.version], ['v2.0', 'DEPRECATED', '']);
  for (const path of ['/v2.1', '/v2']) {
    const answer = await house.ask(`GET ${path}`, { as: null });
    assert.deepEqual([answer.status, answer.headers.get('location'), answer.text], [302, `${house.origin}${path}/`, '']);
  }
  assert.equal((await house.ask('GET /versions/v2.1', { as: null })).status, 401);
  assert.equal((await house.ask('GET /versions/v2.0')).body.version.id, 'v2.0');
  assert.equal((await house.ask('GET /versions/v9')).status, 404);
  assert.deepEqual(
    computeVersions('http://x').versions.map(({ id, links }) => [id, links[0]?.href]),
    [
      ['v2.0', 'http://x/v2/'],
      ['v2.1', 'http://x/v2.1/'],
    ],
  );
  assert.equal(computeChoices('http://x', '/servers').choices[1]?.links[0]?.href, 'http://x/v2.1/servers');
});
