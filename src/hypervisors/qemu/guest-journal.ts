import { open, readdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestInfo, GuestSpec, PowerState } from '../driver.ts';
import type { GuestDisk } from './disks.ts';
import { type GuestPaths, guestPaths, instancesFolder } from './guest-paths.ts';
import { syncFolder } from './image-cache.ts';
import type { ProcessIdentity } from './process-identity.ts';

/** What the host remembers of one guest: enough to adopt its process, or to start it anew. */
export interface GuestRecord {
  readonly version: 1;
  readonly spec: GuestSpec;
  /** `pending`: written before QEMU is started, so that no process is ever without a record. */
  readonly power: PowerState;
  readonly process: ProcessIdentity | null;
  readonly qmpSocket: string;
  readonly vncSocket: string;
  readonly serialSocket: string;
  readonly disks: readonly GuestDisk[];
  readonly forwards: GuestInfo['forwards'];
}

/** Replaces the record: temporary file, fsync, rename, fsync of the folder. */
export async function writeRecord(paths: GuestPaths, record: GuestRecord): Promise<void> {
  const temporary = `${paths.record}.part`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(`${JSON.stringify(record, null, 1)}\n`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, paths.record);
  await syncFolder(paths.folder);
}

/** Every readable record. What cannot be read is answered beside them, to be told and left alone. */
export async function readRecords(stateDir: string): Promise<{ records: GuestRecord[]; unreadable: string[] }> {
  const records: GuestRecord[] = [];
  const unreadable: string[] = [];
  for (const name of await readdir(instancesFolder(stateDir)).catch(() => [])) {
    const file = join(instancesFolder(stateDir), name, 'guest.json');
    const text = await readFile(file, 'utf8').catch(() => undefined); // disks without a guest: nothing to adopt
    if (text === undefined) continue;
    try {
      const record = JSON.parse(text) as GuestRecord; // written by writeRecord; checked just below
      if (record.version !== 1 || guestPaths(stateDir, record.spec.uuid).record !== file) throw new Error('not a record of this guest');
      records.push(record);
    } catch {
      unreadable.push(file);
    }
  }
  return { records, unreadable };
}
