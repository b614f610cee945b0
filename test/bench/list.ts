import { startHouse } from '../house/running.ts';
import { conditions, imageAndFlavor, liftQuota } from './cloud.ts';
import { figure, percentile } from './figure.ts';

const SERVERS = 1000;
const RUNS = 100;

/** GET /servers/detail of a thousand servers, and the small reads. */
export async function benchList(): Promise<void> {
  const house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '10'] });
  try {
    await liftQuota(house);
    const client = await house.as('demo');
    const wish = await imageAndFlavor(client);
    for (let i = 0; i < SERVERS / 100; i++) {
      await client.compute.ask('POST', '/servers', {
        body: { server: { name: `s${i}`, ...wish, networks: 'auto', min_count: 100 } },
        headers: { 'openstack-api-version': 'compute 2.37' },
      });
    }
    for (;;) {
      const { servers } = (await client.compute.ask<{ servers: unknown[] }>('GET', '/servers?status=BUILD&limit=1')).body;
      if (servers.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const common = { ...conditions, servers: SERVERS, requests: RUNS };
    for (const [name, path, version] of [
      ['list.detail_1000', '/servers/detail', '2.1'],
      ['list.detail_1000', '/servers/detail', '2.96'],
      ['list.plain_1000', '/servers', '2.1'],
      ['list.flavors_detail', '/flavors/detail', '2.1'],
    ] as const) {
      const headers = { 'x-auth-token': client.token, 'openstack-api-version': `compute ${version}` };
      const url = `${house.base}/v2.1${path}`;
      let bytes = 0;
      const times: number[] = [];
      for (let i = 0; i < RUNS + 5; i++) {
        const start = performance.now();
        const answer = await fetch(url, { headers });
        bytes = (await answer.arrayBuffer()).byteLength;
        if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`);
        if (i >= 5) times.push(performance.now() - start);
      }
      figure(`${name}_p50`, percentile(times, 0.5), 'ms', { ...common, clients: 1, microversion: version, bytes });
      figure(`${name}_p99`, percentile(times, 0.99), 'ms', { ...common, clients: 1, microversion: version, bytes });
    }
  } finally {
    await house.stop();
    await house.remove();
  }
}
