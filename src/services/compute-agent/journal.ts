import { closeSync, fdatasyncSync, ftruncateSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BuildCommand } from '../../bus/contracts/compute-agent.ts';
import type { AgentReport } from '../../bus/contracts/conductor.ts';
import type { GuestSpec } from '../../hypervisors/driver.ts';
import { writeFileWhole } from '../../lib/write-file.ts';
import type { Amounts } from '../../model/resources.ts';

/** What the agent remembers of one guest. */
export interface Entry {
  readonly uuid: string;
  readonly epoch: number;
  /** The job that was worked on last. */
  readonly jobUuid: string;
  /** 'building': begun, maybe half made. 'failed', 'destroyed': only the outcome is left, until it is recorded. 'parked': another host owns the
   *  server now; the disks are kept until `until`. */
  readonly state: 'building' | 'built' | 'failed' | 'destroyed' | 'parked';
  /** While building: to go on with after a restart. */
  readonly command?: BuildCommand;
  /** When built: to turn it on again from. */
  readonly guest?: GuestSpec;
  readonly amounts: Amounts;
  /** Outcome of the job. */
  readonly report?: AgentReport;
  readonly until?: number;
  /** Of a failed build: something of it is still here, and goes when it can be taken away. */
  readonly dirty?: true;
}
/** `until` of what stays until the conductor says otherwise: the other half of a move that has not ended. A built guest with a time before it is not
 *  compared with what the cloud says until then: it is just coming. */
export const HELD = Number.MAX_SAFE_INTEGER;

/** One file of JSON lines, appended: each line is all that is known of one guest, and the last line of a guest counts. What was written outlives
 *  `kill -9`; a half line at the end is a write that never was. The file is written anew, without what is gone, when it is opened and as it grows. */
export interface Journal {
  get(uuid: string): Entry | undefined;
  all(): readonly Entry[];
  put(entry: Entry): void;
  drop(uuid: string): void;
  close(): void;
}

const GROWN_BYTES = 4 * 1024 * 1024;

export function openJournal(stateDir: string, durable: boolean): Journal {
  const path = join(stateDir, 'journal.jsonl');
  const entries = new Map<string, Entry>();
  for (const line of readLines(path)) {
    if ('gone' in line) entries.delete(line.gone);
    else entries.set(line.uuid, line);
  }
  let file: number | undefined;
  let bytes = 0;
  let whole = 0;
  const rewrite = () => {
    if (file !== undefined) closeSync(file);
    const text = [...entries.values()].map((entry) => `${JSON.stringify(entry)}\n`).join('');
    writeFileWhole(path, text, { durable });
    file = openSync(path, 'a', 0o600);
    bytes = whole = Buffer.byteLength(text);
  };
  rewrite();
  const append = (line: Entry | { gone: string }) => {
    if (file === undefined) throw new Error('the journal is closed');
    const text = `${JSON.stringify(line)}\n`;
    try {
      writeFileSync(file, text);
    } catch (cause) {
      ftruncateSync(file, bytes); // a full disk took a part of it, behind which nobody could read the next line
      throw cause;
    }
    bytes += Buffer.byteLength(text);
    if (durable) fdatasyncSync(file);
    if (bytes > GROWN_BYTES && bytes > 4 * whole) rewrite();
  };
  return {
    get: (uuid) => entries.get(uuid),
    all: () => [...entries.values()],
    put(entry) {
      append(entry);
      entries.set(entry.uuid, entry);
    },
    drop(uuid) {
      if (!entries.has(uuid)) return;
      append({ gone: uuid });
      entries.delete(uuid);
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

function readLines(path: string): (Entry | { gone: string })[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw cause;
  }
  const end = text.lastIndexOf('\n');
  return text
    .slice(0, end + 1)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Entry | { gone: string }); // written by put and drop only
}
