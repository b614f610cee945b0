import { lstatSync, realpathSync } from 'node:fs';
import { chmod, lstat, mkdir, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isUuid, sha256 } from '../../lib/ids.ts';
import { invariant } from '../../lib/retry.ts';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';

/** Where everything of one guest lies. */
export interface GuestPaths {
  /** Its disks; other hosts may see them too. */
  readonly folder: string;
  /** What is this host's alone; the same folder where the disks are that too. */
  readonly own: string;
  readonly record: string;
  readonly pidFile: string;
  readonly consoleLog: string;
  readonly qemuLog: string;
  /** The memory of a suspended guest; under this name it is whole. */
  readonly memory: string;
  /** Sockets may lie in another folder: their paths have at most 107 bytes. */
  readonly socketFolder: string;
  readonly qmpSocket: string;
  readonly serialSocket: string;
  readonly vncSocket: string;
  readonly agentSocket: string;
  /** Where memory goes out of QEMU or into it, and disks by NBD. */
  readonly memorySocket: string;
  readonly nbdSocket: string;
}

const SOCKET_PATH_BYTES = 107;
const LONGEST_TAIL = '/instances/00000000-0000-0000-0000-000000000000/serial.sock';

export const instancesFolder = (stateDir: string) => join(stateDir, 'instances');
/** Whether the disks of guests lie elsewhere, where other hosts may see them: then `instances` is a link. */
export function disksAreApart(stateDir: string): boolean {
  return lstatSync(instancesFolder(stateDir), { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
/** Where the folders of guests lie that are this host's alone. */
export const ownFolder = (stateDir: string) => (disksAreApart(stateDir) ? join(stateDir, 'guests') : instancesFolder(stateDir));
/** Images lie with the disks that stand on them, under a path that is the same on every host. */
export const imagesFolder = (stateDir: string) =>
  disksAreApart(stateDir) ? join(realpathSync(instancesFolder(stateDir)), '_base') : join(stateDir, 'images');

/** Puts the guests' disks into another folder, from the first start on. Throws hypervisorFailed when they lie elsewhere already. */
export async function placeDisks(stateDir: string, folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const link = instancesFolder(stateDir);
  const found = await lstat(link).catch(() => undefined);
  if (!found) return symlink(folder, link);
  if (found.isSymbolicLink() && realpathSync(link) === realpathSync(folder)) return;
  const why = `the disks of its guests lie in ${found.isSymbolicLink() ? realpathSync(link) : link}, not in ${folder}`;
  throw hypervisorFailed({ why: `${why}: an instances_path that has guests cannot be changed` });
}

/** The short folder for sockets, when the state dir's own path is too long for them. */
export function shortSocketFolder(stateDir: string): string | undefined {
  if (Buffer.byteLength(stateDir + LONGEST_TAIL) <= SOCKET_PATH_BYTES) return undefined;
  const runtime = process.env.XDG_RUNTIME_DIR;
  const base = runtime && Buffer.byteLength(runtime) < 40 ? runtime : Buffer.byteLength(tmpdir()) < 40 ? tmpdir() : '/tmp';
  return join(base, `kilonova-${process.getuid?.() ?? 0}-${sha256(stateDir).slice(0, 8)}`);
}

export function guestPaths(stateDir: string, uuid: string): GuestPaths {
  invariant(isUuid(uuid), `a guest's uuid names its folder, and "${uuid}" is none`);
  const folder = join(instancesFolder(stateDir), uuid);
  const own = join(ownFolder(stateDir), uuid);
  const short = shortSocketFolder(stateDir);
  const socketFolder = short ? join(short, uuid) : own;
  return {
    folder,
    own,
    record: join(own, 'guest.json'),
    pidFile: join(own, 'qemu.pid'),
    consoleLog: join(own, 'console.log'),
    qemuLog: join(own, 'qemu.log'),
    memory: join(own, 'memory'),
    socketFolder,
    qmpSocket: join(socketFolder, 'qmp.sock'),
    serialSocket: join(socketFolder, 'serial.sock'),
    vncSocket: join(socketFolder, 'vnc.sock'),
    agentSocket: join(socketFolder, 'agent.sock'),
    memorySocket: join(socketFolder, 'memory.sock'),
    nbdSocket: join(socketFolder, 'nbd.sock'),
  };
}

/** Makes a folder that is ours alone; one in a shared place that somebody else made first is refused, not used. */
export async function privateFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const found = await lstat(folder);
  if (!found.isDirectory() || found.uid !== process.getuid?.()) throw hypervisorFailed({ why: `${folder} is not a folder of this user` });
  await chmod(folder, 0o700);
}
