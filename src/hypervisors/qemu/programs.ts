import { execFile } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { hypervisorFailed, hypervisorMissing, noDiskSpace } from '../../model/errors-hypervisor.ts';

/** What the driver runs, and the Debian package it comes from. */
const PACKAGE_OF = { 'qemu-system-x86_64': 'qemu-system-x86', 'qemu-img': 'qemu-utils', socat: 'socat' } as const;
export type Program = keyof typeof PACKAGE_OF;

/** Where a program lies, or undefined. Folders of administration are looked at too: they are not on every user's PATH. */
export function findProgram(name: string, path: string = process.env.PATH ?? ''): string | undefined {
  for (const folder of [...path.split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']) {
    const file = join(folder, name);
    try {
      if (folder !== '') accessSync(file, constants.X_OK);
      if (folder !== '') return file;
    } catch {}
  }
  return undefined;
}

/** The programs this driver needs that are not installed, with the one command that installs them all; undefined when none is missing. */
export function missingQemuPrograms(path?: string): { programs: readonly Program[]; install: string } | undefined {
  const programs = (Object.keys(PACKAGE_OF) as Program[]).filter((name) => findProgram(name, path) === undefined); // keys of the literal above
  if (programs.length === 0) return undefined;
  return { programs, install: `apt-get install --no-install-recommends ${programs.map((name) => PACKAGE_OF[name]).join(' ')}` };
}

/** Throws hypervisorMissing that names the first missing program and installs all. */
export function mustHavePrograms(path?: string): void {
  const missing = missingQemuPrograms(path);
  if (missing) throw hypervisorMissing({ program: missing.programs.join(', '), install: missing.install });
}

/** Runs a program to its end with an empty input and answers what it printed. `progress`: of qemu-img with `-p`, how far it is, of 1. A deadline keeps a hung one from holding a guest.
 *  Throws noDiskSpace, hypervisorFailed. */
export function runProgram(
  program: string,
  args: readonly string[],
  more: { timeoutMs?: number; signal?: AbortSignal; progress?: (part: number) => void } = {},
): Promise<string> {
  const { progress } = more;
  const timeout = more.timeoutMs ?? 60_000;
  return new Promise((resolve, reject) => {
    const child = execFile(
      findProgram(program) ?? program,
      [...args],
      {
        timeout,
        killSignal: 'SIGKILL',
        maxBuffer: 4 * 1024 * 1024,
        env: { ...process.env, LC_ALL: 'C' },
        ...(more.signal ? { signal: more.signal } : {}),
      },
      (cause, stdout, stderr) => {
        if (!cause) return resolve(stdout);
        const said = stderr.trim().split('\n').at(-1) ?? '';
        const why = cause.killed ? `${program} did not end within ${timeout} ms` : `${program}: ${said || cause.message}`;
        const make = /No space left on device|Disk quota exceeded/.test(stderr) ? noDiskSpace : hypervisorFailed;
        reject(make({ why }, { cause, detail: `${program} ${args.join(' ')}\n${stderr}` }));
      },
    );
    if (progress)
      child.stdout?.on('data', (text: string) => {
        const percent = /\((\d+(?:\.\d+)?)\/100%\)(?!.*\/100%)/s.exec(text)?.[1];
        if (percent !== undefined) progress(Number(percent) / 100);
      });
    child.stdin?.end();
  });
}

/** Turns the operating system's "disk full" into noDiskSpace; other errors come back as they are. */
export function withDiskSpace(cause: unknown, doing: string): unknown {
  const code = (cause as { code?: unknown } | null)?.code; // errors of node's fs carry a code
  return code === 'ENOSPC' || code === 'EDQUOT' ? noDiskSpace({ why: `none left while ${doing}` }, { cause }) : cause;
}
