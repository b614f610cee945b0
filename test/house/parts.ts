import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../servers/private-server.ts';
import { type Client, loginAs, waitFor } from './running.ts';

export type PartName = 'api' | 'conductor' | 'scheduler' | 'agent' | 'metadata';
const alive = new Set<ChildProcess>();
// The last resort for a test that never came to its end.
process.on('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

/** A cloud of separate processes, each with a data dir of its own, as an operator runs them. */
export interface PartsHouse {
  readonly base: string;
  readonly dir: string;
  /** Starts a part; resolves at once. `as` names one of several of a kind. */
  begin(part: PartName, more?: { as?: string; args?: readonly string[]; extra?: string; env?: Readonly<Record<string, string>> }): Running;
  /** Starts a part and waits until it says that it is ready. */
  start(part: PartName, more?: { as?: string; args?: readonly string[]; extra?: string }): Promise<Running>;
  readonly running: ReadonlyMap<string, Running>;
  dataDir(as: string): string;
  /** Log lines of a part that warn of something. */
  troubles(as: string): string[];
  as(user: 'admin' | 'demo'): Promise<Client>;
  /** Ends all parts, in any order at once; answers their exit codes by name. */
  stop(): Promise<Record<string, number | null>>;
  remove(): Promise<void>;
}
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  output(): string;
  ready(ms?: number): Promise<void>;
  kill(): Promise<void>;
  /** SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
}

export async function openPartsHouse(options: {
  databaseUrl: string;
  brokerUrl: string;
  /** More lines of nova.conf, by section. */
  config?: Readonly<Record<string, readonly string[]>>;
}): Promise<PartsHouse> {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-parts-'));
  const port = await freePort();
  const metadataPort = await freePort();
  const base = `http://127.0.0.1:${port}`;
  const write = (extra: string) => {
    const sections: Record<string, string[]> = {
      DEFAULT: [
        `transport_url = ${options.brokerUrl}`,
        'compute_driver = fake',
        `osapi_compute_listen_port = ${port}`,
        `metadata_listen_port = ${metadataPort}`,
        'enabled_apis = osapi_compute',
      ],
      database: [`connection = ${options.databaseUrl}`],
      keystone_authtoken: [`auth_url = ${base}/identity`, 'password = service-secret'],
      neutron: ['metadata_proxy_shared_secret = shared-secret'],
    };
    for (const [section, lines] of Object.entries(options.config ?? {})) sections[section] = [...(sections[section] ?? []), ...lines];
    const text = Object.entries(sections).map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`);
    const path = join(dir, extra === '' ? 'nova.conf' : `nova-${sequence++}.conf`);
    writeFileSync(path, `${text.join('')}${extra}\n`);
    return path;
  };
  let sequence = 0;
  const config = write('');
  const running = new Map<string, Running>();
  const dataDir = (as: string) => join(dir, as);
  const house: PartsHouse = {
    base,
    dir,
    running,
    dataDir,
    begin(part, more = {}) {
      const as = more.as ?? part;
      mkdirSync(dataDir(as), { recursive: true });
      const file = more.extra ? write(more.extra) : config;
      const args = [part, '--config', file, '--data-dir', dataDir(as), ...(more.args ?? [])];
      const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { ...process.env, ...more.env },
      });
      alive.add(child);
      child.once('exit', () => alive.delete(child));
      let output = '';
      child.stdout?.on('data', (chunk: Buffer) => (output += chunk));
      child.stderr?.on('data', (chunk: Buffer) => (output += chunk));
      const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
      const isDead = () => child.exitCode !== null || child.signalCode !== null;
      const one: Running = {
        child,
        ended,
        output: () => output,
        async ready(ms = 60_000) {
          await waitFor(
            () => new RegExp(`: ${part} ready`).test(output) || isDead(),
            ms,
            () => `${as} is not ready:\n${output}`,
            5,
          );
          if (isDead()) throw new Error(`${as} ended with ${child.exitCode}:\n${output}`);
        },
        async kill() {
          child.kill('SIGKILL');
          await ended;
        },
        async stop() {
          child.kill('SIGTERM');
          return ended;
        },
      };
      running.set(as, one);
      return one;
    },
    async start(part, more = {}) {
      const one = house.begin(part, more);
      await one.ready();
      return one;
    },
    troubles: (as) =>
      ['api', 'conductor', 'scheduler', 'agent', 'metadata']
        .flatMap((name) => {
          try {
            return readFileSync(join(dataDir(as), `${name}.log`), 'utf8').split('\n');
          } catch {
            return [];
          }
        })
        .filter((line) => /"level":(40|50|60)/.test(line)),
    as: (user) => loginAs(base, dataDir('api'), user),
    async stop() {
      const ends = await Promise.all([...running].map(async ([as, one]) => [as, await one.stop()] as const));
      return Object.fromEntries(ends);
    },
    async remove() {
      for (const one of running.values()) if (one.child.exitCode === null && one.child.signalCode === null) await one.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return house;
}
