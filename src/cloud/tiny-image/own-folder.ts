import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Makes a folder `KIND-PID-...` in `parent` for this process alone, and removes those that dead processes left there. */
export async function makeOwnFolder(parent: string, kind: string): Promise<string> {
  await mkdir(parent, { recursive: true });
  for (const name of await readdir(parent)) {
    if (!name.startsWith(`${kind}-`)) continue;
    const pid = /^(\d+)-/.exec(name.slice(kind.length + 1))?.[1];
    if (pid === undefined || !existsSync(`/proc/${pid}`)) await rm(join(parent, name), { recursive: true, force: true });
  }
  return mkdtemp(join(parent, `${kind}-${process.pid}-`));
}
