import { access, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newSecret } from '../../lib/ids.ts';
import { disksAreApart, type GuestPaths } from './guest-paths.ts';

// Disks in a folder that several hosts see belong to every host that has said so, by a file beside them: a move that may still be taken back has two. They go
// when the last host lets go of them. In a folder of one host alone they are that host's.
const STAKE = '.host-';
const stakeOf = ({ folder }: GuestPaths, hostname: string) => join(folder, `${STAKE}${encodeURIComponent(hostname)}`);

/** Says that this host has a part in the disks. Safe twice. */
export async function takeStake(stateDir: string, paths: GuestPaths, hostname: string): Promise<void> {
  if (!disksAreApart(stateDir)) return;
  await mkdir(paths.folder, { recursive: true, mode: 0o700 });
  await writeFile(stakeOf(paths, hostname), '', { mode: 0o600 });
}

/** Lets go of the disks; they are deleted when no other host has a part in them, after what `last` does about those elsewhere. Safe twice. */
export async function dropStake(stateDir: string, paths: GuestPaths, hostname: string, last: () => Promise<void>): Promise<void> {
  if (disksAreApart(stateDir)) {
    await rm(stakeOf(paths, hostname), { force: true });
    const others = (await readdir(paths.folder).catch(() => [])).some((name) => name.startsWith(STAKE));
    await rm(paths.own, { recursive: true, force: true });
    if (others) return;
  }
  await last();
  await rm(paths.folder, { recursive: true, force: true });
}

/** Leaves a mark beside the disks, and answers its name: a host that finds it has these very disks. */
export async function leaveProbe({ folder }: GuestPaths): Promise<string> {
  const name = `.probe-${newSecret(9)}`;
  await writeFile(join(folder, name), '', { mode: 0o600 });
  return name;
}
export const removeProbe = ({ folder }: GuestPaths, name: string) => rm(join(folder, name), { force: true });
export const seesProbe = ({ folder }: GuestPaths, name: string) =>
  /^\.probe-[\w-]{4,40}$/.test(name)
    ? access(join(folder, name)).then(
        () => true,
        () => false,
      )
    : Promise.resolve(false);
