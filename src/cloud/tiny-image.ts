import { createHash } from 'node:crypto';
import { copyFile, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Log } from '../lib/log.ts';
import { hypervisorMissing } from '../model/errors-hypervisor.ts';
import { makeDisk } from './tiny-image/disk-image.ts';
import { installModules } from './tiny-image/kernel-modules.ts';
import { makeOwnFolder } from './tiny-image/own-folder.ts';
import { fetchPackages, unpack } from './tiny-image/packages.ts';
import { layOutRoot, makeInitrd } from './tiny-image/root-tree.ts';
import { missingTools } from './tiny-image/tools.ts';

/** The built guest: a disk that boots by itself, and kernel, initrd and command line for direct boot from that disk. */
export interface TinyImage {
  /** qcow2. */
  readonly disk: string;
  readonly kernel: string;
  readonly initrd: string;
  readonly commandLine: string;
}
export interface TinyImageProgress {
  readonly step: string;
  /** 0 to 100. */
  readonly percent: number;
}
interface Manifest {
  readonly format: 1;
  readonly recipe: string;
  readonly packages: Readonly<Record<string, string>>;
  readonly commandLine: string;
  readonly files: Readonly<Record<'disk.qcow2' | 'vmlinuz' | 'initrd', { readonly bytes: number; readonly sha256: string }>>;
}

/** ttyS0 comes last: the last console is the one that programs write to. No swiotlb: it would reserve half of a small guest. No
 *  mitigations: there are no strangers inside this guest, and emulated they cost a tenth of the boot. */
const COMMAND_LINE =
  'root=LABEL=kilonova-root console=tty0 console=ttyS0,115200 quiet tsc=unstable mitigations=off net.ifnames=0 swiotlb=noforce panic=10';
const FILES = ['disk.qcow2', 'vmlinuz', 'initrd'] as const;
const here = (path: string) => fileURLToPath(new URL(`./tiny-image/${path}`, import.meta.url));

/** Builds the guest image `tiny` out of Debian packages, or answers at once what an earlier call built from the same recipe. Works in a
 *  folder of its own that gets its final name at the end, so an interrupted build leaves nothing that looks whole; downloaded packages
 *  stay in `workDir` for the next try. Throws hypervisorMissing (tools, with the install command), tinyImageFailed, the signal's reason. */
export async function buildTinyImage(options: {
  outDir: string;
  workDir: string;
  log: Log;
  progress?: (progress: TinyImageProgress) => void;
  signal: AbortSignal;
}): Promise<TinyImage> {
  const { outDir, workDir, log, signal } = options;
  const recipe = await recipeHash();
  const final = join(outDir, `tiny-${recipe.slice(0, 12)}`);
  const ready = await readBuilt(final, recipe);
  if (ready) return ready;
  const missing = missingTools();
  if (missing) throw hypervisorMissing({ program: missing.programs.join(', '), install: missing.install });
  const say = (step: string, percent: number) => {
    log.info({ step, percent }, 'building the tiny image');
    options.progress?.({ step, percent });
  };
  const build = await makeOwnFolder(workDir, 'build');
  const made = await makeOwnFolder(outDir, '.tiny');
  try {
    say('looking up Debian packages', 0);
    const { packages, files } = await fetchPackages(join(workDir, 'packages'), signal, (step) => say(step, 5));
    say('unpacking', 40);
    const tree = (name: string) => join(build, name);
    const of = (name: string) => files.get(name) ?? '';
    await Promise.all([
      unpack([of(packages.kernel)], tree('kernel'), signal),
      unpack([of('busybox-static')], tree('static'), signal),
      unpack(packages.others.filter((name) => name !== 'busybox-static').map(of), tree('packages'), signal),
    ]);
    say('laying out the root file system', 60);
    await layOutRoot(tree('packages'), here('rootfs'), tree('root'), signal);
    const modules = await installModules(tree('kernel'), tree('root'), signal);
    await copyFile(join(tree('kernel'), 'boot', `vmlinuz-${modules.version}`), join(made, 'vmlinuz'));
    await writeFile(join(made, 'initrd'), await makeInitrd(tree('static'), here('initrd/init'), modules));
    say('writing the disk', 75);
    const bootConfig = (await readFile(here('boot/syslinux.cfg'), 'utf8')).replace('@COMMAND_LINE@', COMMAND_LINE);
    const [kernel, initrd, target] = [join(made, 'vmlinuz'), join(made, 'initrd'), join(made, 'disk.qcow2')];
    await makeDisk({ folder: build, root: tree('root'), kernel, initrd, bootConfig, target, signal });
    await writeFile(join(made, 'manifest.json'), `${JSON.stringify(await manifestOf(made, recipe, packages.versions), null, 1)}\n`);
    signal.throwIfAborted();
    const meanwhile = await readBuilt(final, recipe); // by another process
    if (meanwhile) return meanwhile;
    await rm(final, { recursive: true, force: true });
    await rename(made, final);
    say('done', 100);
    return imageIn(final, COMMAND_LINE);
  } finally {
    await rm(build, { recursive: true, force: true });
    await rm(made, { recursive: true, force: true });
  }
}

const imageIn = (folder: string, commandLine: string): TinyImage => ({
  disk: join(folder, 'disk.qcow2'),
  kernel: join(folder, 'vmlinuz'),
  initrd: join(folder, 'initrd'),
  commandLine,
});

async function readBuilt(folder: string, recipe: string): Promise<TinyImage | undefined> {
  try {
    const manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as Manifest; // our own; checked by format and recipe
    if (manifest.format !== 1 || manifest.recipe !== recipe) return undefined;
    for (const name of FILES) if ((await stat(join(folder, name))).size !== manifest.files[name].bytes) return undefined;
    return imageIn(folder, manifest.commandLine);
  } catch {
    return undefined; // none, or one that was tampered with: built anew
  }
}

async function manifestOf(folder: string, recipe: string, packages: Readonly<Record<string, string>>): Promise<Manifest> {
  const about = async (name: string) => {
    const bytes = await readFile(join(folder, name));
    return { bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  };
  const [disk, kernel, initrd] = [await about('disk.qcow2'), await about('vmlinuz'), await about('initrd')];
  return { format: 1, recipe, packages, commandLine: COMMAND_LINE, files: { 'disk.qcow2': disk, vmlinuz: kernel, initrd } };
}

/** Changes when the guest's own files or the way it is built change; not with a new version of a package. */
async function recipeHash(): Promise<string> {
  const hash = createHash('sha256').update(COMMAND_LINE);
  const folder = here('');
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile() && !entry.name.includes('.test.'))
    .map((entry) => join(entry.parentPath, entry.name));
  for (const file of files.sort()) hash.update(`\0${relative(folder, file)}\0`).update(await readFile(file));
  return hash.digest('hex');
}
