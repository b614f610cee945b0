import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import { invariant } from '../../lib/retry.ts';
import { hypervisorMissing } from '../../model/errors-hypervisor.ts';
import { findProgram, runProgram } from './programs.ts';

const ISO = ['-quiet', '-l', '-J', '-r', '-V', 'config-2'];

/** Writes a config drive: a file system labelled config-2 with these files (base64 by path), by whichever program is there; for vfat that is
 *  mtools. A host without the programs for ISO 9660 makes vfat.
 *  Nothing is mounted. Throws hypervisorMissing, noDiskSpace. */
export async function makeConfigDrive(
  file: string,
  files: Readonly<Record<string, string>>,
  format: 'iso9660' | 'vfat' = 'iso9660',
): Promise<void> {
  const tree = await mkdtemp(join(tmpdir(), 'kilonova-drive-'));
  try {
    let bytes = 0;
    for (const [path, content] of Object.entries(files)) {
      const clean = normalize(path);
      invariant(!clean.startsWith('/') && !clean.startsWith('..'), `${path} stays inside the config drive`);
      await mkdir(dirname(join(tree, clean)), { recursive: true });
      const data = Buffer.from(content, 'base64');
      bytes += data.length + 4096;
      await writeFile(join(tree, clean), data);
    }
    const fat = findProgram('mformat') && findProgram('mcopy');
    if (format === 'vfat') {
      if (fat) return await makeFat(file, tree, bytes, Object.keys(files));
      throw hypervisorMissing({ program: 'mformat', install: 'apt-get install --no-install-recommends mtools' });
    }
    for (const program of ['genisoimage', 'mkisofs']) {
      if (findProgram(program)) return void (await runProgram(program, [...ISO, '-o', file, tree]));
    }
    if (findProgram('xorriso')) return void (await runProgram('xorriso', ['-as', 'mkisofs', ...ISO, '-o', file, tree]));
    if (fat) return await makeFat(file, tree, bytes, Object.keys(files));
    throw hypervisorMissing({ program: 'genisoimage', install: 'apt-get install --no-install-recommends genisoimage' });
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

async function makeFat(file: string, tree: string, bytes: number, paths: readonly string[]) {
  const sectors = Math.max(2880, Math.ceil((bytes * 1.2) / 512 / 2048) * 2048);
  await writeFile(file, '', { mode: 0o600 });
  await runProgram('mformat', ['-i', file, '-C', '-T', String(sectors), '-h', '16', '-s', '63', '-v', 'config-2', '::']);
  const tops = [...new Set(paths.map((path) => normalize(path).split('/')[0] ?? ''))];
  await runProgram('mcopy', ['-i', file, '-s', '-Q', ...tops.map((top) => join(tree, top)), '::']);
}
