import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RouteTable } from '../../src/http/call.ts';
import { compilePolicy } from '../../src/model/policy.ts';
import { computePolicyRules } from '../../src/model/policy-rules.ts';
import { computeRoutes } from '../../src/services/compute-api/app.ts';
import { identityPolicy } from '../../src/services/identity/policy.ts';
import { identityRoutes } from '../../src/services/identity/routes.ts';
import { imagePolicy } from '../../src/services/image/policy.ts';
import { routes as imageRoutes } from '../../src/services/image/routes.ts';
import { networkPolicies } from '../../src/services/network/policy.ts';
import { networkRoutes } from '../../src/services/network/routes.ts';
import { placementRules } from '../../src/services/placement/policy.ts';
import { placementRoutes } from '../../src/services/placement/routes.ts';
import { volumePolicy } from '../../src/services/volume/policy.ts';
import { volumeRoutes } from '../../src/services/volume/routes.ts';

/** Routes that answer without a token: version documents, logging in, and changing one's own password by the old one. */
const OPEN = /^GET \/(versions|v3|v2\.0)?$|^POST \/v3\/auth\/tokens$|^POST \/v3\/users\/:\w+\/password$/;

const tables: readonly (readonly [string, RouteTable<never>, Readonly<Record<string, string>>])[] = [
  ['compute', computeRoutes, computePolicyRules],
  ['identity', identityRoutes, identityPolicy],
  ['image', imageRoutes, imagePolicy],
  ['network', networkRoutes, networkPolicies],
  ['volume', volumeRoutes, volumePolicy],
  ['placement', placementRoutes, placementRules],
];
for (const [name, routes, rules] of tables) {
  test(`each ${name} route asks for a token and names a rule that exists`, () => {
    const policy = compilePolicy(rules);
    const without: string[] = [];
    for (const [key, route] of Object.entries(routes)) {
      if (route.auth === 'none' && !OPEN.test(key)) without.push(`${key} asks for no token`);
      if (route.auth === 'none') continue;
      if (!route.policy) without.push(`${key} names no rule`);
      else if (route.policy !== 'none' && !policy.has(route.policy)) without.push(`${key} names ${route.policy}, which is no rule`);
    }
    assert.ok(Object.keys(routes).length > 20);
    assert.deepEqual(without, []);
  });
}
