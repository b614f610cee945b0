// Runs the test files of one speed: `fast` (no suffix), `slow` (*.slow.test.ts), or `test`: fast ones, and slow ones too where MUST_RUN requires them.
// Extra words choose files by part of their path.
import { spawn } from 'node:child_process';
import { accessSync, constants, globSync, statfsSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

const FILES_TOGETHER = 5;

const [asked = 'fast', ...words] = process.argv.slice(2);
if (asked === 'test') {
  const fast = await again('fast');
  process.exit(fast !== 0 || !process.env.MUST_RUN ? fast : await again('slow'));
}
const slow = asked === 'slow';
const files = globSync(['src/**/*.test.ts', 'test/**/*.test.ts'])
  .filter((file) => file.endsWith('.slow.test.ts') === slow)
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`no ${asked} test file matches ${words.join(' ')}`);
  process.exit(2);
}
// Fast files share processes, a dozen or so in each: starting one for each costs more than the tests, and in a process with hundreds every test gets
// slower, as the runner follows all that each of them began. Slow files get one each: they start servers and guests of their own. Two at a time, as
// most of each is waiting for one of these.
const groups = slow ? files.map((file) => [file]) : deal(files, Math.ceil(files.length / FILES_TOGETHER));
const flags = ['--test-isolation=none', `--test-timeout=${slow ? 900_000 : 60_000}`];
/** One more than cores for fast ones: they wait for timers and processes too. */
const lanes = slow ? Number(process.env.SLOW_LANES ?? Math.min(2, availableParallelism())) : Math.min(4, availableParallelism() + 1);
/** What Node made of our sources is kept between processes and runs: 0.3 s of each process. */
const env: NodeJS.ProcessEnv = { NODE_COMPILE_CACHE: join(import.meta.dirname, '../node_modules/.cache/kilonova-tests'), ...process.env };
// Fast tests write little and often: in memory they wait for no disk. Slow ones write guests' disks, and where those really are.
if (!slow && hasRoom('/dev/shm', 4)) env.TMPDIR ??= '/dev/shm';
const waiting = [...groups];
const failed: string[] = [];
let worst = 0;
const total = { tests: 0, pass: 0, fail: 0, skipped: 0 };
await Promise.all(
  Array.from({ length: lanes }, async () => {
    for (let group = waiting.shift(); group; group = waiting.shift()) worst = Math.max(worst, await run(group));
  }),
);
if (groups.length > 1)
  console.log(
    Object.entries(total)
      .map(([name, count]) => `ℹ all ${name} ${count}`)
      .join('\n'),
  );
if (failed.length > 0) console.log(`failed:\n${failed.join('\n')}`); // again and last: nobody reads a thousand lines
process.exit(worst === 0 ? 0 : 1);

function hasRoom(dir: string, gib: number): boolean {
  try {
    const { bavail, bsize } = statfsSync(dir);
    accessSync(dir, constants.W_OK);
    return bavail * bsize > gib * 2 ** 30;
  } catch {
    return false;
  }
}

function again(speed: 'fast' | 'slow'): Promise<number> {
  const child = spawn(process.execPath, [import.meta.filename, speed, ...words], { stdio: 'inherit' });
  return new Promise((resolve) => child.on('close', (code) => resolve(code ?? 1)));
}

/** Largest files first, each to the group that has least so far. */
function deal(all: readonly string[], count: number): string[][] {
  const dealt = Array.from({ length: count }, () => ({ size: 0, files: [] as string[] }));
  const sized = all.map((file) => ({ file, size: statSync(file).size })).sort((a, b) => b.size - a.size);
  for (const { file, size } of sized) {
    const least = dealt.reduce((a, b) => (b.size < a.size ? b : a));
    least.files.push(file);
    least.size += size;
  }
  return dealt.map((group) => group.files.sort());
}

function run(group: readonly string[]): Promise<number> {
  const alone = groups.length === 1;
  const child = spawn(process.execPath, ['--test', '--test-force-exit', ...flags, ...group], {
    stdio: ['ignore', alone ? 'inherit' : 'pipe', 'inherit'],
    env,
  });
  let output = '';
  const began = performance.now();
  child.stdout?.on('data', (chunk: Buffer) => {
    output += chunk;
  });
  return new Promise((resolve) =>
    child.on('close', (code) => {
      if (output) process.stdout.write(output); // whole, so that two reports do not mix
      if (slow) console.log(`ℹ file ${group[0]} ${((performance.now() - began) / 1000).toFixed(0)} s`);
      for (const name of Object.keys(total) as (keyof typeof total)[])
        total[name] += Number(output.match(new RegExp(`^ℹ ${name} (\\d+)$`, 'm'))?.[1] ?? 0);
      const list = output.indexOf('✖ failing tests:');
      if (list >= 0) failed.push(output.slice(list).split('\n').slice(1).join('\n').trim());
      else if (code !== 0 && !alone) failed.push(`exit code ${code} of ${group.join(' ')}`);
      resolve(code ?? 1);
    }),
  );
}
