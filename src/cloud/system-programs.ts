import { spawn } from 'node:child_process';
import { accessSync, appendFileSync, constants, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A program of the system that some part needs. */
export interface SystemProgram {
  readonly program: string;
  /** Debian's package. */
  readonly package: string;
  readonly why: string;
}

/** What real guests need. */
export const guestPrograms: readonly SystemProgram[] = [
  { program: 'qemu-system-x86_64', package: 'qemu-system-x86', why: 'runs guests' },
  { program: 'qemu-img', package: 'qemu-utils', why: "makes guests' disks" },
  { program: 'socat', package: 'socat', why: "carries guests' metadata requests" },
];
/** What building the tiny image needs besides. */
export const imagePrograms: readonly SystemProgram[] = [
  { program: 'apt-get', package: 'apt', why: "brings the tiny image's packages" },
  { program: 'dpkg-deb', package: 'dpkg', why: 'unpacks them' },
  { program: 'cpio', package: 'cpio', why: 'packs its initial ramdisk' },
  { program: 'mke2fs', package: 'e2fsprogs', why: 'makes its file system' },
  { program: 'mcopy', package: 'mtools', why: 'fills its boot partition' },
  { program: 'syslinux', package: 'syslinux', why: 'makes it boot from its own disk' },
  { program: 'sfdisk', package: 'fdisk', why: 'partitions its disk' },
  { program: 'depmod', package: 'kmod', why: "orders its kernel's modules" },
];

/** The one log of a set-up: the launcher's when there is one, else in the data dir. */
export const setupLog = (dataDir: string): string => process.env.KILONOVA_SETUP_LOG ?? join(dataDir, 'setup.log');

/** Looks through PATH, and the folders of administration, which are not on every user's. */
export function findProgram(program: string): string | undefined {
  for (const dir of [...(process.env.PATH ?? '').split(':'), '/usr/local/sbin', '/usr/sbin', '/sbin']) {
    if (dir === '') continue;
    try {
      accessSync(join(dir, program), constants.X_OK);
      return join(dir, program);
    } catch {
      // not here
    }
  }
  return undefined;
}

export const missingPrograms = (wanted: readonly SystemProgram[]): SystemProgram[] => wanted.filter(({ program }) => !findProgram(program));
export const aptLine = (missing: readonly SystemProgram[]): string =>
  `apt-get install -y --no-install-recommends ${[...new Set(missing.map((m) => m.package))].join(' ')}`;

const isDebian = () =>
  existsSync('/etc/debian_version') || /\bdebian\b/.test(existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '');

/** Installs what is missing where that is possible: as root on Debian and not forbidden. Says what it does; answers what is still missing.
 *  The install's own words go to `logFile`. */
export async function installPrograms(
  wanted: readonly SystemProgram[],
  more: { allowed: boolean; say: (line: string) => void; logFile: string },
): Promise<SystemProgram[]> {
  const missing = missingPrograms(wanted);
  if (missing.length === 0) return [];
  const line = aptLine(missing);
  const list = missing.map((m) => `${m.program} (${m.why})`).join(', ');
  if (!more.allowed || process.getuid?.() !== 0 || !isDebian()) {
    more.say(`missing: ${list}. Install: ${isDebian() ? `sudo ${line}` : `the packages of ${missing.map((m) => m.program).join(', ')}`}`);
    return missing;
  }
  more.say(`missing: ${list}. Running: ${line}`);
  // A machine that never fetched package lists has none to install from.
  const failed = (await run(['apt-get', 'update', '-qq'], more.logFile)) || (await run(line.split(' '), more.logFile));
  const still = missingPrograms(wanted);
  if (failed && still.length > 0)
    more.say(`${failed}; its words are in ${more.logFile}. Going on without ${still.map((m) => m.program).join(', ')}.`);
  return still;
}

function run(words: readonly string[], logFile: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    appendFileSync(logFile, `== ${words.join(' ')}\n`, { mode: 0o600 });
    const child = spawn(words[0] ?? '', words.slice(1), {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => appendFileSync(logFile, chunk));
    child.on('error', (cause) => resolve(`${words[0]} could not be run: ${cause.message}`));
    child.on('exit', (code) => resolve(code === 0 ? undefined : `${words.slice(0, 2).join(' ')} ended with ${code}`));
  });
}
