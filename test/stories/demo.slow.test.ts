import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runKilonova } from '../house/running.ts';
import { requires } from '../requires.ts';

/** Command lines of the processes that run now. */
const commandLines = () =>
  globSync('/proc/[0-9]*/cmdline').flatMap((file) => {
    try {
      return [readFileSync(file, 'utf8')];
    } catch {
      return []; // it ended meanwhile
    }
  });

test('the main job: from an empty data dir to a real guest at its login prompt', { skip: requires('qemu', 'tiny-image') }, async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'kilonova-demo-'));
  try {
    const { status, output } = await runKilonova(['demo', '--data-dir', dataDir, '--port', '0', '--hypervisor', 'qemu', '--no-install'], {
      ms: 280_000,
    });
    assert.equal(status, 0, output);
    for (const step of [
      /accepted/,
      /scheduled .* on .*: the best of 1 that fit/,
      /image +in \d+ ms +fetched/,
      /disk made/,
      /spawned .* ssh 127\.0\.0\.1:\d+/,
      /active +address 172\.24\.\d+\.\d+/,
      /metadata +first request/,
      /login +the guest shows its login prompt/,
      /user data: hello from user data/,
      /log in: ssh -i /,
      /the server is removed/,
    ])
      assert.match(output, step);
    assert.deepEqual(globSync(join(dataDir, 'demo-*.pem')), [], 'the key is gone with its server');
    assert.deepEqual(
      commandLines().filter((line) => line.includes('qemu-system') && line.includes(dataDir)),
      [],
      'no emulator is left',
    );
  } finally {
    rmSync(dataDir, { recursive: true, force: true });
  }
});
