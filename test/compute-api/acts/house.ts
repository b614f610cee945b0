import { volumeClient } from '../../../src/clients/volume.ts';
import { agentPort, consoleAddressPort, consolePort, diagnosticsPort, guestCellsPort } from '../../../src/cloud/compute-ports.ts';
import type { Database } from '../../../src/db/engine.ts';
import { openFrontDoor } from '../../../src/http/front-door.ts';
import { systemClock } from '../../../src/lib/clock.ts';
import { silentLog } from '../../../src/lib/log.ts';
import { notAuthenticated } from '../../../src/model/errors.ts';
import { type ComputeApiParts, createComputeApp } from '../../../src/services/compute-api/app.ts';
import { openChangeHub } from '../../../src/services/compute-api/change-hub.ts';
import { type HouseOptions, openHouse } from '../../core-house.ts';
import { type Answer, type Ask, besides, callers, DEMO_PROJECT, noNetworking } from '../../support/compute-api.ts';
import { leanFetch } from '../../support/lean-fetch.ts';

export { DEMO_PROJECT };
export const IMAGE = '7c1b4e62-1f63-4a3a-9d3f-53c1f3a2f001';

/** The compute API over HTTP with everything behind it: conductor, scheduler, agents with fake hypervisors, images and ports in memory. */
export async function openActHouse(
  more: HouseOptions & {
    parts?: Partial<ComputeApiParts>;
    /** Stands between the API, and nobody else, and the database. */
    apiDb?: (db: Database) => Database;
  } = {},
) {
  const { parts, apiDb = (db: Database) => db, ...options } = more;
  const core = await openHouse({ hosts: 1, conductor: { pollMs: 50, resendMs: 100 }, ...options });
  core.images.add({ id: IMAGE, name: 'tiny', properties: { hw_disk_bus: 'virtio', img_signature: 'x' } });
  const { db, bus } = core;
  const flavors = [
    { flavorid: '1', name: 'm1.tiny', vcpus: 1, memory_mib: 512, root_gib: 2 },
    { flavorid: '2', name: 'm1.large', vcpus: 4, memory_mib: 2048, root_gib: 4 },
    { flavorid: '3', name: 'm1.thin', vcpus: 1, memory_mib: 256, root_gib: 2 },
    { flavorid: '4', name: 'm1.short', vcpus: 1, memory_mib: 512, root_gib: 1 },
    { flavorid: '5', name: 'm1.diskless', vcpus: 1, memory_mib: 512, root_gib: 0 },
  ];
  await db.transaction((tx) =>
    tx
      .insertInto('flavors')
      .values(
        flavors.map((flavor) => ({
          ...flavor,
          ephemeral_gib: 0,
          swap_mib: 0,
          rxtx_factor: 1,
          is_public: 1,
          disabled: 0,
          description: null,
          extra_specs: '{}',
          created_at: 1,
          updated_at: null,
        })),
      )
      .execute(),
  );
  const app = await createComputeApp({
    parts: {
      db: apiDb(db),
      bus,
      clock: options.clock ?? systemClock,
      log: silentLog,
      changes: openChangeHub({ db, clock: options.clock ?? systemClock, log: silentLog }),
      images: core.images.api,
      networks: { validate: async (asked) => asked },
      networking: noNetworking,
      volumes: volumeClient(null),
      console: consolePort(bus),
      diagnostics: diagnosticsPort(bus),
      guestCells: guestCellsPort(bus),
      agents: agentPort(bus),
      ...besides,
      consoleAddress: consoleAddressPort(bus),
      quotas: { instances: -1, cores: -1, ram: -1 },
      ...parts,
    },
    checkToken: async (token) => {
      const caller = Object.hasOwn(callers, token) ? callers[token] : undefined;
      if (!caller) throw notAuthenticated({});
      return caller;
    },
    log: silentLog,
    identityUrl: 'http://identity.example/v3',
  });
  const door = await openFrontDoor({ apps: [app], plain: () => false, host: '127.0.0.1', port: 0 });
  const origin = `http://127.0.0.1:${door.address.port}`;

  const ask = async (place: string, { as = 'demo', at, body }: Ask = {}): Promise<Answer> => {
    const [method = 'GET', path = '/'] = place.split(' ');
    const response = await leanFetch(`${origin}${path.startsWith('/v2') ? '' : '/v2.1'}${path}`, {
      method,
      headers: {
        ...(as === null ? {} : { 'x-auth-token': as }),
        ...(at === undefined ? {} : { 'openstack-api-version': `compute ${at}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, body: text === '' ? undefined : JSON.parse(text) };
  };
  const house = {
    core,
    db,
    origin,
    ask,
    /** A server that runs, or is in the state asked, its guest too. */
    async boot(state = 'active', metadata: Readonly<Record<string, string>> = {}): Promise<string> {
      const body = { server: { name: 'web', imageRef: IMAGE, flavorRef: '1', metadata } };
      const made = await ask('POST /servers', { body });
      if (made.status !== 202) throw new Error(`create answered ${made.status}: ${made.text}`);
      const id: string = made.body.server.id;
      const seen = await core.settled(id);
      if (seen?.vmState !== 'active') throw new Error(`it is ${seen?.vmState}: ${seen?.fault?.message}`);
      await core.quiet();
      if (state !== 'active') await house.put(id, { vm_state: state });
      const driver = core.drivers[seen.host ?? ''];
      if (state === 'paused') await driver?.pause(id);
      if (state === 'suspended') await driver?.suspend(id);
      if (state === 'stopped') await driver?.powerOff(id, 0);
      return id;
    },
    /** Writes into a server's row what no API writes. */
    put: (id: string, set: Readonly<Record<string, string | number | null>>) =>
      db.transaction((tx) =>
        tx
          .updateTable('servers')
          .set((eb) => ({ ...set, revision: eb('revision', '+', 1) }))
          .where('uuid', '=', id)
          .execute(),
      ),
    act: (id: string, body: object, more: Omit<Ask, 'body'> = {}) => ask(`POST /servers/${id}/action`, { ...more, body }),
    server: async (id: string) => {
      const server = await core.server(id);
      if (!server) throw new Error(`no server ${id}`);
      return server;
    },
    /** Every job has ended: the server as it is then. */
    async ended(id: string) {
      await core.quiet();
      return house.server(id);
    },
    /** Task states the server has had since a moment, each once in a row. */
    async tasks(id: string, since: number): Promise<(string | null)[]> {
      const rows = await db.read
        .selectFrom('changes')
        .select('body')
        .where('key', '=', id)
        .where('at', '>=', since)
        .orderBy('id')
        .execute();
      const seen = rows.map((row) => JSON.parse(row.body) as { taskState?: string | null }).filter((body) => 'taskState' in body);
      // What ended in the very microsecond in which we began to look belongs to the past.
      while (seen[0]?.taskState === null) seen.shift();
      return seen.map((body) => body.taskState ?? null).filter((task, at, all) => at === 0 || task !== all[at - 1]);
    },
    /** The newest instance action of a server, with the names and results of its events; apart from them the phases of a deed on its host, with their seconds. */
    async record(id: string) {
      const action = await db.read
        .selectFrom('server_actions')
        .selectAll()
        .where('server_uuid', '=', id)
        .orderBy('id', 'desc')
        .executeTakeFirst();
      if (!action) return undefined;
      const events = await db.read
        .selectFrom('server_action_events')
        .selectAll()
        .where('action_id', '=', action.id)
        .orderBy('id')
        .execute();
      const isPhase = ({ event }: { event: string }) => event.startsWith('phase_');
      return { ...action, events: events.filter((event) => !isPhase(event)), phases: events.filter(isPhase) };
    },
    /** Deletes every server. */
    async wipe(): Promise<void> {
      await core.quiet();
      await db.transaction((tx) => tx.updateTable('servers').set({ locked: 0, task_state: null }).execute());
      const rows = await db.read.selectFrom('servers').select('uuid').where('deleted', '=', 0).execute();
      for (const { uuid } of rows) await ask(`POST /servers/${uuid}/action`, { as: 'admin', body: { forceDelete: null } });
      await core.quiet();
    },
    async close(): Promise<void> {
      await door.close();
      await app.close();
      await core.close();
    },
  };
  return house;
}
export type ActHouse = Awaited<ReturnType<typeof openActHouse>>;
export const message = (answer: Answer): string => (Object.values(answer.body ?? {})[0] as { message?: string } | undefined)?.message ?? '';
