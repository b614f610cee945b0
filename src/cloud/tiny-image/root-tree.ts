import { chmod, copyFile, mkdir, readdir, readFile, realpath, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { gzipSync } from 'node:zlib';
import { tinyImageFailed } from '../../model/errors-hypervisor.ts';
import { type CpioEntry, cpioArchive } from './cpio.ts';
import { neededLibraries } from './elf.ts';
import type { KernelModules } from './kernel-modules.ts';
import { runTool } from './tools.ts';

const FOLDERS = [
  'bin',
  'sbin',
  'dev',
  'proc',
  'sys',
  'run',
  'tmp',
  'mnt',
  'root',
  'home/cloud',
  'var/log',
  'var/lib/cloud',
  'etc/dropbear',
  'usr/bin',
  'usr/sbin',
  'lib/x86_64-linux-gnu',
  'lib64',
];
const PROGRAMS = ['bin/busybox', 'usr/sbin/dropbear', 'usr/bin/dropbearkey', 'usr/sbin/qemu-ga', 'sbin/resize2fs'];
/** Applets that need another package, or would hide something of ours. */
const NOT_LINKED = new Set(['busybox', 'dpkg', 'dpkg-deb', 'rpm', 'rpm2cpio']);
const LIBRARIES = 'lib/x86_64-linux-gnu';
const LOADER = 'ld-linux-x86-64.so.2';

/** Lays out the guest's root file system in `root`: programs and exactly the libraries they need, out of the unpacked packages in
 *  `tree`, then our own files of `rootfs/` on top. */
export async function layOutRoot(tree: string, ownFiles: string, root: string, signal: AbortSignal): Promise<void> {
  for (const folder of FOLDERS) await mkdir(join(root, folder), { recursive: true });
  await chmod(join(root, 'root'), 0o700);
  await chmod(join(root, 'tmp'), 0o1777);
  const files = await filesByName(tree);
  const take = async (name: string, to: string): Promise<Buffer> => {
    const from = files.get(name);
    if (!from) throw tinyImageFailed({ why: `the packages lack ${name}` });
    const real = await realpath(from);
    await copyFile(real, to);
    await chmod(to, 0o755);
    return readFile(real);
  };
  const have = new Set<string>([LOADER]);
  await take(LOADER, join(root, LIBRARIES, LOADER));
  await symlink(`/${LIBRARIES}/${LOADER}`, join(root, 'lib64', LOADER));
  const todo = await Promise.all(PROGRAMS.map((path) => take(basename(path), join(root, path))));
  for (const program of todo) {
    for (const library of neededLibraries(program)) {
      if (have.has(library)) continue;
      have.add(library);
      todo.push(await take(library, join(root, LIBRARIES, library))); // an array grows while it is walked
    }
  }
  const applets = await runTool(join(tree, 'bin/busybox'), ['--list'], { signal });
  for (const applet of applets.split('\n')) {
    if (applet === '' || NOT_LINKED.has(applet)) continue;
    await symlink('/bin/busybox', join(root, 'bin', applet));
  }
  await symlink('/bin/busybox', join(root, 'usr/bin/awk'));
  await copyOwn(ownFiles, root);
}

/** Our own files: scripts are executable, the password file is private, the rest is plain. Modes are set here, as not every way a
 *  source tree travels keeps them. */
async function copyOwn(from: string, root: string): Promise<void> {
  for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const source = join(entry.parentPath, entry.name);
    const path = relative(from, source);
    const bytes = await readFile(source);
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), bytes);
    await chmod(join(root, path), path === 'etc/shadow' ? 0o600 : bytes.toString('latin1', 0, 2) === '#!' ? 0o755 : 0o644);
  }
}

/** Every file of the unpacked packages by its own name; the static shell is kept apart by the caller. */
async function filesByName(tree: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(tree, { recursive: true, withFileTypes: true })) {
    if (entry.isFile() || entry.isSymbolicLink()) {
      const path = join(entry.parentPath, entry.name);
      const inside = `/${relative(tree, path)}`; // the tree itself may lie below a `share`, as data dirs do
      if (/\/(bin|sbin|lib|lib64)\//.test(inside) && !/\/(doc|share|bash-completion|initramfs-tools)\//.test(inside))
        found.set(entry.name, path);
    }
  }
  return found;
}

/** The initrd: a static shell, the modules that find the root disk, our init. */
export async function makeInitrd(staticTree: string, init: string, modules: KernelModules): Promise<Buffer> {
  const numbered = (group: 'first' | 'second') =>
    Promise.all(
      modules[group].map(async (path, i): Promise<CpioEntry> => {
        const name = `modules/${group}/${String(i).padStart(2, '0')}-${basename(path)}`;
        return { kind: 'file', path: name, bytes: await readFile(path), executable: false };
      }),
    );
  const folders = ['bin', 'dev', 'proc', 'sys', 'root', 'modules', 'modules/first', 'modules/second'];
  const entries: CpioEntry[] = [
    ...folders.map((path): CpioEntry => ({ kind: 'folder', path })),
    { kind: 'file', path: 'bin/busybox', bytes: await readFile(join(staticTree, 'bin/busybox')), executable: true },
    { kind: 'link', path: 'bin/sh', to: 'busybox' },
    { kind: 'file', path: 'init', bytes: await readFile(init), executable: true },
    ...(await numbered('first')),
    ...(await numbered('second')),
  ];
  return gzipSync(cpioArchive(entries), { level: 9 });
}
