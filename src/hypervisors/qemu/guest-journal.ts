import { open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { GuestInfo, GuestSpec, MoveOffer, PowerState, RescueSpec } from '../driver.ts';
import type { GuestDisk } from './disks.ts';
import { type GuestPaths, guestPaths, ownFolder } from './guest-paths.ts';
import { syncFolder } from './image-cache.ts';
import type { PlacedCell } from './place-cells.ts';
import type { ProcessIdentity } from './process-identity.ts';
import { withDiskSpace } from './programs.ts';
import type { Slot } from './slots.ts';

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
  /** The machine as it was built: what memory on disk, or another host, has to find again. */
  readonly slots: readonly Slot[];
  /** Where its memory cells stand on this host; null: it asks for none. */
  readonly cells: readonly PlacedCell[] | null;
  /** Whether the process may start others: metadata by the user network needs one. */
  readonly forks: boolean;
  /** What it was booted from for rescue; null: it is not being rescued. */
  readonly rescue: RescueSpec | null;
  /** Its memory is being written to disk; what it did before. Found by a new agent: that was interrupted. */
  readonly suspending: 'running' | 'paused' | null;
  /** It comes from another host and has not been handed over: whoever finds this at a start puts the guest away. */
  readonly incoming: boolean;
  /** It was handed over and runs here, and a part of its memory is still to come. Found with a guest that is off: it never came. */
  readonly arriving: boolean;
  /** It is being sent there; whoever finds this at a start and a guest that was sent asks there which of the two may run. */
  readonly leaving: MoveOffer | null;
}
export const NEW_RECORD = {
  slots: [],
  cells: null,
  forks: true,
  rescue: null,
  suspending: null,
  incoming: false,
  arriving: false,
  leaving: null,
} as const;

/** Replaces the record: temporary file, fsync, rename, fsync of the folder. Throws noDiskSpace; then the old one stands. */
export async function writeRecord(paths: GuestPaths, record: GuestRecord): Promise<void> {
  const temporary = `${paths.record}.part`;
  try {
    const file = await open(temporary, 'w', 0o600);
    try {
      await file.writeFile(`${JSON.stringify(record, null, 1)}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, paths.record);
    await syncFolder(paths.own);
  } catch (cause) {
    await rm(temporary, { force: true });
    throw withDiskSpace(cause, `the record of guest ${record.spec.uuid} was written`);
  }
}

/** Every readable record. What cannot be read is answered beside them, to be told and left alone. */
export async function readRecords(stateDir: string): Promise<{ records: GuestRecord[]; unreadable: string[] }> {
  const records: GuestRecord[] = [];
  const unreadable: string[] = [];
  for (const name of await readdir(ownFolder(stateDir)).catch(() => [])) {
    const file = join(ownFolder(stateDir), name, 'guest.json');
    const text = await readFile(file, 'utf8').catch(() => undefined); // disks without a guest: nothing to adopt
    if (text === undefined) continue;
    try {
      const record = { ...NEW_RECORD, ...(JSON.parse(text) as GuestRecord) }; // written by writeRecord; checked just below
      if (record.version !== 1 || guestPaths(stateDir, record.spec.uuid).record !== file) throw new Error('not a record of this guest');
      records.push(record);
    } catch {
      unreadable.push(file);
    }
  }
  return { records, unreadable };
}
