import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { PartName } from '../../src/cloud/one-service.ts';
import type { Database } from '../../src/db/engine.ts';
import { openDatabase } from '../../src/db/open.ts';
import { openPartsHouse } from '../house/parts.ts';
import { waitFor } from '../house/running.ts';
import { startRabbitmq } from '../servers/rabbitmq.ts';
import { askerFor } from './asker.ts';
import { hostFiles } from './host-files.ts';
import { endEmulators, offerTinyGuest, realHost } from './real-host.ts';
import { auditAll, leftovers, patiently, unrest, wipe } from './settle.ts';

const children = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL');
});

interface Part {
  readonly child: ChildProcess;
  readonly points: string[];
  output(): string;
  dead(): boolean;
}

/** A cloud whose conductor and agents can be told to die at a named point, and are followed by others at once. `guests`: one host of real guests instead
 *  of three fake ones. */
export async function openCrashHouse({ guests = false } = {}) {
  const hosts = guests ? ['host-1'] : ['host-1', 'host-2', 'host-3'];
  const wrong: string[] = [];
  const broker = await startRabbitmq();
  const house = await openPartsHouse({
    // In the dir of the API, which is made before anybody opens it.
    databaseUrl: 'sqlite:///cloud.db',
    brokerUrl: broker.url,
    config: {
      DEFAULT: [
        ...['report_interval = 1', 'sync_power_state_interval = 2', 'shelved_offload_time = 0'],
        ...(guests ? ['allow_resize_to_same_host = true', 'shutdown_timeout = 4'] : ['allow_resize_to_same_host = false']),
      ],
      quota: ['instances = -1', 'cores = -1', 'ram = -1'],
    },
  });
  // One file for all, wherever they run.
  const databasePath = join(house.dir, 'cloud.db');
  const config = join(house.dir, 'nova.conf');
  const whole = readFileSync(config, 'utf8').replace('sqlite:///cloud.db', `sqlite:///${databasePath}`);
  writeFileSync(config, whole);

  const load = (): Part => {
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(import.meta.dirname, 'point-child.ts')], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    children.add(child);
    child.once('exit', () => children.delete(child));
    let output = '';
    const points: string[] = [];
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk;
      for (const [, point] of chunk.toString().matchAll(/^point (\S+)$/gm)) points.push(point ?? '');
    });
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk));
    child.stdin?.on('error', () => undefined); // it died
    return { child, points, output: () => output, dead: () => child.exitCode !== null || child.signalCode !== null };
  };
  let next = load();
  const running = new Map<string, Part>();
  const go = async (name: string, part: PartName) => {
    const one = next;
    next = load();
    mkdirSync(house.dataDir(name), { recursive: true });
    const own = join(house.dir, `${name}.conf`);
    writeFileSync(own, `${whole}\n[DEFAULT]\nhost = ${name}\n${guests && part === 'agent' ? 'compute_driver = qemu\n' : ''}`);
    running.set(name, one);
    one.child.stdin?.write(`go ${JSON.stringify({ part, config: own, dataDir: house.dataDir(name) })}\n`);
    await waitFor(
      () => one.output().includes(`: ${part} ready`) || one.dead(),
      60_000,
      () => `${name} is not ready:\n${one.output()}`,
      5,
    );
    if (one.dead()) throw new Error(`${name} ended: ${one.output()}`);
  };
  const partOf = (name: string): PartName => (name.startsWith('host') ? 'agent' : 'conductor');
  await Promise.all([house.start('api'), house.start('scheduler'), go('conductor', 'conductor')]);
  for (const host of hosts) await go(host, 'agent');
  const db: Database = await openDatabase({ url: `sqlite:///${databasePath}` });
  const [demo, admin] = await Promise.all([
    askerFor(house.base, house.dataDir('api'), 'demo', (what) => wrong.push(what)),
    askerFor(house.base, house.dataDir('api'), 'admin', (what) => wrong.push(what)),
  ]);
  const project = (await demo.ask('GET', '/identity/v3/auth/projects')).body.projects?.[0]?.id;
  await admin.ask('PUT', `/volume/v3/os-quota-sets/${project}`, { quota_set: { volumes: -1, snapshots: -1, gigabytes: -1 } });
  await admin.ask('PUT', `/network/v2.0/quotas/${project}`, { quota: { port: -1 } });
  const images: { id: string }[] = (await demo.ask('GET', '/image/v2/images')).body.images;
  const networks: { id: string; 'router:external': boolean }[] = (await demo.ask('GET', '/network/v2.0/networks')).body.networks;

  const real = guests ? realHost(house.dataDir('host-1')) : undefined;
  const files = hostFiles((host) => house.dataDir(host));
  const guestsOf = (host: string) => real?.guests() ?? files.guestsOf(host);
  const looked = { db, hosts, house, guestsOf, journalOf: files.journalOf, real };
  const crash = {
    db,
    demo,
    admin,
    wrong,
    real,
    image: guests ? await offerTinyGuest(admin) : (images[0]?.id ?? ''),
    network: networks.find((one) => !one['router:external'])?.id ?? '',
    /** From now on the first part that comes there dies. */
    arm(point: string) {
      for (const part of running.values()) part.child.stdin?.write(`arm ${point}\n`);
    },
    /** Points that were passed since the last call. */
    passed(): string[] {
      return [...running.values()].flatMap((part) => part.points.splice(0));
    },
    /** Ends one at once; `back` brings it again. */
    async kill(name: string) {
      running.get(name)?.child.kill('SIGKILL');
      await waitFor(
        () => running.get(name)?.dead() ?? true,
        10_000,
        () => `${name} does not die`,
        1,
      );
    },
    /** Whoever died is followed by another; answers their names. */
    async back(): Promise<string[]> {
      const dead = [...running].filter(([, part]) => part.dead()).map(([name]) => name);
      for (const name of dead) await go(name, partOf(name));
      return dead;
    },
    /** Waits until everything has come to its end, bringing back who dies on the way; answers who did. */
    async rest(ms = 60_000): Promise<string[]> {
      const died: string[] = [];
      const left = await patiently(
        async () => {
          died.push(...(await crash.back()));
          return unrest(looked);
        },
        ms,
        20,
      );
      if (left.length > 0) throw new Error(`no rest: ${left.join('\n')}`);
      died.push(...(await crash.back()));
      return died;
    },
    /** Servers whose guests shall be on. */
    running: () => db.read.selectFrom('servers').select('uuid').where('deleted', '=', 0).where('vm_state', '=', 'active').execute(),
    audit: (ms = 15_000) => patiently(() => auditAll(looked), ms, 50),
    async wipe(): Promise<string[]> {
      const left = await wipe(looked, demo, admin, { images: new Set(images.map((one) => one.id)), volumes: new Set() });
      return left.length > 0 ? left : patiently(() => leftovers(looked), 20_000, 100);
    },
    async close() {
      await db.close();
      next.child.kill('SIGKILL');
      for (const part of running.values()) part.child.kill('SIGKILL');
      await waitFor(
        () => [...running.values()].every((part) => part.dead()),
        10_000,
        () => 'a part does not die',
        5,
      );
      if (real) endEmulators(real);
      await house.remove();
      await broker.stop();
    },
  };
  return crash;
}
export type CrashHouse = Awaited<ReturnType<typeof openCrashHouse>>;
