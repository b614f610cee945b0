import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { waitFor } from '../house/running.ts';

const here = join(import.meta.dirname, '../..');
const offline = process.env.KILONOVA_OFFLINE ? 'there is no npm registry' : false;

describe('the launcher of a checkout', { skip: offline }, () => {
  let root: string;
  before(() => {
    root = mkdtempSync(join(tmpdir(), 'kilonova-launcher-'));
    chmodSync(root, 0o755);
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  /** What a fresh clone has. */
  const checkout = (name: string) => {
    const dir = join(root, name);
    mkdirSync(dir);
    const files = execFileSync(
      'git',
      ['ls-files', '-co', '--exclude-standard', '-z', 'kilonova', 'package.json', 'package-lock.json', '.npmrc', 'runtime', 'src'],
      { cwd: here },
    )
      .toString()
      .split('\0')
      .filter((file) => file !== '' && existsSync(join(here, file)));
    for (const file of files) cpSync(join(here, file), join(dir, file));
    return dir;
  };
  const launch = (dir: string, args: readonly string[] = ['--help'], more: { uid?: number; env?: NodeJS.ProcessEnv } = {}) => {
    const child: ChildProcess = spawn(join(dir, 'kilonova'), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...more.env },
      ...(more.uid === undefined ? {} : { uid: more.uid }),
    });
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => (output += chunk));
    child.stderr?.on('data', (chunk: Buffer) => (output += chunk));
    const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, output }));
    return { child, ended, output: () => output };
  };
  const holder = (dir: string) => {
    try {
      return readFileSync(join(dir, '.setup-lock', 'pid'), 'utf8') || undefined;
    } catch {
      return undefined; // between two holders
    }
  };
  const log = (dir: string) => readFileSync(join(dir, 'setup.log'), 'utf8');

  /** Begins a first start and waits until npm is in the middle of it. */
  const begin = async (dir: string) => {
    const first = launch(dir);
    await waitFor(
      () => existsSync(join(dir, 'node_modules')) || first.child.exitCode !== null,
      120_000,
      () => `npm never begins: ${first.output()}`,
    );
    assert.equal(existsSync(join(dir, 'node_modules', '.package-lock.json')), false);
    return first;
  };

  test('interrupted, then two at once: one goes on, the other waits; the next is quick', { timeout: 300_000 }, async () => {
    const dir = checkout('interrupted');
    const first = await begin(dir);
    process.kill(-(first.child.pid ?? 0), 'SIGINT'); // as a terminal does it: to all of them
    assert.notEqual((await first.ended).status, 0);
    assert.equal(existsSync(join(dir, '.setup-lock')), false);
    const [one, two] = await Promise.all([launch(dir).ended, launch(dir).ended]);
    for (const { status, output } of [one, two]) {
      assert.equal(status, 0, output);
      assert.match(output, /Usage: kilonova/);
    }
    assert.match(one.output + two.output, /first use, bringing npm packages and Node 24 \(log: \S+setup\.log\) \.* done/);
    assert.equal(log(dir).match(/npm ci/g)?.length, 2);
    assert.equal(existsSync(join(dir, '.setup-lock')), false);
    assert.doesNotMatch((await launch(dir).ended).output, /first use/);
    // A lock that a killed set-up left holds nobody up.
    touch(join(dir, 'package-lock.json'));
    mkdirSync(join(dir, '.setup-lock'));
    writeFileSync(join(dir, '.setup-lock', 'pid'), '999999\n');
    const stale = launch(dir);
    await waitFor(
      () => holder(dir) !== undefined && holder(dir) !== '999999\n',
      10_000,
      () => 'the stale lock stays',
    );
    stale.child.kill('SIGTERM');
    assert.equal((await stale.ended).status, 143);
    assert.equal(existsSync(join(dir, '.setup-lock')), false);
  });

  test('killed alone with SIGKILL: the next start waits for the npm that runs on, and both are one set-up', {
    timeout: 300_000,
  }, async () => {
    const dir = checkout('killed');
    const first = await begin(dir);
    first.child.kill('SIGKILL');
    await first.ended;
    const next = await launch(dir).ended;
    assert.equal(next.status, 0, next.output);
    assert.match(next.output, /Usage: kilonova/);
    assert.equal(log(dir).match(/npm ci/g)?.length, 1);
  });

  test('a checkout that cannot be written, and a machine without npm: a sentence each', async () => {
    const dir = checkout('locked');
    const without = await launch(dir, ['--help'], { env: { PATH: binWithout(root, ['dirname', 'readlink']) } }).ended;
    assert.equal(without.status, 1, without.output);
    assert.match(without.output, /kilonova: npm is missing\. Install Node\.js 20 or newer with npm, then run this again\./);
    chmodSync(dir, 0o555);
    const nobody = process.getuid?.() === 0 ? { uid: 65_534 } : {};
    const { status, output } = await launch(dir, ['--help'], nobody).ended;
    assert.equal(status, 1);
    assert.match(output, /locked is not writable, so the packages it needs cannot be installed there\./);
    chmodSync(dir, 0o755);
  });
});

/** Newer than anything that was installed. */
const touch = (file: string) => utimesSync(file, new Date(Date.now() + 60_000), new Date(Date.now() + 60_000));

/** A PATH with these programs and no others. */
function binWithout(root: string, programs: readonly string[]): string {
  const bin = join(root, 'bin');
  mkdirSync(bin);
  for (const program of programs) cpSync(execFileSync('which', [program]).toString().trim(), join(bin, program), { dereference: true });
  return bin;
}
