import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { openLog } from './log.ts';

test('a log file is bounded: it keeps one older file beside it, both readable by their owner only', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'kilonova-log-'));
  try {
    const target = join(dir, 'a.log');
    const log = openLog({ target, maxBytes: 4000 });
    const sizes = () => readdirSync(dir).map((name) => statSync(join(dir, name)).size);
    // Between the two names there is none; and the newest line may have moved on with the older file.
    const last = () => [target, `${target}.1`].map((path) => (existsSync(path) ? readFileSync(path, 'utf8') : '')).join('');
    for (let n = 0; n < 500; n++) {
      log.info({ n }, 'x'.repeat(100));
      await turn();
    }
    const deadline = Date.now() + 10_000;
    const settled = () => last().includes('"n":499,') && existsSync(target);
    while (!settled() && Date.now() < deadline) await turn();
    assert.match(last(), /"n":499,/);
    assert.deepEqual(readdirSync(dir).sort(), ['a.log', 'a.log.1']);
    for (const name of readdirSync(dir)) assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600);
    assert.ok(Math.max(...sizes()) < 50_000, `${sizes()} bytes`);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
