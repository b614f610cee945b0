import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { tinyImageFailed } from '../../model/errors-hypervisor.ts';
import { makeOwnFolder } from './own-folder.ts';
import { runTool } from './tools.ts';

/** What the guest is made of besides the kernel; their libraries are found by following dependencies. */
const ROOTS = ['busybox', 'busybox-static', 'dropbear-bin', 'qemu-guest-agent', 'e2fsprogs'];
const KERNEL_META = 'linux-image-cloud-amd64';

export interface Packages {
  readonly kernel: string;
  readonly others: readonly string[];
  /** Version by package name, as the manifest tells it. */
  readonly versions: Readonly<Record<string, string>>;
}

/** Brings the packages as files into `folder` and answers which they are. Files that are there already are taken as they are.
 *  Needs no root: where the machine's own package lists are absent or too old, it fetches private ones below `folder`. */
export async function fetchPackages(
  folder: string,
  signal: AbortSignal,
  say: (step: string) => void,
): Promise<{ packages: Packages; files: ReadonlyMap<string, string> }> {
  await mkdir(folder, { recursive: true });
  try {
    return await fetchWith([], folder, signal, say);
  } catch {
    signal.throwIfAborted();
    say('fetching package lists');
    const own = await privateLists(folder, signal);
    return await fetchWith(own, folder, signal, say);
  }
}

async function fetchWith(options: readonly string[], folder: string, signal: AbortSignal, say: (step: string) => void) {
  const packages = await resolve(options, signal);
  const wanted = [packages.kernel, ...packages.others];
  const missing = async () => {
    const there = await packageFiles(folder);
    return wanted.filter((name) => !there.has(fileKey(name, packages.versions[name] ?? '')));
  };
  const absent = await missing();
  if (absent.length > 0) {
    say(`downloading ${absent.length} Debian packages`);
    const fresh = await makeOwnFolder(folder, 'partial');
    await runTool('apt-get', [...options, '-q', '-o', 'APT::Sandbox::User=root', 'download', ...absent], { cwd: fresh, signal });
    for (const name of await readdir(fresh)) await rename(join(fresh, name), join(folder, name)); // apt checked each against its signed list
    await rm(fresh, { recursive: true, force: true });
    const still = await missing();
    if (still.length > 0) throw tinyImageFailed({ why: `apt-get did not bring ${still.join(', ')}` });
  }
  const there = await packageFiles(folder);
  return { packages, files: new Map(wanted.map((name) => [name, there.get(fileKey(name, packages.versions[name] ?? '')) ?? ''])) };
}

const fileKey = (name: string, version: string) => `${name}_${version.replaceAll(':', '%3a')}`;
async function packageFiles(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.deb'));
  return new Map(names.map((name) => [name.slice(0, name.lastIndexOf('_')), join(folder, name)]));
}

async function resolve(options: readonly string[], signal: AbortSignal): Promise<Packages> {
  const none = ['recommends', 'suggests', 'conflicts', 'breaks', 'replaces', 'enhances'].map((kind) => `--no-${kind}`);
  const graph = readGraph(await runTool('apt-cache', [...options, 'depends', '--recurse', ...none, KERNEL_META, ...ROOTS], { signal }));
  const kernel = graph.get(KERNEL_META)?.find((name) => name.startsWith('linux-image-'));
  const lost = [...ROOTS, ...(kernel ? [] : [KERNEL_META])].filter((name) => !graph.has(name));
  if (!kernel || lost.length > 0)
    throw tinyImageFailed({ why: `the package lists of this machine lack ${lost.join(', ')}; run: apt-get update` });
  const others = new Set(ROOTS);
  for (const name of others) for (const next of graph.get(name) ?? []) if (/^z?lib(?!.*perl)/.test(next)) others.add(next); // a set grows while it is walked
  const names = [kernel, ...others];
  const shown = await runTool('apt-cache', [...options, 'policy', ...names], { signal });
  const versions = Object.fromEntries(
    [...shown.matchAll(/^(\S+):\n {2}Installed: .*\n {2}Candidate: (\S+)/gm)].map((match) => [match[1] ?? '', match[2] ?? '']),
  );
  return { kernel, others: [...others], versions };
}

/** The output of `apt-cache depends --recurse`: a package at the line's start, what it depends on below it. */
export function readGraph(text: string): Map<string, string[]> {
  const graph = new Map<string, string[]>();
  let current: string[] = [];
  for (const line of text.split('\n')) {
    const dependency = /^[ |]+(?:Pre)?Depends: ([^<\s:]+)/.exec(line)?.[1];
    if (dependency) current.push(dependency);
    else if (/^[a-z0-9]/.test(line)) {
      current = [];
      graph.set(line.trim(), current);
    }
  }
  return graph;
}

/** apt's lists in a folder of ours, from the machine's own sources and keys: `apt-get update` for everybody. */
async function privateLists(folder: string, signal: AbortSignal): Promise<string[]> {
  const state = join(folder, 'apt');
  await mkdir(join(state, 'lists', 'partial'), { recursive: true });
  await mkdir(join(state, 'cache', 'archives', 'partial'), { recursive: true });
  const options = [`Dir::State::Lists=${join(state, 'lists')}`, `Dir::Cache=${join(state, 'cache')}`, 'APT::Sandbox::User=root'];
  const own = options.flatMap((option) => ['-o', option]);
  await runTool('apt-get', [...own, '-q', 'update'], { signal });
  return own;
}

/** Unpacks package files into one tree. */
export async function unpack(files: Iterable<string>, tree: string, signal: AbortSignal): Promise<void> {
  await mkdir(tree, { recursive: true });
  for (const file of files) await runTool('dpkg-deb', ['-x', file, tree], { signal });
}
