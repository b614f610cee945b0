import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loginAs, waitFor } from '../house/running.ts';
import { bootServer, conditions } from './cloud.ts';
import { figure, percentile } from './figure.ts';

const ROOT = join(import.meta.dirname, '../..');
/** As the launcher starts it. */
const FLAGS = ['--max-semi-space-size=4', '--disable-warning=ExperimentalWarning', join(ROOT, 'src/cli/main.ts')];
const ENV = { ...process.env, NODE_COMPILE_CACHE: join(ROOT, 'node_modules/.cache/kilonova') };
const RUNS = 5;

/** Start of `up` on an empty data dir, and again on the same one: to the first 200 of an API, to the first ACTIVE; and what it takes of memory
 *  when idle. Compiled code is there already, as after any start of this version. */
export async function benchStart(): Promise<void> {
  const warmUp = mkdtempSync(join(tmpdir(), 'kilonova-bench-'));
  await startOnce(warmUp);
  rmSync(warmUp, { recursive: true, force: true });
  const first: Started[] = [];
  const again: Started[] = [];
  for (let run = 0; run < RUNS; run++) {
    const dataDir = mkdtempSync(join(tmpdir(), 'kilonova-bench-'));
    try {
      first.push(await startOnce(dataDir));
      again.push(await startOnce(dataDir));
    } finally {
      rmSync(dataDir, { recursive: true, force: true });
    }
  }
  const common = { ...conditions, runs: RUNS, statistic: 'median', launcher: "node with the launcher's flags", compiledCode: 'kept' };
  const median = (runs: readonly Started[], of: keyof Started) =>
    percentile(
      runs.map((run) => run[of]),
      0.5,
    );
  figure('start.first_200', median(first, 'first200'), 'ms', { ...common, dataDir: 'empty' });
  figure('start.first_active', median(first, 'firstActive'), 'ms', { ...common, dataDir: 'empty', hypervisor: 'fake' });
  figure('start.again_first_200', median(again, 'first200'), 'ms', { ...common, dataDir: 'of an earlier start' });
  figure('memory.idle_rss', median(first, 'idleMiB'), 'MiB', { ...common, dataDir: 'empty', after: 'one server booted, 3 s idle' });
}

interface Started {
  readonly first200: number;
  readonly firstActive: number;
  readonly idleMiB: number;
}

async function startOnce(dataDir: string): Promise<Started> {
  const start = performance.now();
  const child = spawn(process.execPath, [...FLAGS, 'up', '--data-dir', dataDir, '--port', '0', '--hypervisor', 'fake', '--no-install'], {
    stdio: 'ignore',
    env: ENV,
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  try {
    const file = join(dataDir, 'endpoint');
    await waitFor(
      () => existsSync(file),
      30_000,
      () => 'the house did not start',
      1,
    );
    const base = readFileSync(file, 'utf8').trim();
    const answer = await fetch(`${base}/v2.1/`);
    if (answer.status !== 200) throw new Error(`first answer was ${answer.status}`);
    const first200 = performance.now() - start;
    const demo = await loginAs(base, dataDir, 'demo');
    await bootServer(demo, 'first');
    const firstActive = performance.now() - start;
    await new Promise((resolve) => setTimeout(resolve, 3000)); // idle is measured after the first work has settled
    return { first200, firstActive, idleMiB: residentMiB(child.pid ?? 0) };
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

export function residentMiB(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? Number.NaN) / 1024;
}
