import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { startPlacement } from '../../src/cloud/placement.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { type House, startHouse } from '../house/running.ts';
import { leanFetch } from '../support/lean-fetch.ts';

let dir: string;
let house: House;
before(async () => {
  dir = mkdtempSync(join(tmpdir(), 'kilonova-placement-'));
  writeFileSync(join(dir, 'policy.yaml'), '"placement:traits:list": "@"\n"os_compute_api:os-hosts:list": "!"\n');
  writeFileSync(join(dir, 'placement-policy.yaml'), '"placement:resource_classes:list": "role:member"\n');
  const conf = `[oslo_policy]\npolicy_file = ${dir}/policy.yaml\n[placement]\npolicy_file = ${dir}/placement-policy.yaml\nmax_allocation_candidates = 2\n`;
  writeFileSync(join(dir, 'nova.conf'), conf);
  house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '3', '--config', join(dir, 'nova.conf')] });
});
after(async () => {
  await house?.stop();
  await house?.remove();
  rmSync(dir, { recursive: true, force: true });
});
const ask = async (base: string, token: string, path: string, more: { method?: string; body?: object } = {}) => {
  const headers = { 'x-auth-token': token, 'openstack-api-version': 'placement 1.39', 'content-type': 'application/json' };
  const answer = await leanFetch(`${base}${path}`, {
    method: more.method ?? 'GET',
    headers,
    ...(more.body ? { body: JSON.stringify(more.body) } : {}),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === '' ? {} : JSON.parse(text) };
};

test('placement in a whole cloud: rules of the common policy file and of its own, and limits of the config', async () => {
  const [admin, demo] = [await house.as('admin'), await house.as('demo')];
  const at = async (user: typeof demo, path: string) => (await ask(`${house.base}/placement`, user.token, path)).status;
  assert.deepEqual(
    [await at(demo, '/traits'), await at(demo, '/resource_classes'), await at(demo, '/resource_providers')],
    [200, 200, 403],
  );
  assert.equal(await at(admin, '/resource_providers'), 200);
  const { body } = await ask(`${house.base}/placement`, admin.token, '/allocation_candidates?resources=VCPU:1');
  assert.equal(body.allocation_requests.length, 2, 'three hosts, and the config says two');
});

test('placement alone checks tokens with the identity service: admins may, others may not, and a revoked one is nobody', async () => {
  const { servicePassword } = JSON.parse(readFileSync(join(house.dataDir, 'secrets.json'), 'utf8')) as { servicePassword: string };
  const config = join(dir, 'placement.conf');
  writeFileSync(config, `[keystone_authtoken]\nauth_url = ${house.base}/identity\nusername = kilonova\npassword = ${servicePassword}\n`);
  const said: string[] = [];
  const alone = await startPlacement({
    ...{ dataDir: join(dir, 'alone'), port: 0, config, auth: 'keystone', clock: systemClock },
    say: (line) => said.push(line),
  });
  try {
    assert.match(said.at(-1) ?? '', /^placement ready: http:\/\/127\.0\.0\.1:\d+\/placement$/);
    const [admin, demo] = [await house.as('admin'), await house.as('demo')];
    assert.equal((await ask(alone.base, '', '/resource_providers')).status, 401);
    assert.equal((await ask(alone.base, 'none', '/resource_providers')).status, 401);
    assert.equal((await ask(alone.base, demo.token, '/resource_providers')).status, 403);
    const made = await ask(alone.base, admin.token, '/resource_providers', { method: 'POST', body: { name: 'one' } });
    assert.deepEqual([made.status, made.body.name], [200, 'one']);
    await admin.identity.ask('DELETE', '/v3/auth/tokens', { headers: { 'x-subject-token': demo.token } });
    let status = 403;
    const late = performance.now() + 20_000;
    while (status === 403 && performance.now() < late) ({ status } = await ask(alone.base, demo.token, '/resource_providers'));
    assert.equal(status, 401);
  } finally {
    await alone.stop();
  }
});
