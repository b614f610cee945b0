import { chmod, lstat, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isUuid, sha256 } from '../../lib/ids.ts';
import { invariant } from '../../lib/retry.ts';
import { hypervisorFailed } from '../../model/errors-hypervisor.ts';

/** Where everything of one guest lies. */
export interface GuestPaths {
  readonly folder: string;
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

export const imagesFolder = (stateDir: string) => join(stateDir, 'images');
export const instancesFolder = (stateDir: string) => join(stateDir, 'instances');

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
  const short = shortSocketFolder(stateDir);
  const socketFolder = short ? join(short, uuid) : folder;
  return {
    folder,
    record: join(folder, 'guest.json'),
    pidFile: join(folder, 'qemu.pid'),
    consoleLog: join(folder, 'console.log'),
    qemuLog: join(folder, 'qemu.log'),
    memory: join(folder, 'memory'),
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
