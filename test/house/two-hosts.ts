import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startRabbitmq } from '../servers/rabbitmq.ts';
import { type Client, type House, startHouse, waitFor } from './running.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests read bodies of every form
type Any = any;
const run = promisify(execFile);
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');
const AT = { 'openstack-api-version': 'compute 2.89' };

export interface HostProcess {
  readonly child: ChildProcess;
  readonly dataDir: string;
  output(): string;
  ended: Promise<number | null>;
}

type Sections = Readonly<Record<string, readonly string[]>>;
/** A cloud with two hosts of real guests: `kilonova up` with host `one` in it, and an agent for host `two` in a process of its own, on one broker. */
export async function openTwoHosts(more: { config?: Sections; one?: Sections } = {}) {
  const broker = await startRabbitmq();
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-two-'));
  const lines = (...sections: Sections[]) => {
    const all: Record<string, string[]> = {};
    for (const part of [...sections, more.config ?? {}])
      for (const [name, words] of Object.entries(part)) all[name] = [...(all[name] ?? []), ...words];
    return Object.entries(all)
      .map(([name, words]) => `[${name}]\n${words.join('\n')}\n`)
      .join('');
  };
  const transport = `transport_url = ${broker.url}`;
  const common = [transport, 'compute_driver = qemu', 'report_interval = 1', 'service_down_time = 6'];
  writeFileSync(join(dir, 'one.conf'), lines({ DEFAULT: [...common, 'host = one'] }, more.one ?? {}));
  const dataDir = join(dir, 'one');
  const house: House = await startHouse({ dataDir, args: ['--hypervisor', 'qemu', '--config', join(dir, 'one.conf')] }).catch(
    async (cause) => {
      await broker.stop();
      throw cause;
    },
  );
  const hosts = new Map<string, HostProcess>();
  const beginHost = (
    name: string,
    options: { as?: string; dataDir?: string; config?: Readonly<Record<string, readonly string[]>> } = {},
  ) => {
    const as = options.as ?? name;
    const secrets = JSON.parse(readFileSync(join(dataDir, 'secrets.json'), 'utf8')) as Record<string, string>; // written by the house
    const ports = JSON.parse(readFileSync(join(dataDir, 'ports.json'), 'utf8')) as Record<string, number>;
    const file = join(dir, `${as}.conf`);
    const base = {
      DEFAULT: [...common, `host = ${name}`],
      keystone_authtoken: [`auth_url = ${house.base}/identity`, `password = ${secrets.servicePassword}`],
      neutron: [`metadata_proxy_shared_secret = ${secrets.metadataSecret}`],
      kilonova: [`metadata_url = http://127.0.0.1:${ports.metadata}`],
    };
    writeFileSync(file, lines(base, options.config ?? {}));
    const home = options.dataDir ?? join(dir, as);
    mkdirSync(home, { recursive: true });
    const args = ['--disable-warning=ExperimentalWarning', MAIN, 'agent', '--config', file, '--data-dir', home];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk));
    const host: HostProcess = {
      child,
      dataDir: home,
      output: () => output,
      ended: new Promise((resolve) => child.once('exit', (code) => resolve(code))),
    };
    hosts.set(as, host);
    return host;
  };
  const startHost = async (name: string, options: Parameters<typeof beginHost>[1] = {}) => {
    const host = beginHost(name, options);
    await waitFor(
      () => host.output().includes('agent ready') || host.child.exitCode !== null,
      60_000,
      () => `host ${name} is not ready:\n${host.output()}`,
    );
    if (host.child.exitCode !== null) throw new Error(`host ${name} ended:\n${host.output()}`);
    return host;
  };
  const endHost = async (name: string, signal: 'SIGKILL' | 'SIGTERM') => {
    const host = hosts.get(name);
    host?.child.kill(signal);
    await host?.ended;
  };
  const clients: { demo?: Client; admin?: Client } = {};
  const client = async (user: 'admin' | 'demo') => (clients[user] ??= await house.as(user));
  const ask = async (user: 'admin' | 'demo', method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<Any> =>
    (await (await client(user)).compute.ask<Any>(method, path, { headers: AT, ...(body ? { body } : {}) })).body;
  const key = join(dir, 'key');
  const places = () => [dataDir, ...new Set([...hosts.values()].map((host) => host.dataDir))];
  const emulators = () =>
    globSync('/proc/[0-9]*/cmdline').flatMap((file) => {
      try {
        const text = readFileSync(file, 'utf8');
        return text.includes('qemu-system') && text.includes(dir) ? [{ pid: Number(file.split('/')[2]), text }] : [];
      } catch {
        return []; // it ended meanwhile
      }
    });
  const two = {
    dir,
    house,
    hosts,
    client,
    ask,
    emulators,
    beginHost,
    startHost,
    killHost: (name: string) => endHost(name, 'SIGKILL'),
    stopHost: (name: string) => endHost(name, 'SIGTERM'),
    act: (server: string, body: object, user: 'admin' | 'demo' = 'demo') => ask(user, 'POST', `/servers/${server}/action`, body),
    show: async (server: string): Promise<Any> => (await ask('admin', 'GET', `/servers/${server}`)).server,
    /** Waits until a server has a status and no task. */
    async reaches(server: string, status: string, ms = 120_000): Promise<Any> {
      let seen: Any;
      let failed = '';
      const logs = () => [house.output(), ...[...hosts.values()].map((host) => host.output())].map((text) => text.slice(-800)).join('\n');
      await waitFor(
        async () => {
          seen = await two.show(server);
          const idle = seen['OS-EXT-STS:task_state'] === null;
          if (idle && seen.status !== status) failed = await two.lastError(server);
          return idle && seen.status === status;
        },
        ms,
        () => `not ${status}: ${seen?.status} ${seen?.['OS-EXT-STS:task_state']} ${JSON.stringify(seen?.fault)} ${failed}\n${logs()}`,
        50,
      );
      return seen;
    },
    /** What the newest action on a server says went wrong; nothing when all went well. */
    async lastError(server: string): Promise<string> {
      const [newest] = (await ask('admin', 'GET', `/servers/${server}/os-instance-actions`)).instanceActions;
      const { instanceAction } = await ask('admin', 'GET', `/servers/${server}/os-instance-actions/${newest.request_id}`);
      const wrong = instanceAction.events.filter((event: Any) => event.result === 'Error');
      return wrong.length === 0 ? '' : JSON.stringify([newest.action, instanceAction.message, wrong.map((event: Any) => event.details)]);
    },
    hostOf: async (server: string): Promise<string> => (await two.show(server))['OS-EXT-SRV-ATTR:host'],
    consoleOf: async (server: string): Promise<string> => (await two.act(server, { 'os-getConsoleOutput': {} })).output,
    async login(server: string, times = 1) {
      let text = '';
      await waitFor(
        async () => {
          text = await two.consoleOf(server);
          return (text.match(/^\S+ login: $/gm)?.length ?? 0) >= times;
        },
        180_000,
        () => `no login prompt: ${text.slice(-800)}`,
        200,
      );
    },
    /** The driver's record of a guest; undefined where it has none. */
    recordOf(server: string, place?: string): Any {
      for (const root of place ? [place] : places())
        for (const file of globSync(['instances', 'guests'].map((folder) => join(root, '**', folder, server, 'guest.json')))) {
          const record = JSON.parse(readFileSync(file, 'utf8'));
          if (record.process && existsSync(`/proc/${record.process.pid}`)) return record;
        }
      return undefined;
    },
    async ssh(server: string, words: string): Promise<string> {
      const port = two.recordOf(server)?.forwards[0]?.hostPort;
      const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'BatchMode=yes', 'ConnectTimeout=20', 'LogLevel=ERROR'];
      const args = ['-p', String(port), '-i', key, ...options.flatMap((option) => ['-o', option]), 'root@127.0.0.1', words];
      return (await run('ssh', args, { timeout: 60_000 })).stdout.trim();
    },
    uptime: async (server: string) => Number((await two.ssh(server, 'cat /proc/uptime')).split(' ')[0]),
    /** The tiny image, once it is offered. */
    async tiny(): Promise<string> {
      const demo = await client('demo');
      let found: Any;
      await waitFor(
        async () => {
          const { images } = (await demo.image.ask<Any>('GET', '/v2/images?status=active')).body;
          found = images.find((image: Any) => image.name === 'tiny' && image.kilonova_placeholder === undefined);
          return found !== undefined;
        },
        240_000,
        () => `the tiny image was not offered: ${house.output().slice(-800)}`,
        200,
      );
      return found.id;
    },
    /** A server, with our key in it; ACTIVE when it resolves. */
    async create(name: string, imageRef: string): Promise<string> {
      if (!existsSync(key)) {
        await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
        for (const user of ['admin', 'demo'] as const)
          await ask(user, 'POST', '/os-keypairs', { keypair: { name: 'two', public_key: readFileSync(`${key}.pub`, 'utf8').trim() } });
      }
      const server = { name, imageRef, flavorRef: '1', networks: 'auto', key_name: 'two', config_drive: true };
      const { id } = (await ask('demo', 'POST', '/servers', { server })).server;
      await two.reaches(id, 'ACTIVE', 180_000);
      return id as string;
    },
    /** The newest migration of a server reaches a status. */
    async moveIs(server: string, ...statuses: string[]): Promise<Any> {
      let seen: Any;
      await waitFor(
        async () => {
          [seen] = await two.migrations(server);
          return statuses.includes(seen?.status);
        },
        120_000,
        () => `the migration is ${JSON.stringify(seen)}`,
        20,
      );
      return seen;
    },
    migrationOf: async (server: string): Promise<Any> => (await ask('admin', 'GET', `/servers/${server}/migrations`)).migrations[0],
    migrations: async (server: string): Promise<Any[]> => (await ask('admin', 'GET', `/os-migrations?instance_uuid=${server}`)).migrations,
    /** Changes the compute service of a host. */
    async service(host: string, change: object): Promise<void> {
      const { services } = await ask('admin', 'GET', `/os-services?host=${host}&binary=nova-compute`);
      await ask('admin', 'PUT', `/os-services/${services[0].id}`, change);
    },
    /** CPUs claimed on each host. */
    async used(): Promise<Record<string, number>> {
      const headers = { 'openstack-api-version': 'compute 2.53' };
      const { hypervisors } = (await (await client('admin')).compute.ask<Any>('GET', '/os-hypervisors/detail', { headers })).body;
      return Object.fromEntries(hypervisors.map((one: Any) => [one.hypervisor_hostname, one.vcpus_used]));
    },
    async close() {
      for (const host of hosts.values()) if (host.child.exitCode === null && host.child.signalCode === null) host.child.kill('SIGKILL');
      await Promise.all([...hosts.values()].map((host) => host.ended));
      if (house.child.exitCode === null && house.child.signalCode === null) await house.kill();
      for (const { pid } of emulators())
        try {
          process.kill(pid, 'SIGKILL');
        } catch {} // it ended meanwhile
      await broker.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return two;
}
export type TwoHosts = Awaited<ReturnType<typeof openTwoHosts>>;
