import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** A directory that this process holds alone. */
export interface DirLock {
  release(): void;
}
/** Somebody else holds the directory; `pid` is theirs as far as known. */
export class DirLocked extends Error {
  readonly pid: number | null;
  constructor(dir: string, pid: number | null) {
    super(`${dir} is in use by another kilonova process${pid ? ` (pid ${pid})` : ''}. Stop it first, or name another directory.`);
    this.name = 'DirLocked';
    this.pid = pid;
  }
}

/** Takes the directory for this process. The lock is SQLite's on a file in it: the kernel lets go of it when the process dies, however it dies.
 *  Throws DirLocked. */
export function lockDir(dir: string): DirLock {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const file = join(dir, '.lock');
  const held = new DatabaseSync(file, { timeout: 0 });
  try {
    held.exec('PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE;');
  } catch (cause) {
    held.close();
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === 5) throw new DirLocked(dir, readPid(`${file}.pid`));
    throw cause;
  }
  writeFileSync(`${file}.pid`, `${process.pid}\n`, { mode: 0o600 });
  let open = true;
  return {
    release() {
      if (open) held.close();
      open = false;
    },
  };
}

function readPid(file: string): number | null {
  try {
    return Number.parseInt(readFileSync(file, 'utf8'), 10) || null;
  } catch {
    return null;
  }
}
