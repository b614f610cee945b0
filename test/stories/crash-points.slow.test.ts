import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

const child = join(import.meta.dirname, 'crash-child.ts');
/** Runs the core until it ends or is killed after so many milliseconds. */
const run = (dir: string, point: string, killAfterMs?: number) =>
  new Promise<{ signal: string | null; out: string; err: string }>((resolve) => {
    const process_ = spawn(process.execPath, [child, dir, point], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [out, err] = ['', ''];
    process_.stdout.on('data', (data) => {
      out += data;
    });
    process_.stderr.on('data', (data) => {
      err += data;
    });
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => process_.kill('SIGKILL'), killAfterMs);
    process_.on('exit', (_code, signal) => {
      clearTimeout(timer);
      resolve({ signal, out, err });
    });
  });

/** Each kind of job, killed at the same point twice; `test/chaos/crash-points.slow.test.ts` strikes every point of every story once. */
const points = [
  'build-server.place.middle',
  'build-server.build.middle',
  'agent.spawn.after',
  'act-on-server.act.middle',
  'snapshot-server.upload.middle',
  'rebuild-server.rebuild.middle',
  'delete-server.destroy.middle',
];

for (const point of points)
  test(`killed at ${point}, and again at ${point}: a third process brings everything to its end`, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'kilonova-crash-'));
    try {
      const first = await run(dir, point);
      assert.equal(first.signal, 'SIGKILL', `the point was never reached: ${first.out} ${first.err}`);
      await run(dir, point);
      const last = await run(dir, '-');
      assert.equal(last.signal, null);
      const seen = JSON.parse(last.out || `{"wrong":${JSON.stringify([last.err])}}`);
      const { images, ...rest } = seen;
      assert.deepEqual(rest, { wrong: [], states: ['stopped', 'deleted', 'active'], faults: [null, null, null] });
      assert.ok(images.length >= 2 && images.every((status: string) => status === 'active'), `${images}`);
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

test('killed at any moment, a dozen times over: nothing is left half', async () => {
  for (let round = 0; round < 3; round++) {
    const dir = mkdtempSync(join(tmpdir(), 'kilonova-crash-'));
    try {
      for (let kill = 0; kill < 4; kill++) await run(dir, '-', 500 + ((round * 7 + kill * 13) % 12) * 60);
      const last = await run(dir, '-');
      const seen = JSON.parse(last.out || `{"wrong":${JSON.stringify([last.err])}}`);
      assert.deepEqual(seen.wrong, []);
      assert.deepEqual(seen.states, ['stopped', 'deleted', 'active']);
    } finally {
      rmSync(dir, { recursive: true });
    }
  }
});
