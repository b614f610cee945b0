import assert from 'node:assert/strict';
import { type Client, type House, startHouse, waitFor } from '../house/running.ts';

// biome-ignore lint/suspicious/noExplicitAny: a test reads bodies of every form
export type Any = any;
type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
const ALL = Array.from({ length: 500 }, (_none, at) => at + 100);

/** A house of its own with what tests about servers and their volumes ask and wait for. */
export async function openVolumeWorld(options: Parameters<typeof startHouse>[0] = {}) {
  const house: House = await startHouse(options);
  const demo = await house.as('demo');
  const admin = await house.as('admin');
  const projectId: string = (await demo.identity.ask<Any>('GET', '/v3/auth/projects')).body.projects[0].id;
  await admin.volume.ask('PUT', `/os-quota-sets/${projectId}`, { body: { quota_set: { volumes: 200, snapshots: 200 } } });
  const imageId: string = (await demo.image.ask<Any>('GET', '/v2/images')).body.images[0].id;

  /** Asks compute as demo; answers whatever comes. */
  const compute = async (place: string, body?: unknown, at = '2.96', who: Client = demo) => {
    const [method, path = '/'] = place.split(' ');
    const headers = { 'openstack-api-version': `compute ${at}` };
    const answer = await who.compute.ask<Any>(method as Method, path, { ...(body === undefined ? {} : { body }), headers, expect: ALL });
    return { status: answer.status, body: answer.body };
  };
  const volumes = async (place: string, body?: unknown, who: Client = demo) => {
    const [method, path = '/'] = place.split(' ');
    const headers = { 'openstack-api-version': 'volume 3.70' };
    return (await who.volume.ask<Any>(method as Method, path, { ...(body === undefined ? {} : { body }), headers, expect: ALL })).body;
  };
  const volumeIs = async (id: string, status: string): Promise<Any> => {
    let seen: Any;
    await waitFor(
      async () => {
        seen = (await volumes(`GET /volumes/${id}`)).volume;
        return (seen?.status ?? 'gone') === status;
      },
      15_000,
      () => `volume ${id} is ${seen?.status ?? 'gone'}, not ${status}`,
      20,
    );
    return seen;
  };
  const serverIs = async (id: string, status: string): Promise<Any> => {
    let seen: Any;
    await waitFor(
      async () => {
        seen = (await compute(`GET /servers/${id}`)).body.server;
        return (seen?.status ?? 'gone') === status && (status === 'gone' || seen['OS-EXT-STS:task_state'] === null);
      },
      20_000,
      () => `server ${id} is ${seen?.status} ${seen?.['OS-EXT-STS:task_state']}, not ${status}: ${JSON.stringify(seen?.fault)}`,
      20,
    );
    return seen;
  };
  const world = {
    house,
    demo,
    admin,
    projectId,
    imageId,
    compute,
    volumes,
    volumeIs,
    serverIs,
    async makeVolume(more: object = {}): Promise<string> {
      const { volume } = await volumes('POST /volumes', { volume: { size: 1, ...more } });
      await volumeIs(volume.id, 'available');
      return volume.id;
    },
    async boot(more: object = {}, at = '2.96'): Promise<string> {
      const server = { name: 's', flavorRef: '1', imageRef: imageId, networks: 'none', ...more };
      const made = await compute('POST /servers', { server }, at);
      assert.equal(made.status, 202, JSON.stringify(made.body));
      return made.body.server.id;
    },
    /** A server whose root is a volume made of the image. */
    async bootBacked(more: object = {}, rest: readonly object[] = []): Promise<string> {
      const root = {
        source_type: 'image',
        uuid: imageId,
        destination_type: 'volume',
        volume_size: 1,
        boot_index: 0,
        delete_on_termination: true,
      };
      const id = await world.boot({ imageRef: undefined, block_device_mapping_v2: [root, ...rest], ...more });
      await serverIs(id, 'ACTIVE');
      return id;
    },
    async attach(server: string, volume: string): Promise<void> {
      const answer = await compute(`POST /servers/${server}/os-volume_attachments`, { volumeAttachment: { volumeId: volume } });
      assert.equal(answer.status, 200, JSON.stringify(answer.body));
      await volumeIs(volume, 'in-use');
      await world.ended(server, 'attach_volume');
    },
    /** The newest action of that name, once it is over. */
    async ended(server: string, action: string): Promise<Any> {
      let seen: Any;
      await waitFor(
        async () => {
          const { instanceActions } = (await compute(`GET /servers/${server}/os-instance-actions`)).body;
          const found = instanceActions.find((one: Any) => one.action === action);
          if (!found) return false;
          seen = (await compute(`GET /servers/${server}/os-instance-actions/${found.request_id}`, undefined, '2.96', admin)).body
            .instanceAction;
          // The action's row is touched a last time when it ends.
          return seen.events.length > 0 && seen.events.every((event: Any) => event.finish_time !== null);
        },
        20_000,
        () => `${action} of ${server} does not end: ${JSON.stringify(seen)}`,
        20,
      );
      return seen;
    },
    async attachments(server: string): Promise<Any[]> {
      return (await compute(`GET /servers/${server}/os-volume_attachments`)).body.volumeAttachments;
    },
    async end(server: string): Promise<void> {
      await compute(`DELETE /servers/${server}`);
      await serverIs(server, 'gone');
    },
    /** What the guest's console says. */
    async console(server: string): Promise<string> {
      return (await compute(`POST /servers/${server}/action`, { 'os-getConsoleOutput': {} })).body.output;
    },
  };
  return world;
}
export type VolumeWorld = Awaited<ReturnType<typeof openVolumeWorld>>;
