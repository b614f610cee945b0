import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { testGuest } from '../../../test/contracts/driver.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { usualDisks } from './disk-backends.ts';
import { hasDeviceMapper } from './lvm-backend.ts';
import { findProgram } from './programs.ts';
import { createQemuDriver } from './qemu-driver.ts';
import { buttonGuest } from './test-guests.ts';

const tools = ['qemu-system-x86_64', 'vgcreate', 'losetup'].filter((name) => findProgram(name) === undefined);
const skip =
  process.getuid?.() !== 0
    ? 'needs root'
    : tools.length > 0
      ? `needs ${tools.join(', ')}`
      : (await hasDeviceMapper())
        ? false
        : 'needs a kernel with a device mapper';

// The one slow suite that is never required: machines without a device mapper cannot run it (docs/differences.md).
test('a guest on logical volumes of a group of its own: made, run, grown, copied, gone', { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kn-lvm-'));
  const group = `kn${process.pid}`;
  const run = (program: string, ...args: string[]) => execFileSync(findProgram(program) ?? program, args, { encoding: 'utf8' }).trim();
  writeFileSync(join(folder, 'disk'), '');
  truncateSync(join(folder, 'disk'), 4 * 1024 ** 3);
  const loop = run('losetup', '--show', '-f', join(folder, 'disk'));
  run('vgcreate', group, loop);
  const lvm = { group, sparse: false, clear: 'zero' as const, clearMiB: 1 };
  const driver = createQemuDriver({
    hostname: 'host-1',
    stateDir: join(folder, 'state'),
    clock: systemClock,
    log: silentLog,
    acceleration: 'tcg',
    disks: { ...usualDisks, type: 'lvm', lvm },
  });
  const volumes = () => run('lvs', '--noheadings', '-o', 'lv_name', group);
  try {
    await driver.start();
    assert.equal((await driver.inventory()).diskGiB, 3);
    const image = buttonGuest();
    await driver.fetchImage(image.ref, async () => Readable.from([image.bytes]), new AbortController().signal);
    const guest = testGuest(image.ref, { rootGiB: 1, swapMiB: 64, nics: [] });
    await driver.createDisks(guest);
    await driver.spawn(guest);
    assert.match(volumes(), new RegExp(`${guest.uuid}_disk\\s+${guest.uuid}_disk.swap`));
    const copy = await driver.snapshot(guest.uuid, new AbortController().signal);
    assert.equal(copy.diskFormat, 'raw');
    await copy.discard();
    await driver.powerOff(guest.uuid, 0);
    await driver.resizeDisks({ ...guest, rootGiB: 2 });
    assert.match(run('lvs', '--noheadings', '--nosuffix', '--units', 'g', '-o', 'lv_size', `/dev/${group}/${guest.uuid}_disk`), /^2\.00/);
    assert.ok(readFileSync(`/dev/${group}/${guest.uuid}_disk`).subarray(0, image.bytes.length).equals(image.bytes));
    await driver.removeDisks(guest.uuid);
    assert.equal(volumes(), '');
  } finally {
    for (const one of await driver.guests()) await driver.removeDisks(one.uuid);
    await driver.close();
    run('vgremove', '-f', group);
    run('losetup', '-d', loop);
    rmSync(folder, { recursive: true, force: true });
  }
});
