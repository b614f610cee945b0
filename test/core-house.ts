import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Bus, Unkindness } from '../src/bus/bus.ts';
import { memoryBus } from '../src/bus/memory.ts';
import { volumeClient } from '../src/clients/volume.ts';
import type { Database } from '../src/db/engine.ts';
import { migrate } from '../src/db/migrate.ts';
import { insertIgnore } from '../src/db/statements.ts';
import { insertActions } from '../src/db/tables/compute/actions.ts';
import { writeChanges } from '../src/db/tables/compute/changes.ts';
import { insertJobs } from '../src/db/tables/compute/jobs.ts';
import { toServer } from '../src/db/tables/compute/servers.ts';
import type { Driver } from '../src/hypervisors/driver.ts';
import { createFakeDriver, type FakeDriverOptions } from '../src/hypervisors/fake/fake-driver.ts';
import { type Clock, systemClock } from '../src/lib/clock.ts';
import { newHexId, newRequestId, newUuid } from '../src/lib/ids.ts';
import { type Log, silentLog } from '../src/lib/log.ts';
import { JOBS_RING, type JobInputs, type JobKind } from '../src/model/jobs.ts';
import { CELL_UUID, type NetworkInfo, type Server } from '../src/model/server.ts';
import { type AgentOptions, agentDefaults } from '../src/services/compute-agent/parts.ts';
import { type Agent, startAgent } from '../src/services/compute-agent/start.ts';
import { type ConductorOptions, type ConductorParts, conductorDefaults, type OnStep } from '../src/services/conductor/parts.ts';
import { type Conductor, startConductor } from '../src/services/conductor/start.ts';
import { type SchedulerOptions, schedulerDefaults } from '../src/services/scheduler/options.ts';
import { type Scheduler, startScheduler } from '../src/services/scheduler/start.ts';
import { audit } from './audit.ts';
import { imageBook } from './image-book.ts';
import { openFresh } from './support/fresh-database.ts';

/** A network in memory: ports by server, with the promises of the real one. */
export function portBook(path?: string) {
  const ports = new Map<string, NetworkInfo[]>(path && existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : []);
  const keep = () => {
    if (!path) return;
    writeFileSync(`${path}.new`, JSON.stringify([...ports]));
    renameSync(`${path}.new`, path);
  };
  let next = 10;
  /** The host each server's ports were bound to last. */
  const hosts = new Map<string, string | null>();
  return {
    ports,
    async allocate(wish: { serverUuid: string; host: string }): Promise<readonly NetworkInfo[]> {
      hosts.set(wish.serverUuid, wish.host);
      const old = ports.get(wish.serverUuid);
      if (old) return old;
      const address = `172.24.${Math.floor(next / 250)}.${(next++ % 250) + 1}`;
      const made: NetworkInfo[] = [
        {
          portId: newUuid(),
          networkId: newUuid(),
          networkName: 'private',
          mac: 'fa:16:3e:00:00:01',
          mtu: 1500,
          addresses: [{ address, version: 4, type: 'fixed', cidr: '172.24.0.0/16', gateway: '172.24.0.1' }],
          nameServers: [],
          preserve: false,
          securityGroups: [],
          tag: null,
        },
      ];
      ports.set(wish.serverUuid, made);
      keep();
      return made;
    },
    hosts,
    async bind(serverUuid: string, host: string | null): Promise<readonly NetworkInfo[]> {
      hosts.set(serverUuid, host);
      return ports.get(serverUuid) ?? [];
    },
    async release(serverUuid: string): Promise<void> {
      ports.delete(serverUuid);
      keep();
    },
    async attach(request: { serverUuid: string }, _wish: object, { key }: { key: string }): Promise<NetworkInfo> {
      const old = ports.get(request.serverUuid) ?? [];
      const portId = key;
      const known = old.find((port) => port.portId === portId);
      if (known) return known;
      const [first] = await this.allocate({ serverUuid: newUuid(), host: '' });
      if (!first) throw new Error('no port was made');
      const made = { ...first, portId };
      ports.set(request.serverUuid, [...old, made]);
      keep();
      return made;
    },
    async detach(serverUuid: string, portId: string): Promise<void> {
      ports.set(
        serverUuid,
        (ports.get(serverUuid) ?? []).filter((port) => port.portId !== portId),
      );
      keep();
    },
  };
}

let databases: (() => Promise<Database>) | undefined;
/** Houses of this process get their (empty) databases from here, instead of SQLite files of their own. */
export const standHousesOn = (open: () => Promise<Database>): void => {
  databases = open;
};

export interface HouseOptions {
  readonly hosts?: number;
  readonly host?: Partial<FakeDriverOptions>;
  readonly unkind?: Unkindness;
  readonly conductors?: number;
  readonly schedulers?: number;
  readonly conductor?: Partial<ConductorOptions>;
  readonly scheduler?: Partial<SchedulerOptions>;
  readonly agent?: Partial<AgentOptions>;
  readonly onStep?: OnStep;
  /** What the outside is told, and the ear that hears it. */
  readonly told?: Pick<ConductorParts, 'notifications' | 'notify'>;
  readonly onAgentStep?: (step: string, phase: 'before' | 'after') => void;
  readonly clock?: Clock;
  readonly log?: Log;
  /** A directory that stays; without it one is made and removed. */
  readonly dir?: string;
}

export interface CreateWish {
  readonly vcpus?: number;
  readonly memoryMiB?: number;
  readonly rootGiB?: number;
  readonly metadata?: Record<string, string>;
  readonly group?: string;
  readonly count?: number;
  readonly zone?: string;
  readonly forcedHost?: string;
  readonly extraSpecs?: Record<string, string>;
  readonly imageProperties?: Record<string, string>;
  readonly hints?: Record<string, unknown>;
}

const imageBytes = Buffer.from('placeholder');
export const projectId = newHexId();
const userId = newHexId();
const context = () => ({ userId, projectId, roles: ['member'], requestId: newRequestId() });
/** sha512 of the image's bytes. */
const hashValue = createHash('sha512').update(imageBytes).digest('hex');

/** Database, bus, conductors, schedulers and agents with fake hypervisors: everything between an accepted request and a running guest. */
export async function openHouse(options: HouseOptions = {}) {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'kilonova-core-'));
  const clock = options.clock ?? systemClock;
  const log = options.log ?? silentLog;
  const db: Database = await (databases ? databases() : openFresh(join(dir, 'cloud.db')));
  await migrate(db);
  const bus: Bus = memoryBus({ clock, log, ...(options.unkind ? { unkind: options.unkind } : {}) });
  const network = portBook(options.dir && join(options.dir, 'ports.json'));
  const drivers: Record<string, Driver> = {};
  const agents = new Map<string, Agent>();
  const happened = new Set<string>();
  const filtersBy = (name: string) => options.scheduler?.enabledFilters?.includes(name) ?? false;
  const images = imageBook(imageBytes, options.dir && join(options.dir, 'images.json'));
  const house = {
    db,
    bus,
    dir,
    network,
    images,
    drivers,
    agents,
    conductors: [] as Conductor[],
    schedulers: [] as Scheduler[],
    async startConductor(name: string, more: { onStep?: OnStep; options?: Partial<ConductorOptions> } = {}) {
      const onStep = more.onStep ?? options.onStep;
      const conductor = await startConductor({
        db,
        bus,
        clock,
        log: log.child({ part: name }),
        network,
        images: images.conductor,
        volumes: volumeClient(null),
        options: {
          ...conductorDefaults,
          name,
          host: name,
          reserved: { vcpu: 0, memoryMiB: 0, diskGiB: 0 },
          machineParts: {
            aliases: options.scheduler?.pciAliases ?? [],
            rule: { cells: filtersBy('NUMATopologyFilter'), devices: filtersBy('PciPassthroughFilter'), pack: false },
          },
          ...options.conductor,
          ...more.options,
        },
        ...(onStep ? { onStep } : {}),
        ...options.told,
      });
      house.conductors.push(conductor);
      return conductor;
    },
    async startScheduler(name: string, seed: number) {
      const own = { ...schedulerDefaults, name, host: name, seed, ...options.scheduler };
      const scheduler = await startScheduler({ db, bus, clock, log: log.child({ part: name }), options: own });
      house.schedulers.push(scheduler);
      return scheduler;
    },
    async startAgent(host: string, more: Partial<FakeDriverOptions> = {}, agentOptions: Partial<AgentOptions> = {}) {
      const stateDir = join(dir, host);
      mkdirSync(stateDir, { recursive: true });
      const driver = createFakeDriver({ hostname: host, clock, happened, stateDir, ...options.host, ...more });
      drivers[host] = driver;
      const agent = await startAgent({
        driver,
        bus,
        clock,
        log: log.child({ part: host }),
        network,
        image: images.agent,
        ...(options.onAgentStep ? { onStep: options.onAgentStep } : {}),
        options: { ...agentDefaults, stateDir, host, stopGraceMs: 200, ...options.agent, ...agentOptions },
      });
      agents.set(host, agent);
      return agent;
    },
    /** Accepts servers as compute-api does. */
    async create(wish: CreateWish = {}): Promise<string[]> {
      const now = clock.now();
      const uuids = Array.from({ length: wish.count ?? 1 }, newUuid);
      const flavor = {
        id: 1,
        flavorId: '1',
        name: 'm1.tiny',
        vcpus: wish.vcpus ?? 1,
        memoryMiB: wish.memoryMiB ?? 512,
        rootGiB: wish.rootGiB ?? 1,
        ephemeralGiB: 0,
        swapMiB: 0,
        rxtxFactor: 1,
        isPublic: true,
        disabled: false,
        description: null,
        extraSpecs: wish.extraSpecs ?? {},
      };
      const snapshot = {
        id: '7c1b4e62-1f63-4a3a-9d3f-53c1f3a2f001',
        name: 'placeholder',
        diskFormat: 'raw',
        containerFormat: 'bare',
        sizeBytes: imageBytes.length,
        hashAlgo: 'sha512',
        hashValue,
        minDiskGiB: 0,
        minMemoryMiB: 0,
        properties: wish.imageProperties ?? {},
      };
      await db.transaction(async (tx) => {
        for (const [resource, amount] of Object.entries({ instances: 1, cores: flavor.vcpus, ram: flavor.memoryMiB })) {
          const row = { project_id: projectId, user_id: '', resource, used: 0 };
          await insertIgnore(tx, db.kind, 'quota_usages', row, ['project_id', 'user_id', 'resource']);
          await tx
            .updateTable('quota_usages')
            .set((eb) => ({ used: eb('used', '+', amount * uuids.length) }))
            .where('project_id', '=', projectId)
            .where('user_id', '=', '')
            .where('resource', '=', resource)
            .execute();
        }
        for (const [at, uuid] of uuids.entries()) {
          await tx
            .insertInto('servers')
            .values({
              uuid,
              reservation_id: 'r-test',
              project_id: projectId,
              user_id: userId,
              name: `server-${at}`,
              description: null,
              hostname: `server-${at}`,
              vm_state: 'building',
              task_state: 'scheduling',
              task_deadline: now + 1_800_000_000,
              power_state: 0,
              progress: 0,
              host: null,
              node: null,
              launched_on: null,
              cell_uuid: CELL_UUID,
              epoch: 0,
              flavor_id: '1',
              flavor: JSON.stringify(flavor),
              image_id: snapshot.id,
              image: JSON.stringify(snapshot),
              key_name: null,
              key_data: null,
              user_data: null,
              config_drive: '',
              availability_zone: wish.zone ?? null,
              access_ip_v4: null,
              access_ip_v6: null,
              disk_config: 'MANUAL',
              root_device_name: null,
              launch_index: at,
              metadata: JSON.stringify(wish.metadata ?? {}),
              requested_networks: '"auto"',
              security_groups: '["default"]',
              network_info: '[]',
              block_devices: '[]',
              scheduler_hints: JSON.stringify(wish.hints ?? {}),
              trusted_certs: null,
              fault: null,
              locked: 0,
              locked_reason: null,
              created_at: now,
              updated_at: now,
              launched_at: null,
              terminated_at: null,
              deleted: 0,
              deleted_at: null,
              revision: 1,
            })
            .execute();
          if (wish.group) await tx.insertInto('server_group_members').values({ group_uuid: wish.group, server_uuid: uuid }).execute();
        }
        const ctx = context();
        await insertActions(
          tx,
          uuids.map((serverUuid) => ({ serverUuid, action: 'create', context: ctx, at: now })),
        );
        await insertJobs(
          tx,
          uuids.map((serverUuid) => ({
            kind: 'build-server' as const,
            serverUuid,
            input: {
              serverUuid,
              adminPass: 'secret',
              injectedFiles: [],
              forcedHost: wish.forcedHost ?? null,
              forcedNode: null,
              requestedHost: null,
              requestedHypervisor: null,
              groupUuid: wish.group ?? null,
            },
            context: ctx,
            now,
          })),
        );
        await writeChanges(
          tx,
          uuids.map((key) => ({ noun: 'server' as const, key, what: 'created', projectId, body: {}, at: now })),
        );
      });
      bus.ring(JOBS_RING);
      return uuids;
    },
    async delete(uuid: string) {
      const now = clock.now();
      await db.transaction(async (tx) => {
        await tx.updateTable('servers').set({ task_state: 'deleting' }).where('uuid', '=', uuid).where('deleted', '=', 0).execute();
        const ctx = context();
        await insertActions(tx, [{ serverUuid: uuid, action: 'delete', context: ctx, at: now }]);
        await writeChanges(tx, [{ noun: 'server', key: uuid, what: 'task', projectId, body: { taskState: 'deleting' }, at: now }]);
        await insertJobs(tx, [{ kind: 'delete-server', serverUuid: uuid, input: { serverUuid: uuid, force: false }, context: ctx, now }]);
      });
      bus.ring(JOBS_RING);
    },
    /** Begins a task as compute-api does: task state, instance action and job. */
    async begin<K extends JobKind>(uuid: string, kind: K, input: Omit<JobInputs[K], 'serverUuid'>, action: string, taskState: string) {
      const now = clock.now();
      await db.transaction(async (tx) => {
        await tx.updateTable('servers').set({ task_state: taskState }).where('uuid', '=', uuid).execute();
        const ctx = context();
        await insertActions(tx, [{ serverUuid: uuid, action, context: ctx, at: now }]);
        await insertJobs(tx, [{ kind, serverUuid: uuid, input: { ...input, serverUuid: uuid } as JobInputs[K], context: ctx, now }]);
      });
      bus.ring(JOBS_RING);
    },
    async power(uuid: string, action: 'start' | 'stop' | 'reboot-soft' | 'reboot-hard') {
      const task = { start: 'powering-on', stop: 'powering-off', 'reboot-soft': 'rebooting', 'reboot-hard': 'rebooting_hard' }[action];
      const args = action.startsWith('reboot') ? { how: action.slice(7) } : {};
      const vmStateBefore = (await house.server(uuid))?.vmState ?? '';
      await house.begin(uuid, 'act-on-server', { action, args, vmStateBefore }, action, task);
    },
    /** A snapshot, or with a type a backup of which one is kept; answers its image. */
    async snapshot(uuid: string, type?: string): Promise<string> {
      const properties = { image_type: type ? 'backup' : 'snapshot', instance_uuid: uuid, ...(type ? { backup_type: type } : {}) };
      const imageId = images.add({ name: 'copy', status: 'queued', data: '', properties });
      const backup = type === undefined ? null : { type, rotation: 1 };
      await house.begin(uuid, 'snapshot-server', { imageId, backup }, 'createImage', backup ? 'image_backup' : 'image_snapshot_pending');
      return imageId;
    },
    /** A rebuild with another image. */
    async rebuild(uuid: string) {
      const before = await house.server(uuid);
      if (!before) throw new Error(`no server ${uuid}`);
      const id = images.add({ name: 'other' });
      const image = { ...(await images.api.show(id)), status: undefined };
      await db.transaction((tx) =>
        tx
          .updateTable('servers')
          .set({ image_id: id, image: JSON.stringify(image) })
          .where('uuid', '=', uuid)
          .execute(),
      );
      const { vmState: vmStateBefore, imageId, image: old } = before;
      const input = {
        adminPass: 'secret',
        injectedFiles: [],
        preserveEphemeral: false,
        vmStateBefore,
        imageBefore: { id: imageId, image: old },
      };
      await house.begin(uuid, 'rebuild-server', input, 'rebuild', 'rebuilding');
    },
    async group(policy: string, rules: object = {}) {
      const uuid = newUuid();
      await db.transaction((tx) =>
        tx
          .insertInto('server_groups')
          .values({
            uuid,
            project_id: projectId,
            user_id: userId,
            name: policy,
            policy,
            rules: JSON.stringify(rules),
            created_at: clock.now(),
          })
          .execute(),
      );
      return uuid;
    },
    async server(uuid: string): Promise<Server | undefined> {
      const row = await db.read.selectFrom('servers').selectAll().where('uuid', '=', uuid).executeTakeFirst();
      return row && toServer(row);
    },
    /** Waits until something is so, looking often; throws with what it saw last when it does not become so. */
    async until<T>(look: () => Promise<T>, so: (seen: T) => boolean, ms = 10_000): Promise<T> {
      const deadline = performance.now() + ms;
      for (;;) {
        const seen = await look();
        if (so(seen)) return seen;
        if (performance.now() > deadline) throw new Error(`it did not become so; last seen: ${JSON.stringify(seen)}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
    settled: (uuid: string, ms?: number) =>
      house.until(
        () => house.server(uuid),
        (server) => server === undefined || server.deleted || (server.taskState === null && server.vmState !== 'building'),
        ms,
      ),
    /** Waits until no job is left. */
    quiet: (ms?: number) =>
      house.until(
        async () =>
          await db.read
            .selectFrom('jobs')
            .select(['kind', 'status', 'server_uuid', 'progress'])
            .where('status', '<>', 'failed')
            .where('kind', '<>', 'settle-request') // looks again, long after, at what is over
            .execute(),
        (jobs) => jobs.length === 0,
        ms,
      ),
    audit: () => audit(db, { drivers, portOwners: async () => [...network.ports.keys()] }),
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.stop()));
      await Promise.all(house.schedulers.map((one) => one.stop()));
      await Promise.all(house.conductors.map((one) => one.stop()));
      await bus.close();
      await db.close();
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
  for (let at = 0; at < (options.conductors ?? 1); at++) await house.startConductor(`conductor-${at}`);
  for (let at = 0; at < (options.hosts ?? 1); at++) await house.startAgent(`host-${at}`);
  for (let at = 0; at < (options.schedulers ?? 1); at++) await house.startScheduler(`scheduler-${at}`, at + 1);
  return house;
}
export type House = Awaited<ReturnType<typeof openHouse>>;
