import cluster from 'node:cluster';
import { join, resolve } from 'node:path';
import type { Bus } from '../bus/bus.ts';
import { openBus } from '../bus/open.ts';
import type { Database } from '../db/engine.ts';
import { migrate } from '../db/migrate.ts';
import { openDatabase } from '../db/open.ts';
import type { Driver } from '../hypervisors/driver.ts';
import type { Clock } from '../lib/clock.ts';
import { type Log, openLog } from '../lib/log.ts';
import { retry } from '../lib/retry.ts';
import { CloudError } from '../model/errors.ts';
import type { ConductorOptions, OnStep } from '../services/conductor/parts.ts';
import { startConductor } from '../services/conductor/start.ts';
import { startScheduler } from '../services/scheduler/start.ts';
import { startHost } from './agents.ts';
import { localName, mustBeServed, startApi } from './api.ts';
import { conductorImages } from './compute-ports.ts';
import { type Config, readConfigFile } from './config.ts';
import { chooseHypervisor, machineName, readHypervisorWish } from './hypervisor.ts';
import { removeEndpoint, writeLoginFiles } from './login-files.ts';
import { type MetadataPart, startMetadata } from './metadata.ts';
import { openNeighbours } from './neighbours.ts';
import { openNotifications } from './notifications.ts';
import { conductorOptions, schedulerOptions } from './part-options.ts';
import { patientNeighbours } from './patient-neighbours.ts';
import { keepSecrets, type Secrets } from './secrets.ts';
import { seedApi } from './seeds/api.ts';
import { defaultDataDir } from './up.ts';
import { forkWorkers } from './workers.ts';

export type PartName = 'api' | 'conductor' | 'scheduler' | 'agent' | 'metadata';

export interface PartOptions {
  readonly config: string;
  readonly dataDir?: string | undefined;
  readonly port?: number | undefined;
  readonly clock: Clock;
  readonly say: (line: string) => void;
  /** Aborts the waiting for what is not there yet. */
  readonly signal: AbortSignal;
  /** For tests that look or strike inside. */
  readonly hooks?: PartHooks;
}
export interface PartHooks {
  readonly conductor?: Partial<ConductorOptions>;
  readonly onStep?: OnStep;
  /** Stands before the hypervisor of an agent. */
  readonly driver?: (driver: Driver) => Driver;
}
export interface Part {
  /** Rejects with an Error whose sentence is for the operator. */
  readonly ready: Promise<void>;
  /** Ends it, ready or not yet. */
  stop(): Promise<void>;
}

interface Ground {
  readonly config: Config;
  readonly dataDir: string;
  readonly secrets: Secrets;
  readonly log: Log;
  readonly clock: Clock;
  readonly say: (line: string) => void;
  readonly port: number | undefined;
  readonly signal: AbortSignal;
  readonly hooks: PartHooks;
  db(): Promise<Database>;
  bus(): Promise<Bus>;
  undo(work: () => Promise<void> | void): void;
}

const { isWorker } = cluster;

/** Starts one part of the cloud in this process. It waits for database, broker and neighbours that are not there yet, and says so.
 *  Throws an Error with a sentence for a config that cannot be read. */
export function startPart(name: PartName, options: PartOptions): Part {
  const { clock, signal } = options;
  const say = isWorker ? () => {} : options.say; // the parent speaks for its workers
  const config = readConfigFile(options.config);
  for (const warning of config.warnings) say(warning);
  const dataDir = resolve(options.dataDir ?? config.settings.statePath ?? defaultDataDir());
  const undo: (() => Promise<void> | void)[] = [];
  const kept = keepSecrets(dataDir);
  const { authPassword, metadataSecret } = config.settings;
  const secrets = { ...kept, servicePassword: authPassword ?? kept.servicePassword, metadataSecret: metadataSecret ?? kept.metadataSecret };
  const log = openLog({ level: config.settings.debug ? 'debug' : 'info', name, target: join(dataDir, `${name}.log`) });
  const ground: Ground = {
    config,
    dataDir,
    secrets,
    log,
    clock,
    say,
    signal,
    hooks: options.hooks ?? {},
    port: options.port,
    undo: (work) => undo.push(work),
    async db() {
      const { databaseUrl, poolSize, synchronous } = config.settings;
      const url = databaseUrl ?? `sqlite:///${join(dataDir, 'cloud.db')}`;
      const db = await openDatabase({ url, poolSize, synchronous: synchronous === 'FULL' ? 'FULL' : 'NORMAL' });
      undo.push(() => db.close());
      await patiently(ground, 'the database', () => migrate(db));
      return db;
    },
    async bus() {
      const { transportUrl } = config.settings;
      if (transportUrl.startsWith('memory:') && name !== 'api')
        say('transport_url is memory://, so no other process can be reached; name a broker: rabbit://...');
      const bus = await openBus({ url: transportUrl, clock, log });
      undo.push(() => bus.close());
      const began = clock.now();
      let told = false;
      while (!bus.healthy()) {
        signal.throwIfAborted();
        if (!told && clock.now() - began > PATIENCE_US)
          say(`waiting for the message broker at ${placeOf(transportUrl)}; why it does not answer is in ${join(dataDir, `${name}.log`)}`);
        told ||= clock.now() - began > PATIENCE_US;
        await clock.sleep(10, signal);
      }
      return bus;
    },
  };
  let stopping: Promise<void> | undefined;
  const ready = starters[name](ground);
  return {
    ready,
    stop() {
      stopping ??= (async () => {
        for (let last = undo.pop(); last; last = undo.pop()) await last();
        // What was starting meanwhile has its ground taken away, and ends by that.
        await ready.catch(() => undefined);
        for (let last = undo.pop(); last; last = undo.pop()) await last();
      })();
      return stopping;
    },
  };
}

const PATIENCE_US = 1_000_000;
const placeOf = (url: string) => url.replace(/^(\w+:\/\/).*@/, '$1');

const starters: Readonly<Record<PartName, (ground: Ground) => Promise<void>>> = {
  async api(ground) {
    const { config, dataDir, secrets, log, clock, say } = ground;
    const { settings } = config;
    mustBeServed(settings);
    if (settings.builtinServices.includes('identity') && !settings.authPassword && !settings.transportUrl.startsWith('memory:'))
      throw new Error(
        '[keystone_authtoken] password is needed: conductor and agents log in with it. Any long secret, the same in every config.',
      );
    if (isWorker) return void (await serveApi(ground, await ground.db()));
    const db = await ground.db();
    const ports: Record<string, number> = {};
    if (settings.enabledApis.includes('metadata')) {
      const metadata = await serveMetadata(ground, db, ground.port === 0 ? 0 : settings.metadataPort);
      ports.metadata = metadata.port;
      say(`metadata ready: port ${metadata.port}`);
    }
    if (!settings.enabledApis.includes('osapi_compute')) return;
    removeEndpoint(dataDir);
    const seeding = { db, clock, log, say, secrets, settings, dataDir, signal: ground.signal };
    const seeded = await patiently(ground, 'the database', () => seedApi(seeding)); // each part of it may be done twice
    if (settings.apiWorkers > 1) {
      const workers = await forkWorkers({ count: settings.apiWorkers, clock, log });
      ground.undo(() => workers.stop());
      ports.api = workers.port;
    } else ports.api = await serveApi(ground, db);
    const base = settings.publicUrl ?? `http://${localName(settings.apiListen)}:${ports.api}`;
    ground.undo(() => removeEndpoint(dataDir));
    writeLoginFiles(dataDir, base, settings.region, seeded.ownPasswords ? secrets : null, ports);
    say(`api ready: ${base}${settings.apiWorkers > 1 ? ` (${settings.apiWorkers} workers)` : ''}`);
  },
  async conductor(ground) {
    const { config, log, clock } = ground;
    const neighbours = neighboursOf(ground);
    const db = await ground.db();
    const bus = await ground.bus();
    const options = conductorOptions(config.settings, {
      given: config.given,
      host: config.settings.host ?? machineName(),
      crashAt: process.env.KILONOVA_CRASH_AT ?? null,
    });
    const { close, ...told } = await openNotifications(config.settings, { bus, clock, log });
    ground.undo(close);
    const conductor = await startConductor({
      db,
      bus,
      clock,
      log,
      network: neighbours.networks,
      images: conductorImages(neighbours.images),
      volumes: neighbours.volumes,
      options: { ...options, ...ground.hooks.conductor },
      ...(ground.hooks.onStep ? { onStep: ground.hooks.onStep } : {}),
      ...told,
    });
    ground.undo(() => conductor.stop());
    ground.say('conductor ready');
  },
  async scheduler(ground) {
    const { config, dataDir, log, clock } = ground;
    const db = await ground.db();
    const bus = await ground.bus();
    const options = schedulerOptions(config.settings, config.settings.host ?? machineName(), dataDir);
    const { close, ...told } = await openNotifications(config.settings, { bus, clock, log });
    ground.undo(close);
    const scheduler = await startScheduler({ db, bus, clock, log, ...told, options });
    ground.undo(() => scheduler.stop());
    ground.say('scheduler ready');
  },
  async agent(ground) {
    const { config, dataDir, secrets, log, clock, say, signal } = ground;
    const { settings } = config;
    const hypervisor = chooseHypervisor(readHypervisorWish(settings.computeDriver));
    const neighbours = neighboursOf(ground);
    const bus = await ground.bus();
    const url = settings.metadataUrl ?? `http://127.0.0.1:${settings.metadataPort}`;
    const host = settings.host ?? machineName();
    const cancel = clock.after(2000, () => say(`waiting for a conductor to take the host ${host} in`));
    const agent = await startHost({
      kind: hypervisor.kind,
      host,
      stateDir: join(dataDir, 'agent'),
      settings,
      given: config.given,
      bus,
      clock,
      log,
      neighbours,
      metadata: { url, secret: secrets.metadataSecret },
      signal,
      ...(ground.hooks.driver ? { wrap: ground.hooks.driver } : {}),
      onFenced: () => {
        say(`another agent owns the host ${host} now; this one ends`);
        process.exit(1);
      },
    }).finally(cancel);
    ground.undo(() => agent.stop());
    say(`agent ready: host ${host} (${hypervisor.why})`);
  },
  async metadata(ground) {
    const { config, log, clock } = ground;
    const { settings } = config;
    if (settings.metadataWorkers > 1 && !isWorker) {
      const workers = await forkWorkers({ count: settings.metadataWorkers, clock, log });
      ground.undo(() => workers.stop());
      return ground.say(`metadata ready: port ${workers.port} (${settings.metadataWorkers} workers)`);
    }
    const metadata = await serveMetadata(ground, await ground.db(), ground.port ?? settings.metadataPort);
    ground.say(`metadata ready: port ${metadata.port}`);
  },
};

/** The front door of this process; answers its port. */
async function serveApi(ground: Ground, db: Database): Promise<number> {
  const { config, dataDir, secrets, log, clock } = ground;
  const { settings } = config;
  const api = await startApi({
    settings,
    db,
    bus: await ground.bus(),
    clock,
    log,
    dataDir,
    host: settings.apiListen,
    port: ground.port ?? settings.apiPort,
    publicUrl: settings.publicUrl ?? undefined,
    servicePassword: secrets.servicePassword,
    worker: isWorker,
  });
  ground.undo(() => api.stop());
  return api.door.address.port;
}

async function serveMetadata(ground: Ground, db: Database, port: number): Promise<MetadataPart> {
  const { clock, log, secrets, config } = ground;
  const metadata = await startMetadata({ db, clock, log, secret: secrets.metadataSecret, host: config.settings.metadataListen, port });
  ground.undo(() => metadata.stop());
  return metadata;
}

function neighboursOf(ground: Ground) {
  const { settings } = ground.config;
  if (!settings.authUrl || !settings.authPassword)
    throw new Error(
      '[keystone_authtoken] auth_url and password are needed: where the identity service is, and the password of our service user.',
    );
  const identity = settings.authUrl.replace(/\/(v3)?\/?$/, '');
  const front = identity.replace(/\/identity$/, '');
  const neighbours = openNeighbours({
    clock: ground.clock,
    identityUrl: `${identity}/v3`,
    imageUrl: settings.imageUrl ?? `${front}/image`,
    networkUrl: settings.networkUrl ?? `${front}/network`,
    volumeUrl: settings.volumeUrl ?? (settings.builtinServices.includes('volume') ? `${front}/volume/v3` : null),
    user: settings.authUser,
    password: settings.authPassword,
    project: settings.authProject,
  });
  ground.undo(() => neighbours.close());
  // A part does not wait for them: what stands on its host is looked after meanwhile. But nobody shall wonder why nothing is built.
  void patiently(ground, `the identity service at ${identity}`, () => neighbours.token(false)).catch((cause) => {
    if (!ground.signal.aborted)
      ground.say(
        `the identity service refuses our service user ${settings.authUser}: ${cause instanceof Error ? cause.message : String(cause)}`,
      );
  });
  return patientNeighbours(neighbours, ground.clock, ground.signal);
}

/** Waits for something that may come up after us; says so once. */
function patiently<T>(ground: Ground, what: string, work: () => Promise<T>): Promise<T> {
  let told = false;
  return retry(ground.clock, work, {
    attempts: Number.POSITIVE_INFINITY,
    firstMs: 200,
    maxMs: 2000,
    signal: ground.signal,
    again: (cause) => {
      const away = cause instanceof CloudError && cause.kind === 'unavailable';
      if (away && !told) ground.say(`waiting for ${what}: ${cause.message}`);
      told ||= away;
      return away;
    },
  });
}

/** Brings the tables of the config's database up to date; answers the steps that ran. */
export async function migrateFrom(configFile: string, dataDir?: string): Promise<string[]> {
  const { settings } = readConfigFile(configFile);
  const db = await openDatabase({
    url: settings.databaseUrl ?? `sqlite:///${join(resolve(dataDir ?? settings.statePath ?? defaultDataDir()), 'cloud.db')}`,
  });
  try {
    return await migrate(db);
  } finally {
    await db.close();
  }
}
