import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { requires } from '../../test/requires.ts';
import { smallDisk } from '../../test/servers/small-disk.ts';
import { writeFileWhole } from './write-file.ts';

test('on a disk that has room for a part of it the old text stands, and nothing else is left', { skip: requires('small-disk') }, () => {
  const disk = smallDisk(1);
  try {
    const file = join(disk.dir, 'secrets.json');
    writeFileWhole(file, 'old');
    disk.fill();
    truncateSync(disk.ballast, statSync(disk.ballast).size - 4096);
    assert.throws(() => writeFileWhole(file, 'new'.repeat(5000)), { code: 'ENOSPC' });
    assert.equal(readFileSync(file, 'utf8'), 'old');
    assert.deepEqual(readdirSync(disk.dir).sort(), ['ballast', 'secrets.json']);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  } finally {
    disk.remove();
  }
});
