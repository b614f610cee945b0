import assert from 'node:assert/strict';
import { test } from 'node:test';
import { computePolicyRules } from '../../src/model/policy-rules.ts';
import { computeRoutes } from '../../src/services/compute-api/app.ts';
import { readPolicyFile } from '../../src/services/compute-api/policy-file.ts';
import { removedRoutes } from '../../src/services/compute-api/removed.ts';
import { type ComputeHouse, openComputeHouse } from '../support/compute-api.ts';
import { furnish, HOST_UUIDS, SERVICE_UUIDS } from '../support/compute-world.ts';

/** Routes that need no right beyond a token; the image service decides for its own, and what was never served refuses everybody. */
const OPEN = ['GET /versions/:id', 'GET /flavors', 'GET /flavors/detail', 'GET /flavors/:id'];
const PROXIED = /^\w+ \/images|^(POST|DELETE) \/os-baremetal-nodes/;

test('every route has a rule that exists, or is one of the few that need none', () => {
  for (const [key, route] of Object.entries(computeRoutes)) {
    if (route.auth === 'none') assert.equal(key, 'GET /', `${key} needs no token`);
    else if (route.policy === 'none')
      assert.ok(
        OPEN.includes(key) || key.replace('/os-volumes_boot', '/servers') in removedRoutes || PROXIED.test(key),
        `${key} has no rule`,
      );
    else assert.ok(route.policy !== undefined && route.policy in computePolicyRules, `${key}: no rule ${route.policy}`);
  }
});

/** Paths with their parts filled in, for walking. */
const filled = (key: string) =>
  key
    .split('#')[0]
    ?.replace('/os-hypervisors/:id', `/os-hypervisors/${HOST_UUIDS[0]}`)
    .replace('/os-services/:id', `/os-services/${SERVICE_UUIDS[0]}`)
    .replaceAll(/:[a-z_]+/g, '1') ?? '';
/** A body that fits, where the walk needs one. */
const bodies: Readonly<Record<string, unknown>> = {
  'POST /flavors': { flavor: { name: 'n', ram: 1, vcpus: 1, disk: 1 } },
  'PUT /flavors/:id': { flavor: { description: null } },
  'POST /flavors/:id/action#addTenantAccess': { addTenantAccess: { tenant: 'x' } },
  'POST /flavors/:id/action#removeTenantAccess': { removeTenantAccess: { tenant: 'x' } },
  'POST /flavors/:id/os-extra_specs': { extra_specs: { a: 'b' } },
  'PUT /flavors/:id/os-extra_specs/:key': { '1': 'b' },
  'PUT /os-quota-sets/:id': { quota_set: {} },
  'PUT /os-services/:id': { status: 'disabled' },
  'PUT /os-quota-class-sets/:id': { quota_class_set: {} },
  'POST /os-aggregates': { aggregate: { name: 'a' } },
  'PUT /os-aggregates/:id': { aggregate: { name: 'a' } },
  'POST /os-aggregates/:id/action#add_host': { add_host: { host: 'host1' } },
  'POST /os-aggregates/:id/action#remove_host': { remove_host: { host: 'host1' } },
  'POST /os-aggregates/:id/action#set_metadata': { set_metadata: { metadata: {} } },
  'POST /os-aggregates/:id/images': { cache: [{ id: HOST_UUIDS[0] }] },
};

test('only admins come through the doors of admins', async () => {
  const house = await openComputeHouse();
  try {
    await furnish(house.db, house.clock);
    for (const [key, route] of Object.entries(computeRoutes)) {
      if (route.policy === undefined || route.policy === 'none' || route.until !== undefined) continue;
      const rule: string = (computePolicyRules as Record<string, string>)[route.policy] ?? '';
      if (rule !== 'rule:context_is_admin') continue;
      if (/^\w+ \/servers/.test(key)) continue; // servers have a walk of their own
      const answer = await house.ask(filled(key), { as: 'demo', at: '2.87', body: bodies[key] });
      assert.equal(answer.status, 403, `${key} answered ${answer.status} ${answer.text}`);
      assert.equal(answer.body.forbidden.message, `Policy doesn't allow ${route.policy} to be performed.`);
    }
    assert.equal((await house.ask('GET /flavors/1/os-extra_specs', { as: 'roleless' })).status, 403);
    assert.equal((await house.ask('GET /flavors/1/os-extra_specs', { as: 'demo' })).status, 200);
    assert.equal('extra_specs' in (await house.ask('GET /flavors/1', { as: 'roleless', at: '2.61' })).body.flavor, false);
    assert.equal('extra_specs' in (await house.ask('GET /flavors/1', { as: 'demo', at: '2.61' })).body.flavor, true);
  } finally {
    await house.close();
  }
});

test('a policy file overrides rules by name, as YAML or JSON', async () => {
  assert.deepEqual(await readPolicyFile('"os_compute_api:limits": "role:admin"\n'), { 'os_compute_api:limits': 'role:admin' });
  assert.deepEqual(await readPolicyFile('{"os_compute_api:limits": "!"}'), { 'os_compute_api:limits': '!' });
  assert.deepEqual(await readPolicyFile('# nothing but a comment\n'), {});
  await assert.rejects(readPolicyFile('- a\n- b\n'), /must map rule names/);
  await assert.rejects(readPolicyFile('"a": 5'), /rule "a" must be text/);
  await assert.rejects(readPolicyFile('"a": "role:x and"'), /rule "a" cannot be read/);
  await assert.rejects(readPolicyFile('{"a": '), /neither YAML nor JSON/);
  const house: ComputeHouse = await openComputeHouse({
    policy: await readPolicyFile(
      '"os_compute_api:limits": "role:admin"\n"os_compute_api:os-flavor-manage:create": "rule:project_member_or_admin"',
    ),
  });
  try {
    assert.equal((await house.ask('GET /limits', { as: 'demo' })).status, 403);
    assert.equal((await house.ask('GET /limits')).status, 200);
    const flavor = { name: 'own', ram: 1, vcpus: 1, disk: 1 };
    assert.equal((await house.ask('POST /flavors', { as: 'demo', body: { flavor } })).status, 200);
    assert.equal((await house.ask('POST /flavors', { as: 'roleless', body: { flavor } })).status, 403);
  } finally {
    await house.close();
  }
});
