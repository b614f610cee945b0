import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { up } from '../../src/cloud/up.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { loginAs, waitFor } from '../house/running.ts';
import { placeTables } from '../support/fresh-database.ts';

interface Size {
  readonly vcpus?: number;
  readonly ram?: number;
  readonly disk?: number;
}

/** A whole cloud of fake hosts in this process, from a config text, and its compute API over HTTP as the admin sees it. */
export async function smallCloud(options: { config: string; hosts?: number }) {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-small-'));
  const config = join(dir, 'nova.conf');
  writeFileSync(config, options.config);
  const said: string[] = [];
  try {
    mkdirSync(join(dir, 'data'), { mode: 0o700 });
    await placeTables(join(dir, 'data/cloud.db'));
    const cloud = await up({
      clock: systemClock,
      dataDir: join(dir, 'data'),
      port: 0,
      hypervisor: 'fake',
      hosts: options.hosts ?? 1,
      config,
      install: false,
      say: (line) => void said.push(line),
    });
    const { compute, image } = await loginAs(cloud.base, cloud.dataDir, 'admin');
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of any form
    const ask = async (method: string, path: string, body?: object): Promise<any> => {
      const headers = { 'openstack-api-version': 'compute 2.96' };
      return (await compute.ask(method as 'GET', path, body ? { body, headers } : { headers })).body;
    };
    // biome-ignore lint/suspicious/noExplicitAny: as above
    const { images } = (await image.ask('GET', '/v2/images')).body as any;
    let flavors = 0;
    // biome-ignore lint/suspicious/noExplicitAny: as above
    async function made(size: Size, count: number, beside: object): Promise<any[]> {
      const name = `f${flavors++}`;
      const { flavor } = await ask('POST', '/flavors', { flavor: { name, vcpus: 1, ram: 64, disk: 1, ...size } });
      const wish = { name, flavorRef: flavor.id, imageRef: images[0].id, networks: 'none', return_reservation_id: true };
      const { reservation_id: id } = await ask('POST', '/servers', { server: { ...wish, min_count: count, max_count: count }, ...beside });
      // biome-ignore lint/suspicious/noExplicitAny: as above
      let servers: any[] = [];
      await waitFor(
        async () => {
          servers = (await ask('GET', `/servers/detail?reservation_id=${id}&limit=1000`)).servers;
          return servers.length === count && servers.every((one) => ['ACTIVE', 'ERROR'].includes(one.status));
        },
        30_000,
        () => `servers did not settle: ${JSON.stringify(servers.map((one) => one.status))}`,
      );
      return servers;
    }
    const house = {
      said,
      ask,
      /** Makes servers of one flavor, waits until each is built or refused, and answers them. */
      create: (flavor: Size, count = 1) => made(flavor, count, {}),
      /** One server; `beside` stands beside it in the request. */
      createWith: (flavor: Size, beside: object) => made(flavor, 1, beside),
      async deleteAll() {
        const { servers } = await ask('GET', '/servers?limit=1000');
        for (const { id } of servers) await ask('DELETE', `/servers/${id}`);
        await waitFor(
          async () => (await ask('GET', '/servers')).servers.length === 0,
          30_000,
          () => 'servers were not deleted',
        );
      },
      // biome-ignore lint/suspicious/noExplicitAny: as above
      counts: (servers: readonly any[]) => ({
        active: servers.filter((one) => one.status === 'ACTIVE').length,
        error: servers.filter((one) => one.status === 'ERROR').length,
      }),
      async close() {
        await cloud.stop();
        rmSync(dir, { recursive: true, force: true });
      },
    };
    return house;
  } catch (cause) {
    rmSync(dir, { recursive: true, force: true });
    throw cause;
  }
}
