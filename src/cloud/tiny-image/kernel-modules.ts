import { copyFile, mkdir, readdir, readFile, symlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { tinyImageFailed } from '../../model/errors-hypervisor.ts';
import { runTool } from './tools.ts';

/** Drivers of the guest: what virtual machines have, and the file systems of config drives. Absent or built-in ones are passed over. */
const WANTED = [
  ...['virtio_pci', 'virtio_blk', 'virtio_net', 'virtio_scsi', 'virtio_balloon', 'virtio_console', 'virtio_rng'],
  ...['vfat', 'isofs', 'nls_cp437', 'nls_ascii', 'nls_iso8859-1', 'nls_utf8', 'button', 'evdev', 'sr_mod', 'sd_mod'],
  ...['ata_piix', 'ata_generic', 'ahci', 'nvme', '8139cp', 'e1000', 'e1000e', 'ne2k-pci', 'pcnet32', 'loop', 'overlay', 'squashfs'],
];
const FIRST = ['virtio_pci', 'virtio_blk'];
const SECOND = ['virtio_scsi', 'sd_mod', 'ata_piix', 'ahci', 'nvme'];

export interface KernelModules {
  readonly version: string;
  /** For the initrd, in the order in which they must be loaded. */
  readonly first: readonly string[];
  readonly second: readonly string[];
}

/** Copies the wanted modules and all they need from the unpacked kernel into `root`, with an index for modprobe. */
export async function installModules(kernelTree: string, root: string, signal: AbortSignal): Promise<KernelModules> {
  if (!(await readdir(kernelTree)).includes('lib')) await symlink('usr/lib', join(kernelTree, 'lib')); // newer packages
  const version = (await readdir(join(kernelTree, 'lib/modules')))[0];
  if (!version) throw tinyImageFailed({ why: 'the kernel package has no modules' });
  const from = join(kernelTree, 'lib/modules', version);
  const to = join(root, 'lib/modules', version);
  await runTool('depmod', ['-b', kernelTree, version], { signal });
  const needs = readDependencies(await readFile(join(from, 'modules.dep'), 'utf8'));
  const closure = (names: readonly string[]) => [...new Set(names.flatMap((name) => inOrder(needs, name)))];
  for (const path of closure(WANTED)) {
    await mkdir(dirname(join(to, path)), { recursive: true });
    await copyFile(join(from, path), join(to, path));
  }
  for (const name of ['modules.builtin', 'modules.builtin.modinfo', 'modules.order']) await copyFile(join(from, name), join(to, name));
  await runTool('depmod', ['-b', root, version], { signal });
  const first = closure(FIRST);
  const absolute = (path: string) => join(from, path);
  return {
    version,
    first: first.map(absolute),
    second: closure(SECOND)
      .filter((path) => !first.includes(path))
      .map(absolute),
  };
}

const nameOf = (path: string) =>
  basename(path)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');

/** modules.dep: `path: paths it needs`, the farthest last. By module name. */
export function readDependencies(text: string): Map<string, { path: string; needs: string[] }> {
  const found = new Map<string, { path: string; needs: string[] }>();
  for (const line of text.split('\n')) {
    const [path = '', needs = ''] = line.split(':');
    if (path !== '') found.set(nameOf(path), { path, needs: needs.split(' ').filter((part) => part !== '') });
  }
  return found;
}

/** A module's files in the order in which they can be loaded, itself last; none when there is no such module. */
function inOrder(all: ReturnType<typeof readDependencies>, name: string): string[] {
  const entry = all.get(name.replaceAll('-', '_'));
  return entry ? [...entry.needs].reverse().concat(entry.path) : [];
}
