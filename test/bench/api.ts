import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, type House, startHouse } from '../house/running.ts';
import { conditions, imageAndFlavor, liftQuota } from './cloud.ts';
import { cpuSeconds } from './create.ts';
import { figure, percentile } from './figure.ts';
import { residentMiB } from './start.ts';

const MANY = 10_000;
const KEPT = 1000;
const ACTIONS = 500;
/** A cloud at rest gives memory back (src/cloud/idle-memory.ts). */
const RESTED_MS = 12_000;
const common = { ...conditions, hypervisor: 'fake', hosts: 10 };

/** The API with ten thousand servers and with a thousand: reads, actions, deletes, memory, and what notifications cost. */
export async function benchApi(): Promise<void> {
  await withHouse([], async (house, client) => {
    const pid = house.child.pid ?? 0;
    await makeServers(client, 100, 'warm');
    const before = residentMiB(pid);
    await makeServers(client, MANY - 100, 'many');
    const servers = { ...common, servers: MANY, before: Math.round(before) };
    figure('memory.grown_at_once', residentMiB(pid) - before, 'MiB', servers);
    await new Promise((resolve) => setTimeout(resolve, RESTED_MS));
    figure('memory.per_10000_servers', residentMiB(pid) - before, 'MiB', { ...servers, afterRestMs: RESTED_MS });
    const ids = await idsOf(client);
    const [one = ''] = ids;
    await reads(house, client, 'show', `/servers/${one}`, { servers: MANY });
    await reads(house, client, 'list.detail_1000', '/servers/detail?limit=1000', { servers: MANY });
    const start = performance.now();
    if ((await idsOf(client, '/servers/detail')).length !== MANY) throw new Error('servers are missing in the pages');
    figure('list.detail_10000_in_pages', performance.now() - start, 'ms', { ...common, servers: MANY, pages: 10, clients: 1 });

    const gone = ids.slice(KEPT);
    await remove(client, gone.slice(0, -1000));
    const began = performance.now();
    await remove(client, gone.slice(-1000));
    figure('delete.1000', (performance.now() - began) / 1000, 's', { ...common, clients: 32 });
    await reads(house, client, 'list.detail_1000_beside_deleted', '/servers/detail?limit=1000', { servers: KEPT, deleted: gone.length });
    await actions(client, ids.slice(0, ACTIONS));
  });
  await notificationCost();
}

async function reads(house: House, client: Client, name: string, path: string, more: object): Promise<void> {
  for (const clients of [1, 16]) {
    const requests = path.includes('limit') ? 100 : 1000;
    const headers = { 'x-auth-token': client.token, 'openstack-api-version': 'compute 2.96' };
    const times: number[] = [];
    let next = 0;
    const run = async () => {
      while (next++ < requests) {
        const start = performance.now();
        const answer = await fetch(`${house.base}/v2.1${path}`, { headers });
        await answer.arrayBuffer();
        if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}`);
        times.push(performance.now() - start);
      }
    };
    for (let warm = 0; warm < 5; warm++) await fetch(`${house.base}/v2.1${path}`, { headers }).then((answer) => answer.arrayBuffer());
    const start = performance.now();
    await Promise.all(Array.from({ length: clients }, run));
    const about = { ...common, ...more, clients, requests, microversion: '2.96' };
    figure(`${name}_p50`, percentile(times, 0.5), 'ms', about);
    figure(`${name}_per_second`, (requests / (performance.now() - start)) * 1000, '1/s', about);
  }
}

/** Pauses servers, from 16 clients, until all of them are. */
async function actions(client: Client, ids: readonly string[]): Promise<void> {
  const start = performance.now();
  let next = 0;
  await Promise.all(
    Array.from({ length: 16 }, async () => {
      while (next < ids.length)
        await client.compute.ask('POST', `/servers/${ids[next++]}/action`, { body: { pause: null }, expect: [202] });
    }),
  );
  await until(async () => (await idsOf(client, '/servers?status=PAUSED')).length === ids.length);
  figure('actions.paused_per_second', (ids.length / (performance.now() - start)) * 1000, '1/s', {
    ...common,
    clients: 16,
    actions: ids.length,
  });
}

/** Creates with notifications written to the log, in both formats, beside creates without. */
async function notificationCost(): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-bench-'));
  const config = join(dir, 'nova.conf');
  writeFileSync(
    config,
    '[oslo_messaging_notifications]\ndriver = log\n[notifications]\nnotification_format = both\nnotify_on_state_change = vm_and_task_state\n',
  );
  try {
    for (const [told, args] of [
      ['off', []],
      ['both formats, to the log', ['--config', config]],
    ] as const)
      await withHouse(args, async (house, client) => {
        await makeServers(client, 200, 'warm');
        const pid = house.child.pid ?? 0;
        const cpu = cpuSeconds(pid);
        const start = performance.now();
        await makeServers(client, 1000, 'told');
        const about = { ...common, notifications: told, creates: 1000, per_request: 100 };
        figure('notifications.creates_per_second', (1000 / (performance.now() - start)) * 1000, '1/s', about);
        figure('notifications.cpu_per_create', ((cpuSeconds(pid) - cpu) / 1000) * 1000, 'ms', about);
      });
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function withHouse(args: readonly string[], work: (house: House, client: Client) => Promise<void>): Promise<void> {
  const house = await startHouse({ args: ['--hypervisor', 'fake', '--hosts', '10', ...args] });
  try {
    await liftQuota(house);
    await work(house, await house.as('demo'));
  } finally {
    await house.stop();
    await house.remove();
  }
}

async function makeServers(client: Client, count: number, name: string): Promise<void> {
  const wish = await imageAndFlavor(client);
  for (let made = 0; made < count; made += 100)
    await client.compute.ask('POST', '/servers', {
      body: { server: { name: `${name}-${made}`, ...wish, networks: 'auto', min_count: Math.min(100, count - made) } },
      headers: { 'openstack-api-version': 'compute 2.37' },
      expect: [202],
    });
  await until(async () => (await idsOf(client, '/servers?status=BUILD&limit=1')).length === 0);
  if ((await idsOf(client, '/servers?status=ERROR&limit=1')).length > 0) throw new Error('some servers ended in ERROR');
}

/** Ids of servers over all pages of a list; one page when the path says a limit. */
async function idsOf(client: Client, path = '/servers'): Promise<string[]> {
  const ids: string[] = [];
  for (;;) {
    const marker = ids.at(-1);
    const page = `${path}${path.includes('?') ? '&' : '?'}${marker ? `marker=${marker}` : ''}`;
    const { servers } = (await client.compute.ask<{ servers: { id: string }[] }>('GET', page)).body;
    ids.push(...servers.map((one) => one.id));
    if (servers.length < 1000 || path.includes('limit=')) return ids;
  }
}

async function remove(client: Client, ids: readonly string[]): Promise<void> {
  let next = 0;
  await Promise.all(
    Array.from({ length: 32 }, async () => {
      while (next < ids.length) await client.compute.ask('DELETE', `/servers/${ids[next++]}`, { expect: [204] });
    }),
  );
  const left = new Set(ids);
  await until(async () => !(await idsOf(client)).some((id) => left.has(id)));
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20));
}
