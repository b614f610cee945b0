import { copyFile, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { tinyImageFailed } from '../../model/errors-hypervisor.ts';
import { runTool } from './tools.ts';

const MiB = 1024 * 1024;
const SECTORS_PER_MIB = 2048;
const BOOT_MIB = 34;
const ROOT_MIB = 80;
const MBR_CODE = ['/usr/lib/syslinux/mbr/mbr.bin', '/usr/lib/SYSLINUX/mbr.bin'];

/** Makes a bootable disk without mounting anything: boot code and partition table, a FAT with syslinux and the kernel, an ext4 with
 *  the root tree. As a normal user the tree's files become root's by fakeroot. */
export async function makeDisk(parts: {
  folder: string;
  root: string;
  kernel: string;
  initrd: string;
  bootConfig: string;
  target: string;
  signal: AbortSignal;
}): Promise<void> {
  const { folder, signal } = parts;
  const boot = join(folder, 'boot.fat');
  await writeFile(boot, '');
  await truncate(boot, BOOT_MIB * MiB);
  await runTool(
    'mformat',
    ['-i', boot, '-H', '2048', '-h', '64', '-s', '32', '-T', String(BOOT_MIB * SECTORS_PER_MIB), '-v', 'KILONOVA', '-N', '4b494c4f', '::'],
    { signal },
  );
  const config = join(folder, 'syslinux.cfg');
  await writeFile(config, parts.bootConfig);
  const [kernel, initrd] = [join(folder, 'vmlinuz'), join(folder, 'initrd')];
  if (kernel !== parts.kernel) await copyFile(parts.kernel, kernel);
  if (initrd !== parts.initrd) await copyFile(parts.initrd, initrd);
  await runTool('mcopy', ['-i', boot, config, kernel, initrd, '::'], { signal });
  await runTool('syslinux', ['--install', boot], { signal });

  const rootFs = join(folder, 'root.ext4');
  await rm(rootFs, { force: true });
  const make = [
    'mke2fs',
    '-q',
    '-t',
    'ext4',
    '-L',
    'kilonova-root',
    '-O',
    '^has_journal,^metadata_csum',
    '-m',
    '0',
    '-N',
    '2048',
    '-E',
    'root_owner=0:0',
    '-d',
    parts.root,
    rootFs,
    `${ROOT_MIB}M`,
  ];
  const [program = '', ...args] = process.getuid?.() === 0 ? make : ['fakeroot', ...make];
  await runTool(program, args, { signal });

  const disk = join(folder, 'disk.raw');
  const file = await open(disk, 'w');
  try {
    await file.truncate((1 + BOOT_MIB + ROOT_MIB) * MiB);
    await file.write(await masterBootRecord(), 0, 512, 0);
    await copyInto(file, boot, MiB);
    await copyInto(file, rootFs, (1 + BOOT_MIB) * MiB);
  } finally {
    await file.close();
  }
  await runTool('qemu-img', ['convert', '-c', '-f', 'raw', '-O', 'qcow2', disk, parts.target], { signal });
}

async function masterBootRecord(): Promise<Buffer> {
  const record = Buffer.alloc(512);
  const code = await firstThere(MBR_CODE);
  code.copy(record, 0, 0, 440);
  record.writeUInt32LE(0x4b494c4f, 440); // disk id
  partition(0x80, 0x0e, SECTORS_PER_MIB, BOOT_MIB * SECTORS_PER_MIB).copy(record, 446);
  partition(0, 0x83, (1 + BOOT_MIB) * SECTORS_PER_MIB, ROOT_MIB * SECTORS_PER_MIB).copy(record, 462);
  record.writeUInt16LE(0xaa55, 510);
  return record;
}

/** One entry of the partition table; cylinders and heads say "too large", which makes everyone use the sector numbers. */
function partition(flag: number, type: number, start: number, sectors: number): Buffer {
  const entry = Buffer.from([flag, 0xfe, 0xff, 0xff, type, 0xfe, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
  entry.writeUInt32LE(start, 8);
  entry.writeUInt32LE(sectors, 12);
  return entry;
}

async function firstThere(files: readonly string[]): Promise<Buffer> {
  for (const file of files) {
    const bytes = await readFile(file).catch(() => undefined);
    if (bytes) return bytes;
  }
  throw tinyImageFailed({ why: `${files[0]} is missing: apt-get install --no-install-recommends syslinux-common` });
}

/** Copies a file to an offset, leaving out what is all zeros: the disk stays sparse. */
async function copyInto(target: Awaited<ReturnType<typeof open>>, from: string, offset: number): Promise<void> {
  const source = await open(from, 'r');
  try {
    const chunk = Buffer.alloc(MiB);
    const zeros = Buffer.alloc(MiB);
    for (let at = 0; ; ) {
      const { bytesRead } = await source.read(chunk, 0, MiB, at);
      if (bytesRead === 0) return;
      if (zeros.compare(chunk, 0, bytesRead, 0, bytesRead) !== 0) await target.write(chunk, 0, bytesRead, offset + at);
      at += bytesRead;
    }
  } finally {
    await source.close();
  }
}
