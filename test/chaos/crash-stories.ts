import type { Database } from '../../src/db/engine.ts';
import { waitFor } from '../house/running.ts';
import type { Asker } from './asker.ts';
import type { CrashHouse } from './crash-house.ts';

/** One thing that is asked of a server with a volume and a port: how it comes to be what it is before, and what asks. */
export interface CrashStory {
  readonly name: string;
  before(house: CrashHouse): Promise<string>;
  act(house: CrashHouse, id: string): Promise<unknown>;
  /** States in which it may end; null: deleted. */
  readonly ends: readonly (string | null)[];
}

const request = async (house: CrashHouse, method: string, path: string, body: unknown, as: 'demo' | 'admin' = 'demo') => {
  const answer = await house[as].ask(method, path, body);
  if (answer.status === 0 || answer.status >= 300)
    throw new Error(`${method} ${path} ${JSON.stringify(body)} -> ${answer.status} ${answer.text}`);
  return answer.body;
};
const act = (house: CrashHouse, id: string, body: object, as: 'demo' | 'admin' = 'demo') =>
  request(house, 'POST', `/v2.1/servers/${id}/action`, body, as);
const plainWish = (house: CrashHouse) => ({ name: 'one', flavorRef: '6', imageRef: house.image, networks: [{ uuid: house.network }] });
const fromVolume = (house: CrashHouse) => ({
  name: 'backed',
  flavorRef: '6',
  networks: [{ uuid: house.network }],
  block_device_mapping_v2: [
    { boot_index: 0, source_type: 'image', destination_type: 'volume', uuid: house.image, volume_size: 1, delete_on_termination: true },
  ],
});
const stateOf = async (house: CrashHouse, id: string) =>
  house.db.read
    .selectFrom('servers')
    .select(['vm_state', 'task_state', 'fault', 'host', 'deleted'])
    .where('uuid', '=', id)
    .executeTakeFirstOrThrow();
/** Waits until a server is in a state, without a task. */
export async function becomes(house: CrashHouse, id: string, state: string): Promise<void> {
  let last = '';
  await waitFor(
    async () => {
      const row = await stateOf(house, id);
      last = `${row.vm_state} ${row.task_state} ${row.fault}`;
      return row.vm_state === state && row.task_state === null;
    },
    60_000,
    () => `${id} is ${last} instead of ${state}`,
    10,
  );
}
const make = async (house: CrashHouse, wish: object) =>
  (await request(house, 'POST', '/v2.1/servers', { server: wish })).server.id as string;
async function newVolume(house: CrashHouse): Promise<string> {
  const { id } = (await request(house, 'POST', '/volume/v3/volumes', { volume: { size: 1, name: 'v' } })).volume;
  await waitFor(
    async () =>
      (await house.db.read.selectFrom('volumes').select('status').where('uuid', '=', id).executeTakeFirst())?.status === 'available',
    30_000,
    () => 'the volume is not made',
    10,
  );
  return id;
}
async function attach(house: CrashHouse, id: string): Promise<void> {
  const volumeId = await newVolume(house);
  await request(house, 'POST', `/v2.1/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId } });
  await waitFor(
    async () =>
      (await house.db.read.selectFrom('volumes').select('status').where('uuid', '=', volumeId).executeTakeFirst())?.status === 'in-use',
    30_000,
    () => 'the volume is not attached',
    10,
  );
}
const attached = async (house: CrashHouse, id: string): Promise<string> => {
  const rows = (await request(house, 'GET', `/v2.1/servers/${id}/os-volume_attachments`, undefined)).volumeAttachments;
  return rows.at(-1).volumeId;
};
async function boot(house: CrashHouse): Promise<string> {
  const id = await make(house, plainWish(house));
  await becomes(house, id, 'active');
  await attach(house, id);
  return id;
}
async function bootBacked(house: CrashHouse): Promise<string> {
  const id = await make(house, fromVolume(house));
  await becomes(house, id, 'active');
  return id;
}
const after =
  (body: object, state: string, as: 'demo' | 'admin' = 'demo') =>
  async (house: CrashHouse): Promise<string> => {
    const id = await boot(house);
    await act(house, id, body, as);
    await becomes(house, id, state);
    return id;
  };
const does =
  (body: object, as: 'demo' | 'admin' = 'demo') =>
  (house: CrashHouse, id: string) =>
    act(house, id, body, as);

export const crashStories: readonly CrashStory[] = [
  { name: 'build', before: async () => '', act: (house) => make(house, plainWish(house)), ends: ['active'] },
  { name: 'build on a volume', before: async () => '', act: (house) => make(house, fromVolume(house)), ends: ['active'] },
  { name: 'delete', before: boot, act: (house, id) => house.demo.ask('DELETE', `/v2.1/servers/${id}`), ends: [null] },
  { name: 'stop', before: boot, act: does({ 'os-stop': null }), ends: ['stopped'] },
  {
    name: 'attach an interface',
    before: boot,
    // Its request waits for it, and is told when it is late.
    act: (house, id) => house.demo.ask('POST', `/v2.1/servers/${id}/os-interface`, { interfaceAttachment: { net_id: house.network } }),
    ends: ['active'],
  },
  {
    name: 'detach an interface',
    before: boot,
    async act(house, id) {
      const [port] = (await request(house, 'GET', `/v2.1/servers/${id}/os-interface`, undefined)).interfaceAttachments;
      await request(house, 'DELETE', `/v2.1/servers/${id}/os-interface/${port.port_id}`, undefined);
    },
    ends: ['active'],
  },
  { name: 'snapshot', before: boot, act: does({ createImage: { name: 'copy' } }), ends: ['active'] },
  { name: 'snapshot of volumes', before: bootBacked, act: does({ createImage: { name: 'copy' } }), ends: ['active'] },
  {
    name: 'backup',
    async before(house) {
      const id = await boot(house);
      await act(house, id, { createBackup: { name: 'b', backup_type: 'daily', rotation: 1 } });
      await house.rest();
      return id;
    },
    act: does({ createBackup: { name: 'b', backup_type: 'daily', rotation: 1 } }),
    ends: ['active'],
  },
  { name: 'rebuild', before: boot, act: (house, id) => act(house, id, { rebuild: { imageRef: house.image } }), ends: ['active', 'error'] },
  {
    name: 'attach a volume',
    before: boot,
    async act(house, id) {
      const volumeId = await newVolume(house);
      await request(house, 'POST', `/v2.1/servers/${id}/os-volume_attachments`, { volumeAttachment: { volumeId } });
    },
    ends: ['active'],
  },
  {
    name: 'detach a volume',
    before: boot,
    act: async (house, id) => request(house, 'DELETE', `/v2.1/servers/${id}/os-volume_attachments/${await attached(house, id)}`, undefined),
    ends: ['active'],
  },
  {
    name: 'extend a volume',
    before: boot,
    async act(house, id) {
      await request(house, 'POST', `/volume/v3/volumes/${await attached(house, id)}/action`, { 'os-extend': { new_size: 2 } });
      // Block storage tells compute when it has grown; only then there is something to die in.
      await waitFor(
        async () =>
          (await house.db.read
            .selectFrom('server_actions')
            .select('id')
            .where('server_uuid', '=', id)
            .where('action', '=', 'extend_volume')
            .executeTakeFirst()) !== undefined,
        30_000,
        () => 'compute is not told of the larger volume',
        10,
      );
    },
    ends: ['active'],
  },
  {
    name: 'swap a volume',
    before: boot,
    async act(house, id) {
      const [old, fresh] = [await attached(house, id), await newVolume(house)];
      // As block storage says before it asks.
      await house.db.transaction((tx) =>
        tx.updateTable('volumes').set({ migration_status: 'migrating' }).where('uuid', '=', old).execute(),
      );
      await request(house, 'PUT', `/v2.1/servers/${id}/os-volume_attachments/${old}`, { volumeAttachment: { volumeId: fresh } }, 'admin');
    },
    ends: ['active'],
  },
  { name: 'resize', before: boot, act: does({ resize: { flavorRef: '1' } }), ends: ['resized', 'active'] },
  { name: 'confirm', before: after({ resize: { flavorRef: '1' } }, 'resized'), act: does({ confirmResize: null }), ends: ['active'] },
  { name: 'revert', before: after({ migrate: { host: null } }, 'resized', 'admin'), act: does({ revertResize: null }), ends: ['active'] },
  {
    name: 'live migration',
    before: boot,
    act: does({ 'os-migrateLive': { host: null, block_migration: 'auto' } }, 'admin'),
    ends: ['active'],
  },
  {
    name: 'evacuation',
    async before(house) {
      const id = await boot(house);
      const { host } = await stateOf(house, id);
      const { services } = await request(house, 'GET', `/v2.1/os-services?binary=nova-compute&host=${host}`, undefined, 'admin');
      await request(house, 'PUT', `/v2.1/os-services/${services[0].id}`, { forced_down: true }, 'admin');
      return id;
    },
    act: does({ evacuate: {} }, 'admin'),
    ends: ['active', 'error'],
  },
  { name: 'shelve', before: boot, act: does({ shelve: null }), ends: ['shelved_offloaded', 'active'] },
  { name: 'unshelve', before: after({ shelve: null }, 'shelved_offloaded'), act: does({ unshelve: null }), ends: ['active'] },
];

/** What operators and block storage do when it is over. */
async function afterwards(house: CrashHouse): Promise<void> {
  await house.db.transaction((tx) => tx.updateTable('services').set({ forced_down: 0 }).execute());
  await endMigrations(house.db, house.admin);
}
/** Migrations of volumes that we began in block storage's name. */
export async function endMigrations(db: Database, admin: Asker): Promise<void> {
  for (const { uuid } of await db.read.selectFrom('volumes').select('uuid').where('migration_status', '=', 'migrating').execute())
    await admin.ask('POST', `/volume/v3/volumes/${uuid}/action`, { 'os-reset_status': { migration_status: 'none' } });
}

/** Once without a death: the points that it passes. */
export async function pointsOf(house: CrashHouse, story: CrashStory): Promise<string[]> {
  const id = await story.before(house);
  house.passed();
  await story.act(house, id);
  await house.rest();
  await afterwards(house);
  return [...new Set(house.passed())];
}

/** The story with a death at the point. Answers what is not as it should be; undefined: the point was never passed. */
export async function dieAt(house: CrashHouse, story: CrashStory, point: string): Promise<string[] | undefined> {
  const id = await story.before(house);
  house.arm(point);
  let asking = true;
  const answered = Promise.resolve(story.act(house, id))
    .catch((cause: unknown) => cause)
    .finally(() => {
      asking = false;
    });
  // A request may wait for who has just died.
  const died: string[] = [];
  while (asking) {
    died.push(...(await house.back()));
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const answer = await answered;
  died.push(...(await house.rest()));
  house.arm('-');
  if (died.length === 0) return undefined;
  const wrong: string[] = answer instanceof Error ? [answer.message] : [];
  await afterwards(house);
  const about = story.name.startsWith('build') ? (typeof answer === 'string' ? answer : undefined) : id;
  if (about) {
    const row = await stateOf(house, about);
    const state = row.deleted !== 0 ? null : row.vm_state;
    if (!story.ends.includes(state)) wrong.push(`the server is ${state}: ${row.fault}`);
  }
  wrong.push(...(await house.audit()));
  return wrong;
}
