import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openFrontDoor } from '../http/front-door.ts';
import { computeChoices, computeVersions } from '../services/compute-api/versions.ts';
import { plainRoutes } from './plain.ts';

test('the door lists versions at its root and answers 300 with choices for every other path', async () => {
  const plain = plainRoutes({
    health: async () => ({ database: null, bus: 'does not answer' }),
    metrics: async () => 'up 1\n',
    metricsToken: 'secret',
    versions: computeVersions,
    choices: computeChoices,
    publicUrl: undefined,
  });
  const door = await openFrontDoor({ apps: [], plain, host: '127.0.0.1', port: 0 });
  const origin = `http://127.0.0.1:${door.address.port}`;
  try {
    const root = await fetch(`${origin}/`);
    assert.deepEqual([root.status, ((await root.json()) as { versions: unknown[] }).versions.length], [200, 2]);
    for (const [method, body] of [['GET'], ['POST', 'x'.repeat(300_000)], ['DELETE']] as const) {
      const answer = await fetch(`${origin}/servers/detail?limit=1`, { method, ...(body ? { body } : {}) });
      assert.equal(answer.status, 300, method);
      const { choices } = (await answer.json()) as ReturnType<typeof computeChoices>;
      assert.deepEqual(
        choices.map(({ id, links }) => [id, links[0]?.href]),
        [
          ['v2.0', `${origin}/v2/servers/detail`],
          ['v2.1', `${origin}/v2.1/servers/detail`],
        ],
      );
    }
    assert.equal((await fetch(`${origin}/healthz`)).status, 503);
    assert.equal(await (await fetch(`${origin}/metrics`)).text(), 'up 1\n');
    const metrics = async (headers: Record<string, string>) => (await fetch(`${origin}/metrics`, { headers })).status;
    // What a proxy on this machine passes on comes from elsewhere.
    assert.equal(await metrics({ 'x-forwarded-for': '192.0.2.1' }), 401);
    assert.equal(await metrics({ 'x-forwarded-for': '192.0.2.1', authorization: 'Bearer secret' }), 200);
    assert.equal(await metrics({ authorization: 'Bearer wrong' }), 401);
  } finally {
    await door.close();
  }
});
