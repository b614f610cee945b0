import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { newUuid } from '../../lib/ids.ts';
import { writeFileWhole } from '../../lib/write-file.ts';
import { stateDirTaken } from '../../model/errors-conductor.ts';

/** Who this agent is, over all its starts. */
export interface Identity {
  readonly hostUuid: string;
  /** The epoch under which it was registered last; 0 before the first time. */
  readonly epoch: number;
  /** Token of the start that asks for the next epoch; kept until the answer is, so that asking again is the same question. */
  readonly bootId: string | null;
}
export interface StateDir {
  identity(): Identity;
  keepIdentity(next: Identity): void;
  close(): void;
}

/** Opens and locks an agent's directory. The lock is SQLite's on an empty file: the kernel drops it when the process dies, however it dies, and no
 *  stale lock can be left. Throws stateDirTaken. */
export function openStateDir(dir: string, durable: boolean): StateDir {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const lock = new DatabaseSync(join(dir, 'agent.lock'), { timeout: 0 });
  try {
    lock.exec('PRAGMA journal_mode=MEMORY');
    lock.exec('BEGIN EXCLUSIVE');
  } catch (cause) {
    lock.close();
    throw stateDirTaken({ dir }, { cause });
  }
  const path = join(dir, 'agent.json');
  let known = readIdentity(path) ?? { hostUuid: newUuid(), epoch: 0, bootId: null };
  const keepIdentity = (next: Identity) => {
    known = next;
    writeFileWhole(path, JSON.stringify(next), { durable });
  };
  keepIdentity(known);
  return { identity: () => known, keepIdentity, close: () => lock.close() };
}

function readIdentity(path: string): Identity | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw cause;
  }
  return JSON.parse(text) as Identity; // written whole, by keepIdentity only
}
