import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { tinyImageFailed } from '../../model/errors-hypervisor.ts';

/** What the build runs, and the Debian package of each. */
const PACKAGE_OF = {
  'apt-get': 'apt',
  'apt-cache': 'apt',
  'dpkg-deb': 'dpkg',
  mke2fs: 'e2fsprogs',
  mformat: 'mtools',
  mcopy: 'mtools',
  syslinux: 'syslinux',
  depmod: 'kmod',
  'qemu-img': 'qemu-utils',
} as const;
/** Administration's folders are not on every user's PATH. */
const FOLDERS = () =>
  [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'].filter((folder) => folder !== '');

export function hasTool(name: string): boolean {
  return FOLDERS().some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** What is missing to build the tiny image, with the command that installs it; undefined when all is there. */
export function missingTools(): { programs: readonly string[]; install: string } | undefined {
  const wanted: Record<string, string> = { ...PACKAGE_OF, ...(process.getuid?.() === 0 ? {} : { fakeroot: 'fakeroot' }) };
  const programs = Object.keys(wanted).filter((name) => !hasTool(name));
  if (programs.length === 0) return undefined;
  const packages = new Set(programs.map((name) => wanted[name]));
  return { programs, install: `apt-get install --no-install-recommends ${[...packages].join(' ')}` };
}

/** Runs one tool to its end; answers what it printed. Throws tinyImageFailed with its last words. */
export function runTool(
  program: string,
  args: readonly string[],
  more: { cwd?: string; signal: AbortSignal; input?: string },
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      program,
      [...args],
      {
        ...(more.cwd ? { cwd: more.cwd } : {}),
        signal: more.signal,
        maxBuffer: 64 * 1024 * 1024,
        timeout: 600_000,
        env: { ...process.env, PATH: FOLDERS().join(delimiter), LC_ALL: 'C', MTOOLS_SKIP_CHECK: '1', MTOOLSRC: '/dev/null' },
      },
      (cause, stdout, stderr) => {
        if (!cause) return resolve(stdout);
        if (more.signal.aborted) return reject(more.signal.reason);
        const lines = stderr.trim().split('\n');
        const said = lines.find((line) => /^E:|error|cannot|failed/i.test(line)) ?? lines.at(-1);
        reject(
          tinyImageFailed({ why: `${program}: ${said || cause.message}` }, { cause, detail: `${program} ${args.join(' ')}\n${stderr}` }),
        );
      },
    );
    child.stdin?.end(more.input);
  });
}
