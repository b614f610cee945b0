import type { Client, House } from '../house/running.ts';

export const conditions = { database: 'sqlite, synchronous=NORMAL', bus: 'memory', processes: 1, client: 'same machine' };

interface Listed {
  readonly id: string;
  readonly name: string;
}
export async function imageAndFlavor(client: Client): Promise<{ imageRef: string; flavorRef: string }> {
  const images = (await client.image.ask<{ images: Listed[] }>('GET', '/v2/images?status=active')).body.images;
  const flavors = (await client.compute.ask<{ flavors: Listed[] }>('GET', '/flavors')).body.flavors;
  const image = images[0];
  const flavor = flavors.find((one) => one.name === 'k1.nano');
  if (!image || !flavor) throw new Error('no image or no flavor k1.nano');
  return { imageRef: image.id, flavorRef: flavor.id };
}

/** Lets the demo project have as many servers as a bench wants. */
export async function liftQuota(house: House): Promise<void> {
  const admin = await house.as('admin');
  const demo = await house.as('demo');
  const { token } = (
    await demo.identity.ask<{ token: { project: { id: string } } }>('GET', '/v3/auth/tokens', {
      headers: { 'x-subject-token': demo.token },
    })
  ).body;
  await admin.compute.ask('PUT', `/os-quota-sets/${token.project.id}`, { body: { quota_set: { instances: -1, cores: -1, ram: -1 } } });
  await admin.network.ask('PUT', `/v2.0/quotas/${token.project.id}`, { body: { quota: { port: -1 } } });
}

/** POST /servers and GET until ACTIVE; answers the milliseconds of the POST and of the whole. */
export async function bootServer(
  client: Client,
  name: string,
  wish?: { imageRef: string; flavorRef: string },
): Promise<{ id: string; postMs: number; activeMs: number }> {
  const chosen = wish ?? (await imageAndFlavor(client));
  const start = performance.now();
  const made = await client.compute.ask<{ server: { id: string } }>('POST', '/servers', {
    body: { server: { name, ...chosen, networks: 'auto' } },
    headers: { 'openstack-api-version': 'compute 2.37' },
  });
  const postMs = performance.now() - start;
  const { id } = made.body.server;
  for (;;) {
    const { server } = (await client.compute.ask<{ server: { status: string; fault?: { message: string } } }>('GET', `/servers/${id}`))
      .body;
    if (server.status === 'ACTIVE') return { id, postMs, activeMs: performance.now() - start };
    if (server.status === 'ERROR') throw new Error(server.fault?.message ?? 'ERROR without a fault');
    await new Promise((resolve) => setTimeout(resolve, 2)); // a client polls; two milliseconds is what this one adds at most
  }
}
