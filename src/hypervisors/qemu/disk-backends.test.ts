import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { testGuest, testImage } from '../../../test/contracts/driver.ts';
import { requires } from '../../../test/requires.ts';
import { systemClock } from '../../lib/clock.ts';
import { makeConfigDrive } from './config-drive.ts';
import { diskBackends, rootCommands, usualDisks } from './disk-backends.ts';
import { readDiskBook } from './disk-book.ts';
import { createDisks, type DiskTools, disksOf, growDisks, mustHaveDisks } from './disks.ts';
import { guestPaths } from './guest-paths.ts';
import { createImageCache, describeImage } from './image-cache.ts';
import { type LvmOptions, lvmBackend, lvmCommands } from './lvm-backend.ts';

const golden = fileURLToPath(new URL('../../../test/golden/qemu/disk-commands.txt', import.meta.url));
const never = new AbortController().signal;
const GiB = 1024 ** 3;

test('golden: what is asked of LVM and of qemu-img, word for word', () => {
  const lvm = (more: Partial<LvmOptions> = {}): LvmOptions => ({ group: 'guests', sparse: false, clear: 'zero', clearMiB: 0, ...more });
  const guest = { uuid: '00000000-1111-2222-3333-444444444444', folder: '/state/guest' };
  const { file } = lvmBackend(lvm()).locate(guest, 'disk');
  const image = { file: '/images/base', format: 'qcow2' } as const;
  const commands: Record<string, readonly (readonly string[])[]> = {
    'a volume': [lvmCommands.create(lvm(), file, GiB)],
    'a sparse volume': [lvmCommands.create(lvm({ sparse: true }), file, GiB)],
    'an image into it': [lvmCommands.fill(file, image)],
    'how large it is': [lvmCommands.size(file)],
    'it grows': [lvmCommands.grow(file, 2 * GiB)],
    'which there are': [lvmCommands.list(lvm())],
    'how much room there is': [lvmCommands.room(lvm())],
    'it goes (zero)': [...lvmCommands.clear(lvm(), file, GiB), lvmCommands.remove(file)],
    'it goes (shred, 16 MiB)': [...lvmCommands.clear(lvm({ clear: 'shred', clearMiB: 16 }), file, GiB), lvmCommands.remove(file)],
    'it goes (none)': [...lvmCommands.clear(lvm({ clear: 'none' }), file, GiB), lvmCommands.remove(file)],
    'it goes (sparse)': [...lvmCommands.clear(lvm({ sparse: true }), file, GiB), lvmCommands.remove(file)],
    'an overlay': rootCommands({ file: '/state/guest/disk', format: 'qcow2' }, image, GiB).map((args) => ['qemu-img', ...args]),
    'a whole copy': rootCommands({ file: '/state/guest/disk', format: 'raw' }, image, GiB).map((args) => ['qemu-img', ...args]),
  };
  const text = Object.entries(commands)
    .map(([name, list]) =>
      [`# ${name}`, ...list.map((words) => words.map((word) => (/[\s"']/.test(word) ? JSON.stringify(word) : word)).join(' ')), ''].join(
        '\n',
      ),
    )
    .join('\n');
  if (process.env.GOLDEN === 'write') {
    mkdirSync(dirname(golden), { recursive: true });
    writeFileSync(golden, text);
  }
  assert.equal(text, readFileSync(golden, 'utf8'));
  assert.throws(() => lvmBackend(lvm({ group: '' })).locate(guest, 'disk'), /images_volume_group/);
});

describe('disks of a host', { skip: requires('qemu-img') }, () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'kn-disks-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const image = testImage(Buffer.alloc(64 * 1024, 'kilonova'));
  const tools = async (type: 'qcow2' | 'raw', more: Partial<typeof usualDisks> = {}): Promise<DiskTools> => {
    const cache = createImageCache(() => join(folder, 'images'), systemClock);
    await cache.open();
    await cache.fetch(image.ref, async () => Readable.from([image.bytes]), never);
    return { cache, backend: type, backends: diskBackends({ ...usualDisks, type, ...more }), driveFormat: 'iso9660' };
  };

  test('each disk stays with the backend it was made by, whatever the host uses for new ones', async () => {
    const small = testGuest(image.ref, { rootGiB: 0, ephemeralGiB: 0, swapMiB: 1 });
    const paths = guestPaths(folder, small.uuid);
    const raw = await tools('raw');
    const told: number[] = [];
    await createDisks(small, paths, raw, never, (done, total) => void told.push(done / total));
    assert.equal(told.at(-1), 1, `how far the copy of its image was: ${told}`);
    const book = await readDiskBook(paths);
    assert.deepEqual([book.disk?.backend, book.disk?.format, book.disk?.making, book['disk.swap']?.backend], ['raw', 'raw', false, 'raw']);
    const root = await readFile(join(paths.folder, 'disk'));
    assert.ok(root.subarray(0, image.bytes.length).equals(image.bytes), 'it is the image itself, without anything below');
    await createDisks(small, paths, await tools('qcow2'), never);
    const large = { ...small, rootGiB: 1, ephemeralGiB: 1 };
    await growDisks(large, paths, await tools('qcow2'), never);
    const after = await readDiskBook(paths);
    assert.equal(after.disk?.backend, 'raw');
    assert.equal((await stat(join(paths.folder, 'disk'))).size, GiB);
    await mustHaveDisks(large, disksOf(large, paths, null, null, after));
    const [kept] = disksOf(large, paths, '/some/base', null, after);
    assert.deepEqual([kept?.format, kept?.backing, kept?.backend], ['raw', null, 'raw']);
  });

  test('an overlay knows what it stands on; a guest of before the book is taken as it was', async () => {
    const guest = testGuest(image.ref, { rootGiB: 1, ephemeralGiB: 0, swapMiB: 0 });
    const paths = guestPaths(folder, guest.uuid);
    await createDisks(guest, paths, await tools('qcow2'), never);
    assert.ok((await describeImage(join(paths.folder, 'disk'), 'qcow2'))['backing-filename']?.includes(image.ref.id));
    await rm(join(paths.folder, 'disks.json'));
    await growDisks({ ...guest, rootGiB: 2 }, paths, await tools('raw'), never);
    assert.equal((await readDiskBook(paths)).disk?.backend, 'qcow2');
    assert.equal((await describeImage(join(paths.folder, 'disk'), 'qcow2'))['virtual-size'], 2 * GiB);
    const disks = disksOf(guest, paths, join(folder, 'images', 'gone'), null, await readDiskBook(paths));
    await assert.rejects(mustHaveDisks(guest, disks), /stands on an image that is not on this host/);
  });

  test('preallocated disks take their room at once; a failure leaves nothing', async () => {
    const guest = testGuest(image.ref, { rootGiB: 0, ephemeralGiB: 0, swapMiB: 8 });
    const paths = guestPaths(folder, guest.uuid);
    await createDisks(guest, paths, await tools('raw', { preallocate: true }), never);
    assert.ok((await stat(join(paths.folder, 'disk.swap'))).blocks * 512 >= 8 * 1024 ** 2);
    const wrong = testGuest(image.ref, { localDisks: [{ kind: 'ephemeral', sizeMiB: 1, format: 'ntfs', device: null }] });
    await assert.rejects(createDisks(wrong, guestPaths(folder, wrong.uuid), await tools('qcow2'), never), /cannot be formatted as ntfs/);
    assert.deepEqual(
      (await readdir(join(folder, 'instances'))).filter((name) => name === wrong.uuid),
      [],
    );
  });

  test('a config drive is ISO 9660 or vfat, labelled alike', { skip: requires('tiny-image') }, async () => {
    const files = { 'openstack/latest/meta_data.json': Buffer.from('{}').toString('base64') };
    await makeConfigDrive(join(folder, 'iso'), files, 'iso9660');
    await makeConfigDrive(join(folder, 'fat'), files, 'vfat');
    const [iso, fat] = await Promise.all(['iso', 'fat'].map((name) => readFile(join(folder, name))));
    assert.equal(iso?.subarray(32_769, 32_774).toString(), 'CD001');
    assert.match(iso?.subarray(32_808, 32_840).toString() ?? '', /^config-2/);
    assert.match(fat?.subarray(0, 512).toString('latin1') ?? '', /FAT1[26]/);
    assert.ok(fat?.includes('CONFIG-2'));
  });
});
