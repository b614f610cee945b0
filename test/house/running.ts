import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Neighbour, neighbour } from '../../src/clients/neighbour.ts';
import { placeTables } from '../support/fresh-database.ts';
import { placeTinyImage } from '../support/tiny-image.ts';

/** A whole cloud in a process of its own, as a user starts it. */
export interface House {
  readonly dataDir: string;
  readonly base: string;
  readonly child: ChildProcess;
  /** What it printed so far. */
  output(): string;
  /** Milliseconds from the start of the process to the `endpoint` file. */
  readonly startMs: number;
  as(user: 'admin' | 'demo'): Promise<Client>;
  /** SIGTERM, and waits for the end; answers the exit status. */
  stop(): Promise<number | null>;
  /** SIGKILL. The data dir stays. */
  kill(): Promise<void>;
  remove(): Promise<void>;
}
export interface Client {
  readonly compute: Neighbour;
  readonly image: Neighbour;
  readonly network: Neighbour;
  readonly identity: Neighbour;
  readonly volume: Neighbour;
  readonly token: string;
}

const MAIN = join(import.meta.dirname, '../../src/cli/main.ts');

/** Starts `kilonova up` with a fake hypervisor unless told, on free ports, and waits until it is ready. */
export async function startHouse(
  more: { args?: readonly string[]; dataDir?: string; env?: Readonly<Record<string, string>>; command?: string } = {},
): Promise<House> {
  const dataDir = more.dataDir ?? mkdtempSync(join(tmpdir(), 'kilonova-house-'));
  const args = more.args ?? ['--hypervisor', 'fake'];
  if (!more.dataDir) await placeTables(join(dataDir, 'cloud.db')); // its own making of them has tests of its own
  if (args.includes('qemu') && !args.includes('--image')) await placeTinyImage(dataDir);
  const start = performance.now();
  const child = spawn(
    process.execPath,
    [
      '--max-semi-space-size=4',
      '--disable-warning=ExperimentalWarning',
      MAIN,
      more.command ?? 'up',
      '--data-dir',
      dataDir,
      '--port',
      '0',
      '--no-install',
      ...args,
    ],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...more.env },
    },
  );
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk));
  child.stderr?.on('data', (chunk: Buffer) => (output += chunk));
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const endpoint = join(dataDir, 'endpoint');
  const stale = existsSync(endpoint) ? statSync(endpoint).ino : undefined; // a killed cloud leaves one behind
  await waitFor(
    () => (statSync(endpoint, { throwIfNoEntry: false })?.ino ?? stale) !== stale || child.exitCode !== null,
    60_000,
    () => `the house did not start:\n${output}`,
    5,
  );
  if (child.exitCode !== null) throw new Error(`the house ended with ${child.exitCode}:\n${output}`);
  const startMs = performance.now() - start;
  const base = readFileSync(endpoint, 'utf8').trim();
  return {
    dataDir,
    base,
    child,
    startMs,
    output: () => output,
    as: (user) => loginAs(base, dataDir, user),
    async stop() {
      child.kill('SIGTERM');
      return ended;
    },
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async remove() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await ended;
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Runs `kilonova` to its end; answers its status and all it said. It gets `signal` as soon as `until` holds, and is killed after `ms`. */
export async function runKilonova(
  args: readonly string[],
  more: { env?: NodeJS.ProcessEnv; uid?: number; ms?: number; until?: () => boolean; signal?: NodeJS.Signals } = {},
): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...more.env },
    ...(more.uid === undefined ? {} : { uid: more.uid }),
  });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk));
  child.stderr.on('data', (chunk: Buffer) => (output += chunk));
  const closed = once(child, 'close') as Promise<[number | null]>;
  const late = setTimeout(() => child.kill('SIGKILL'), more.ms ?? 30_000);
  const { until, signal } = more;
  if (until && signal)
    await waitFor(
      () => until() || child.exitCode !== null,
      30_000,
      () => `the moment for ${signal} never came:\n${output}`,
      1,
    ).finally(() => child.kill(signal));
  const [status] = await closed;
  clearTimeout(late);
  return { status, output };
}

export async function loginAs(base: string, dataDir: string, user: 'admin' | 'demo'): Promise<Client> {
  const secrets: unknown = JSON.parse(readFileSync(join(dataDir, 'secrets.json'), 'utf8'));
  const password = (secrets as Record<string, string>)[`${user}Password`];
  const domain = { name: 'Default' };
  const answer = await neighbour({ service: 'identity', url: `${base}/identity` }).ask('POST', '/v3/auth/tokens', {
    body: {
      auth: {
        identity: { methods: ['password'], password: { user: { name: user, domain, password } } },
        scope: { project: { name: user, domain } },
      },
    },
  });
  const held = answer.headers['x-subject-token'] ?? '';
  const token = async () => held;
  return {
    token: held,
    compute: neighbour({ service: 'compute', url: `${base}/v2.1`, token }),
    image: neighbour({ service: 'image', url: `${base}/image`, token }),
    network: neighbour({ service: 'network', url: `${base}/network`, token }),
    identity: neighbour({ service: 'identity', url: `${base}/identity`, token }),
    volume: neighbour({ service: 'volume', url: `${base}/volume/v3`, token }),
  };
}

/** Waits until the condition holds; throws the sentence after `ms`. */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  ms: number,
  sentence: () => string,
  everyMs = 20,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(sentence());
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
