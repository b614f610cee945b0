import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';
import { bootServer } from './cloud.ts';
import { figure, percentile } from './figure.ts';

const RUNS = 3;

/** POST to a running QEMU and to its login prompt, with the image in the cache; and what an emulator's own start takes here. */
export async function benchQemu(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'kilonova-bench-'));
  const config = join(folder, 'nova.conf');
  writeFileSync(config, '[DEFAULT]\ncpu_allocation_ratio = 16\n'); // room for ten guests on few cores
  const house = await startHouse({ args: ['--hypervisor', 'qemu', '--config', config] });
  try {
    const client = await house.as('demo');
    let image: { id: string } | undefined;
    await waitFor(
      async () => {
        const { images } = (
          await client.image.ask<{ images: { id: string; name: string; container_format: string; kilonova_placeholder?: string }[] }>(
            'GET',
            '/v2/images?status=active',
          )
        ).body;
        image = images.find((one) => one.container_format === 'bare' && one.kilonova_placeholder === undefined);
        return image !== undefined;
      },
      300_000,
      () => `the tiny image did not appear:\n${house.output()}`,
      500,
    );
    const { flavors } = (await client.compute.ask<{ flavors: { id: string; name: string }[] }>('GET', '/flavors')).body;
    const wish = { imageRef: image?.id ?? '', flavorRef: flavors.find((flavor) => flavor.name === 'k1.nano')?.id ?? '' };
    const running: number[] = [];
    const login: number[] = [];
    for (let run = 0; run <= RUNS; run++) {
      const start = performance.now();
      const { id, activeMs } = await bootServer(client, `guest-${run}`, wish);
      await waitFor(
        async () => {
          const answer = await client.compute.ask<{ output: string }>('POST', `/servers/${id}/action`, {
            body: { 'os-getConsoleOutput': {} },
            expect: [200, 404, 409],
          });
          return answer.status === 200 && /login:\s*$/m.test(answer.body.output);
        },
        120_000,
        () => 'no login prompt',
        100,
      );
      if (run > 0) {
        running.push(activeMs);
        login.push(performance.now() - start);
      }
      await client.compute.ask('DELETE', `/servers/${id}`);
      await waitFor(
        async () => (await client.compute.ask('GET', `/servers/${id}`, { expect: [200, 404] })).status === 404,
        30_000,
        () => 'not deleted',
      );
    }
    const emulator: number[] = [];
    for (let run = 0; run < 5; run++) emulator.push(await emulatorStart());
    const common = { hypervisor: 'qemu', image: 'tiny, cached', memoryMiB: 128, runs: RUNS, statistic: 'median' };
    figure('qemu.emulator_start', percentile(emulator, 0.5), 'ms', {
      what: 'qemu-system-x86_64 alone to its QMP greeting',
      runs: 5,
      statistic: 'median',
    });
    figure('qemu.post_to_active', percentile(running, 0.5), 'ms', common);
    figure('qemu.post_to_running_beyond_emulator', percentile(running, 0.5) - percentile(emulator, 0.5), 'ms', { ...common, aim: 100 });
    figure('qemu.post_to_login', percentile(login, 0.5), 'ms', common);
    await tenAtOnce(client, wish);
  } finally {
    await deleteAll(house); // guests outlive their cloud
    await house.stop();
    await house.remove();
    rmSync(folder, { recursive: true });
  }
}

async function deleteAll(house: House): Promise<void> {
  const { compute } = await house.as('demo');
  const list = async () => (await compute.ask<{ servers: { id: string }[] }>('GET', '/servers')).body.servers;
  for (const { id } of await list()) await compute.ask('DELETE', `/servers/${id}`, { expect: [204, 404] });
  await waitFor(
    async () => (await list()).length === 0,
    120_000,
    () => 'servers are still being deleted',
    100,
  );
}

const AT_ONCE = 10;
/** Ten guests of one request. As many are built at once as there are cores, because each takes one for itself under software emulation. */
async function tenAtOnce(client: Client, wish: { imageRef: string; flavorRef: string }): Promise<void> {
  const began = performance.now();
  const body = { server: { name: 'many', ...wish, networks: 'auto', min_count: AT_ONCE, max_count: AT_ONCE } };
  await client.compute.ask('POST', '/servers', { body, headers: { 'openstack-api-version': 'compute 2.37' } });
  type Listed = { servers: { id: string; status: string; fault?: { message: string } }[] };
  const list = async () => (await client.compute.ask<Listed>('GET', '/servers/detail')).body.servers;
  let first = 0;
  let seen: Listed['servers'] = [];
  await waitFor(
    async () => {
      seen = await list();
      const failed = seen.find((one) => one.status === 'ERROR');
      if (failed) throw new Error(`one of ten failed: ${failed.fault?.message}`);
      const active = seen.filter((one) => one.status === 'ACTIVE').length;
      if (active > 0 && first === 0) first = performance.now() - began;
      return active === AT_ONCE;
    },
    300_000,
    () => `not all became active: ${seen.map((one) => one.status)}`,
  );
  const all = performance.now() - began;
  await waitFor(
    async () => {
      const logs = await Promise.all(
        seen.map(({ id }) =>
          client.compute.ask<{ output: string }>('POST', `/servers/${id}/action`, { body: { 'os-getConsoleOutput': {} } }),
        ),
      );
      return logs.every((log) => /login:\s*$/m.test(log.body.output));
    },
    600_000,
    () => 'not all came to their login prompt',
    500,
  );
  const conditions = { guests: AT_ONCE, cores: cpus().length, load: loadavg()[0] };
  figure('qemu.ten_at_once_first_active', first, 'ms', conditions);
  figure('qemu.ten_at_once_all_active', all, 'ms', conditions);
  figure('qemu.ten_at_once_all_at_login', performance.now() - began, 'ms', conditions);
}

/** How long the bare emulator takes to answer on its control channel. */
async function emulatorStart(): Promise<number> {
  const start = performance.now();
  const child = spawn(
    'qemu-system-x86_64',
    ['-nodefaults', '-display', 'none', '-S', '-m', '128', '-accel', 'tcg,tb-size=32', '-qmp', 'stdio'],
    { stdio: ['pipe', 'pipe', 'ignore'] },
  );
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const took = performance.now() - start;
  child.kill('SIGKILL');
  return took;
}
