import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findProgram } from '../requires.ts';

/** A server of our own for one test file, on a free port and in a temporary folder. */
export interface PrivateServer {
  readonly url: string;
  readonly dir: string;
  /** Ends it in order and removes its folder. */
  stop(): Promise<void>;
  /** Ends it as kill -9 does; `restart` brings it back with its data. */
  kill(): Promise<void>;
  /** Starts it again on the same port, after `kill` or by ending it in order first. */
  restart(): Promise<void>;
  /** Lets it hang with its sockets open, until `resume`. */
  pause(): void;
  resume(): void;
}
export interface Recipe {
  readonly name: string;
  readonly url: string;
  readonly dir: string;
  readonly command: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  /** Whether it takes work now; a throw means "not yet". */
  readonly ready: () => Promise<boolean>;
  readonly endSignal?: NodeJS.Signals;
  readonly startMs?: number;
}

const running = new Set<ChildProcess>();
const folders = new Set<string>();
// The last resort for a test that never came to its end; a test process killed outright is covered by setpriv's parent-death signal.
process.on('exit', () => {
  for (const child of running) signalGroup(child, 'SIGKILL');
  for (const dir of folders) {
    try {
      rmSync(dir, { recursive: true, force: true });
    } catch {
      // in use by something that outlives us; the temporary folder's own cleaner takes it
    }
  }
});

/** A folder that servers of another user may enter; removed with the process at the latest. */
export function serverFolder(name: string): string {
  const dir = mkdtempSync(join(tmpdir(), `kilonova-${name}-`));
  chmodSync(dir, 0o755);
  folders.add(dir);
  return dir;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** Runs a program to its end; throws with what it said. */
export async function run(command: readonly string[], env?: NodeJS.ProcessEnv): Promise<void> {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], ...(env ? { env } : {}) });
  let said = '';
  child.stdout.on('data', (text) => (said += text));
  child.stderr.on('data', (text) => (said += text));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${said.slice(-2000)}`);
}

/** Starts a program in its own process group, that ends when we end. */
export function startChild(
  command: readonly string[],
  logFile: string,
  more: { env?: NodeJS.ProcessEnv; deathSignal?: string } = {},
): ChildProcess {
  const setpriv = findProgram('setpriv');
  const full = setpriv ? [setpriv, '--pdeathsig', more.deathSignal ?? 'KILL', ...command] : command;
  const log = openSync(logFile, 'a');
  const child = spawn(full[0]!, full.slice(1), { detached: true, stdio: ['ignore', log, log], ...(more.env ? { env: more.env } : {}) });
  closeSync(log);
  running.add(child);
  child.once('exit', () => running.delete(child));
  return child;
}

export async function endChild(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  if (signal === 'SIGKILL') signalGroup(child, signal);
  else child.kill(signal);
  const late = setTimeout(() => signalGroup(child, 'SIGKILL'), 20_000);
  await gone;
  clearTimeout(late);
}

/** PostgreSQL's workers leave the group, so the children are told one by one too. */
function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  let children: number[] = [];
  try {
    children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    // it ended, or this is no Linux
  }
  for (const pid of [-child.pid, ...children]) {
    try {
      process.kill(pid, signal);
      // a stop takes effect some time after the call
      while (signal === 'SIGSTOP' && / [RSD] /.test(readFileSync(`/proc/${Math.abs(pid)}/stat`, 'utf8').replace(/.*\)/, '')));
    } catch {
      // it ended by itself meanwhile
    }
  }
}

export async function privateServer(recipe: Recipe): Promise<PrivateServer> {
  const logFile = join(recipe.dir, 'server.log');
  let child: ChildProcess | undefined;
  const start = async () => {
    const mine = startChild(recipe.command, logFile, {
      ...(recipe.env ? { env: recipe.env } : {}),
      deathSignal: recipe.endSignal === 'SIGTERM' ? 'TERM' : 'KILL',
    });
    child = mine;
    const until = performance.now() + (recipe.startMs ?? 30_000);
    for (;;) {
      if (await recipe.ready().catch(() => false)) return;
      if (mine.exitCode !== null || mine.signalCode !== null || performance.now() > until) {
        signalGroup(mine, 'SIGKILL');
        throw new Error(`${recipe.name} did not start: ${readFileSync(logFile, 'utf8').slice(-3000)}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  await start();
  return {
    url: recipe.url,
    dir: recipe.dir,
    async stop() {
      if (child) {
        signalGroup(child, 'SIGCONT');
        await endChild(child, recipe.endSignal ?? 'SIGTERM');
        signalGroup(child, 'SIGKILL'); // what it left behind in its group
      }
      rmSync(recipe.dir, { recursive: true, force: true, maxRetries: 5 });
      folders.delete(recipe.dir);
    },
    async kill() {
      if (child) await endChild(child, 'SIGKILL');
    },
    async restart() {
      if (child) await endChild(child, recipe.endSignal ?? 'SIGTERM');
      await start();
    },
    pause: () => child && signalGroup(child, 'SIGSTOP'),
    resume: () => child && signalGroup(child, 'SIGCONT'),
  };
}
