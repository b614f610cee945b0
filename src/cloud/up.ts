import { accessSync, constants, existsSync, mkdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { openBus } from '../bus/open.ts';
import { migrate } from '../db/migrate.ts';
import { openDatabase } from '../db/open.ts';
import type { Clock } from '../lib/clock.ts';
import { lockDir } from '../lib/dir-lock.ts';
import { openLog } from '../lib/log.ts';
import { startConductor } from '../services/conductor/start.ts';
import { startScheduler } from '../services/scheduler/start.ts';
import { startHost } from './agents.ts';
import { imageDir, mustBeServed, startApi } from './api.ts';
import { conductorImages } from './compute-ports.ts';
import { type Config, readConfig, readConfigFile } from './config.ts';
import { chooseHypervisor, type HypervisorWish, machineName, readHypervisorWish } from './hypervisor.ts';
import { keepMemorySmall } from './idle-memory.ts';
import { removeEndpoint, writeLoginFiles } from './login-files.ts';
import { startMetadata } from './metadata.ts';
import { openNotifications } from './notifications.ts';
import { conductorOptions, schedulerOptions } from './part-options.ts';
import { keepSecrets } from './secrets.ts';
import { seedCloud } from './seeds/cloud.ts';
import { seedBootImages, seedPlaceholder, seedUserImage } from './seeds/images.ts';
import { guestPrograms, installPrograms, setupLog } from './system-programs.ts';
import { keepTinyImage } from './tiny.ts';

export interface UpOptions {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly listen?: string | undefined;
  readonly publicUrl?: string | undefined;
  /** 0: any free port, for every listener. */
  readonly port?: number | undefined;
  readonly hypervisor?: HypervisorWish | undefined;
  /** Number of fake hosts. */
  readonly hosts?: number | undefined;
  readonly config?: string | undefined;
  readonly install: boolean;
  readonly image?: string | undefined;
  /** Tells the user a line. */
  readonly say: (line: string) => void;
}

/** A cloud that runs in this process. */
export interface Cloud {
  readonly base: string;
  readonly dataDir: string;
  readonly hypervisor: 'qemu' | 'fake';
  /** Resolves when the tiny image is there, or is known not to come. */
  readonly image: Promise<void>;
  /** Stops every part; guests live on. Safe to call twice. */
  stop(): Promise<void>;
}

export const defaultDataDir = (): string => join(process.env.XDG_DATA_HOME || join(homedir(), '.local', 'share'), 'kilonova');

/** Starts the whole cloud in this process. Throws an Error with a sentence for the user: a taken port, a data dir that cannot be written or is in use,
 *  a program that was asked for and is missing. Nothing is left running then. */
export async function up(options: UpOptions): Promise<Cloud> {
  const { clock, say } = options;
  const dataDir = resolve(options.dataDir);
  const undo: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (let last = undo.pop(); last; last = undo.pop()) await last();
  };
  try {
    return await start(options, dataDir, clock, say, undo, stop);
  } catch (cause) {
    await stop();
    throw cause;
  }
}

async function start(
  options: UpOptions,
  dataDir: string,
  clock: Clock,
  say: UpOptions['say'],
  undo: (() => Promise<void> | void)[],
  stop: () => Promise<void>,
): Promise<Cloud> {
  const config: Config = options.config ? readConfigFile(options.config) : readConfig('');
  for (const warning of config.warnings) say(warning);
  const settings = config.settings;
  mustBeServed(settings);
  mustBeWritable(dataDir);
  const lock = lockDir(dataDir);
  undo.push(() => lock.release());
  removeEndpoint(dataDir);
  const log = openLog({ level: settings.debug ? 'debug' : 'info', target: join(dataDir, 'kilonova.log') });
  if (settings.databaseUrl === null) mustHaveItsDatabase(dataDir);
  const secrets = keepSecrets(dataDir);
  const wish = options.hypervisor ?? readHypervisorWish(settings.computeDriver);
  if (wish !== 'fake' && wish !== 'libvirt')
    await installPrograms(guestPrograms, { allowed: options.install, say, logFile: setupLog(dataDir) });
  const hypervisor = chooseHypervisor(wish);

  const db = await openDatabase({
    url: settings.databaseUrl ?? `sqlite:///${join(dataDir, 'cloud.db')}`,
    synchronous: settings.synchronous === 'FULL' ? 'FULL' : 'NORMAL',
    poolSize: settings.poolSize,
  });
  undo.push(() => db.close());
  await migrate(db);
  const ids = await seedCloud({ db, clock, log, secrets, region: settings.region });
  const bus = await openBus({ url: settings.transportUrl, clock, log });
  undo.push(() => bus.close());

  const listen = options.listen ?? settings.apiListen;
  const publicUrl = options.publicUrl ?? settings.publicUrl ?? undefined;
  const api = await startApi({
    settings,
    db,
    bus,
    clock,
    log,
    dataDir,
    host: listen,
    port: options.port ?? settings.apiPort,
    publicUrl,
    servicePassword: secrets.servicePassword,
  });
  undo.push(() => api.stop());
  const metadataSecret = settings.metadataSecret ?? secrets.metadataSecret;
  // With --port the metadata service takes any free port: agents are told which, guests never see it.
  const metadata = await startMetadata({
    db,
    clock,
    log,
    secret: metadataSecret,
    host: settings.metadataListen,
    port: options.port === undefined ? settings.metadataPort : 0,
  });
  undo.push(() => metadata.stop());

  // Ended in the opposite order: whoever asks ends before whoever answers.
  const { close: closeNotifications, ...told } = await openNotifications(settings, { bus, clock, log });
  undo.push(closeNotifications);
  const scheduler = await startScheduler({ db, bus, clock, log, ...told, options: schedulerOptions(settings, machineName(), dataDir) });
  undo.push(() => scheduler.stop());
  const conductor = await startConductor({
    db,
    bus,
    clock,
    log,
    ...told,
    network: api.neighbours.networks,
    images: conductorImages(api.neighbours.images),
    volumes: api.neighbours.volumes,
    options: conductorOptions(settings, {
      given: config.given,
      host: machineName(),
      crashAt: process.env.KILONOVA_CRASH_AT ?? null,
      alone: settings.databaseUrl === null, // the database lies in the data dir, which this process has locked
    }),
  });
  undo.push(() => conductor.stop());
  const small = new AbortController();
  const resting = keepMemorySmall(clock, small.signal);
  undo.push(async () => {
    small.abort();
    await resting;
  });

  const hosts = hypervisor.kind === 'fake' ? (options.hosts ?? 1) : 1;
  const imageStore = { db, clock, log, storeDir: imageDir(dataDir), ownerProjectId: ids.adminProjectId };
  if (options.image) await seedUserImage(imageStore, options.image);
  else await seedPlaceholder(imageStore, hypervisor.kind);
  const agents = await Promise.all(
    Array.from({ length: hosts }, (_, index) => {
      const host = hypervisor.kind === 'fake' && hosts > 1 ? `fake${index + 1}` : (settings.host ?? machineName());
      return startHost({
        kind: hypervisor.kind,
        host,
        stateDir: hosts > 1 ? join(dataDir, 'agent', host) : (settings.statePath ?? join(dataDir, 'agent')),
        settings,
        given: config.given,
        bus,
        clock,
        log,
        neighbours: api.neighbours,
        metadata: { url: metadata.url, secret: metadataSecret },
      });
    }),
  );
  undo.push(async () => {
    await Promise.all(agents.map((agent) => agent.stop()));
  });

  const ending = new AbortController();
  undo.push(() => ending.abort());
  const image =
    hypervisor.kind === 'qemu' && !options.image
      ? keepTinyImage({
          dataDir,
          log,
          say,
          install: options.install,
          signal: ending.signal,
          offer: (tiny) => seedBootImages(imageStore, tiny),
        })
      : Promise.resolve();
  undo.push(() => image);
  undo.push(() => ending.abort());
  undo.push(() => removeEndpoint(dataDir));
  writeLoginFiles(dataDir, publicUrl ?? api.base, settings.region, secrets, { api: api.door.address.port, metadata: metadata.port });
  say(
    `ready: ${publicUrl ?? api.base} (${hypervisor.why}${hosts > 1 ? `, ${hosts} hosts` : ''}). Log in: . ${join(dataDir, 'openrc-demo')} (admin: ${join(dataDir, 'openrc')})`,
  );
  let stopping: Promise<void> | undefined;
  return {
    base: api.base,
    dataDir,
    hypervisor: hypervisor.kind,
    image,
    stop: () => {
      stopping ??= stop();
      return stopping;
    },
  };
}

/** A new empty database beside what is left of an older cloud would call its images and running guests nobody's. */
function mustHaveItsDatabase(dataDir: string): void {
  const file = join(dataDir, 'cloud.db');
  // Written at the end of every start: a first start that was cut short may begin again.
  if (existsSync(file) || !existsSync(join(dataDir, 'openrc'))) return;
  throw new Error(
    `The database ${file} is gone, and ${dataDir} belongs to a cloud that has run. Put the file back, or remove the data dir to begin a new cloud.`,
  );
}

function mustBeWritable(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    if (!statSync(dataDir).isDirectory()) throw new Error('it is not a directory');
    accessSync(dataDir, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const why = existsSync(dataDir) && !statSync(dataDir).isDirectory() ? 'it is not a directory' : 'it cannot be written';
    throw new Error(`The data dir ${dataDir} cannot be used: ${why}. Name another with --data-dir.`, { cause });
  }
}
