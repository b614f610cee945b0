import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '../../src/db/engine.ts';
import { openDatabase } from '../../src/db/open.ts';
import type { Entry } from '../../src/services/compute-agent/journal.ts';
import { openPartsHouse, type PartName, type PartsHouse, type Running } from '../house/parts.ts';
import { startMariadb } from '../servers/mariadb.ts';
import { startPostgres } from '../servers/postgres.ts';
import type { PrivateServer } from '../servers/private-server.ts';
import { startRabbitmq } from '../servers/rabbitmq.ts';
import { hostFiles } from './host-files.ts';
import { endEmulators, type HostGuest, type RealHost, realHost } from './real-host.ts';
import type { Victim } from './strikes.ts';

export interface CloudOptions {
  readonly engine: 'sqlite' | 'mariadb' | 'postgres';
  /** Agents of fake hypervisors. */
  readonly hosts: number;
  /** With real guests there is one agent more, of QEMU: `real-1`. */
  readonly guests: number;
  /** Whether the broker and the database are struck too. */
  readonly outside: boolean;
  /** Deletes are soft, and can be taken back. */
  readonly softDelete: boolean;
}
/** A cloud of processes that can be struck one by one. */
export interface ChaosCloud {
  /** Where a database of our own lies. */
  readonly dir: string;
  readonly house: PartsHouse;
  readonly db: Database;
  readonly victims: readonly Victim[];
  readonly hosts: readonly string[];
  isUp(name: string): boolean;
  /** How many guests lost their process to a strike. */
  emulatorsEnded(): number;
  /** SIGKILL, or SIGTERM; resolves when it is gone. */
  end(name: string, how: 'kill' | 'end'): Promise<void>;
  freeze(name: string, on: boolean): void;
  /** Starts a part again unless it runs; resolves when it is ready. */
  start(name: string): Promise<void>;
  /** What a host runs and remembers, read from its files beside the living agent. */
  guestsOf(host: string): readonly HostGuest[];
  journalOf(host: string): readonly Entry[];
  /** The host of real guests, among `hosts` too; undefined: there is none. */
  readonly real: RealHost | undefined;
  /** Ends all parts in order; answers those that did not end with 0. */
  stop(): Promise<string[]>;
  remove(): Promise<void>;
}

const PARTS: Readonly<Record<string, PartName>> = {
  api: 'api',
  'conductor-1': 'conductor',
  'conductor-2': 'conductor',
  scheduler: 'scheduler',
};
/** The host of real guests, and what its agent is told. */
export const REAL = 'real-1';
const QEMU = 'compute_driver = qemu\n';
/** Not a part: one of the guests' processes, ended from outside. */
const EMULATOR = 'emulator';
const WEIGHTS: Readonly<Record<string, number>> = { api: 2, 'conductor-1': 3, 'conductor-2': 3, scheduler: 1 };

export async function openChaosCloud(options: CloudOptions): Promise<ChaosCloud> {
  const [broker, database] = await Promise.all([
    startRabbitmq(),
    options.engine === 'mariadb' ? startMariadb() : options.engine === 'postgres' ? startPostgres() : undefined,
  ]);
  const servers: Readonly<Record<string, PrivateServer>> = { broker, ...(database ? { database } : {}) };
  const own = mkdtempSync(join(tmpdir(), 'kilonova-chaos-'));
  const databaseUrl = database?.url ?? `sqlite:///${join(own, 'cloud.db')}`;
  const house = await openPartsHouse({
    databaseUrl,
    brokerUrl: broker.url,
    config: {
      DEFAULT: [
        'report_interval = 2',
        'sync_power_state_interval = 5',
        `reclaim_instance_interval = ${options.softDelete ? 3600 : 0}`,
        'allow_resize_to_same_host = true',
        // A guest that boots does not hear the power button.
        ...(options.guests > 0 ? ['shutdown_timeout = 4'] : []),
      ],
      quota: ['instances = 24', 'cores = 36', 'ram = 30000', 'server_groups = 6'],
      kilonova: ['fake_host_vcpus = 12', 'fake_host_memory_mb = 16384', 'fake_host_disk_gb = 400'],
    },
  });
  const fakes = Array.from({ length: options.hosts }, (_none, at) => `host-${at + 1}`);
  const hosts = options.guests > 0 ? [...fakes, REAL] : fakes;
  const isAgent = (name: string) => hosts.includes(name);
  const begin = (name: string) =>
    isAgent(name)
      ? house.begin('agent', { as: name, extra: `[DEFAULT]\nhost = ${name}\n${name === REAL ? QEMU : ''}` })
      : house.begin(PARTS[name] ?? 'api', { as: name, ...(name.startsWith('conductor') ? { extra: `[DEFAULT]\nhost = ${name}\n` } : {}) });
  const names = [...Object.keys(PARTS), ...hosts];
  const started = names.map(begin);
  await Promise.all(started.map((one) => one.ready()));
  const db = await openDatabase({ url: databaseUrl });
  let emulatorsEnded = 0;
  const away = new Set<string>();
  const real = options.guests > 0 ? realHost(house.dataDir(REAL)) : undefined;
  const files = hostFiles((host) => house.dataDir(host));
  const isDead = (one: Running | undefined) => !one || one.child.exitCode !== null || one.child.signalCode !== null;
  const cloud: ChaosCloud = {
    dir: own,
    house,
    db,
    hosts,
    victims: [
      ...Object.keys(PARTS).map((name) => ({ name, weight: WEIGHTS[name] ?? 1, kind: 'part' as const })),
      ...hosts.map((name) => ({ name, weight: 3, kind: 'agent' as const })),
      ...(real ? [{ name: EMULATOR, weight: 3, kind: 'server' as const }] : []),
      ...(options.outside
        ? Object.keys(servers).map((name) => ({ name, weight: name === 'broker' ? 0.5 : 1, kind: 'server' as const }))
        : []),
    ],
    real,
    emulatorsEnded: () => emulatorsEnded,
    isUp: (name) => name === EMULATOR || (servers[name] ? !away.has(name) : !isDead(house.running.get(name))),
    async end(name, how) {
      if (name === EMULATOR) {
        const one = real?.emulators().at(-1);
        if (!one) return;
        process.kill(one.pid, 'SIGKILL');
        emulatorsEnded++;
        return;
      }
      away.add(name);
      const server = servers[name];
      const part = house.running.get(name);
      if (server) await server.kill();
      else if (how === 'kill') await part?.kill();
      else await part?.stop();
    },
    freeze(name, on) {
      house.running.get(name)?.child.kill(on ? 'SIGSTOP' : 'SIGCONT');
    },
    async start(name) {
      if (name === EMULATOR) return; // its agent notices
      const server = servers[name];
      if (server) await server.restart();
      else if (isDead(house.running.get(name))) await begin(name).ready(90_000);
      away.delete(name);
    },
    guestsOf: (host) => (host === REAL && real ? real.guests() : files.guestsOf(host)),
    journalOf: files.journalOf,
    async stop() {
      const codes = await house.stop();
      return Object.entries(codes).flatMap(([name, code]) => (code === 0 ? [] : [`${name} ended with ${code} when it was told to stop`]));
    },
    async remove() {
      await db.close();
      await Promise.all([...house.running.values()].map((part) => isDead(part) || part.kill()));
      if (real) endEmulators(real);
      await house.remove();
      rmSync(own, { recursive: true, force: true });
      await Promise.all(Object.values(servers).map((server) => server.stop()));
    },
  };
  return cloud;
}
