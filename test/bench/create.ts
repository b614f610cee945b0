import { readFileSync } from 'node:fs';
import { startHouse } from '../house/running.ts';
import { bootServer, conditions, imageAndFlavor, liftQuota } from './cloud.ts';
import { figure, percentile } from './figure.ts';
import { residentMiB } from './start.ts';

const ALONE = 100;
const MANY = 1000;
const TOGETHER = 32;

/** POST to ACTIVE with the fake hypervisor: one at a time, and a thousand with 32 clients; then their deletion. */
export async function benchCreate(): Promise<void> {
  const house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '10'] });
  try {
    await liftQuota(house);
    const client = await house.as('demo');
    const wish = await imageAndFlavor(client);
    for (let i = 0; i < 20; i++) await bootServer(client, `warm-${i}`, wish);
    const active: number[] = [];
    const post: number[] = [];
    for (let i = 0; i < ALONE; i++) {
      const took = await bootServer(client, `alone-${i}`, wish);
      active.push(took.activeMs);
      post.push(took.postMs);
    }
    const common = { ...conditions, hypervisor: 'fake', hosts: 10 };
    figure('create.post_to_active_p50', percentile(active, 0.5), 'ms', { ...common, clients: 1, creates: ALONE, pollMs: 2 });
    figure('create.post_p50', percentile(post, 0.5), 'ms', { ...common, clients: 1, creates: ALONE });
    const cpuBefore = cpuSeconds(house.child.pid ?? 0);
    const start = performance.now();
    let next = 0;
    const ids: string[] = [];
    await Promise.all(
      Array.from({ length: TOGETHER }, async () => {
        while (next < MANY) {
          const made = await client.compute.ask<{ server: { id: string } }>('POST', '/servers', {
            body: { server: { name: `many-${next++}`, ...wish, networks: 'auto' } },
            headers: { 'openstack-api-version': 'compute 2.37' },
          });
          ids.push(made.body.server.id);
        }
      }),
    );
    const accepted = performance.now() - start;
    for (;;) {
      const { servers } = (await client.compute.ask<{ servers: { id: string }[] }>('GET', '/servers?status=BUILD&limit=1')).body;
      if (servers.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    const all = performance.now() - start;
    const failed = (await client.compute.ask<{ servers: unknown[] }>('GET', '/servers?status=ERROR&limit=1')).body.servers.length;
    if (failed > 0) throw new Error('some servers ended in ERROR');
    figure('create.accepted_per_second', (MANY / accepted) * 1000, '1/s', { ...common, clients: TOGETHER, creates: MANY });
    figure('create.active_per_second', (MANY / all) * 1000, '1/s', { ...common, clients: TOGETHER, creates: MANY });
    figure('create.cpu_per_create', ((cpuSeconds(house.child.pid ?? 0) - cpuBefore) / MANY) * 1000, 'ms', {
      ...common,
      clients: TOGETHER,
      creates: MANY,
      of: 'house process, user+system',
    });
    figure('memory.rss_with_1000_servers', residentMiB(house.child.pid ?? 0), 'MiB', common);
    const startDelete = performance.now();
    let gone = 0;
    await Promise.all(
      Array.from({ length: TOGETHER }, async () => {
        while (gone < ids.length) await client.compute.ask('DELETE', `/servers/${ids[gone++]}`, { expect: [204] });
      }),
    );
    for (;;) {
      const { servers } = (await client.compute.ask<{ servers: { name: string }[] }>('GET', '/servers?name=many-&limit=1')).body;
      if (servers.length === 0) break;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    figure('delete.gone_per_second', (ids.length / (performance.now() - startDelete)) * 1000, '1/s', {
      ...common,
      clients: TOGETHER,
      deletes: ids.length,
    });
  } finally {
    await house.stop();
    await house.remove();
  }
}

/** User and system time of a process so far; Linux counts in hundredths. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
