import { appendFileSync, closeSync, mkdirSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { GuestSpec, PowerState } from '../driver.ts';

/** What the fake host knows of one guest. */
export interface FakeGuest {
  readonly spec: GuestSpec;
  readonly disks: boolean;
  /** Null: disks only, never spawned or destroyed since. */
  readonly power: PowerState | null;
  /** What its console tells, oldest first. */
  readonly story: readonly { readonly at: number; readonly text: string }[];
}
export interface FakeState {
  readonly guests: Map<string, FakeGuest>;
  readonly images: Set<string>;
}
type Line = { guest: FakeGuest } | { gone: string } | { image: string } | { imageGone: string };

export interface FakeJournal {
  /** Everything that was written, and a compact file to go on with. */
  open(): FakeState;
  write(line: Line): void;
  close(): void;
}

const apply = (state: FakeState, line: Line) => {
  if ('guest' in line) state.guests.set(line.guest.spec.uuid, line.guest);
  else if ('gone' in line) state.guests.delete(line.gone);
  else if ('imageGone' in line) state.images.delete(line.imageGone);
  else state.images.add(line.image);
};

/** One file of JSON lines, appended: it outlives `kill -9` of this process (not of the machine: a fake guest would not either).
 *  Without a directory the guests live in memory only. */
export function createFakeJournal(stateDir: string | undefined): FakeJournal {
  if (stateDir === undefined) {
    const state: FakeState = { guests: new Map(), images: new Set() };
    return { open: () => state, write() {}, close() {} };
  }
  const path = join(stateDir, 'fake-guests.jsonl');
  let file: number | undefined;
  const close = () => {
    if (file !== undefined) closeSync(file);
    file = undefined;
  };
  return {
    open() {
      close();
      mkdirSync(stateDir, { recursive: true, mode: 0o700 });
      const state: FakeState = { guests: new Map(), images: new Set() };
      for (const text of readIfThere(path).split('\n')) {
        if (text === '') continue;
        try {
          apply(state, JSON.parse(text) as Line); // our own file; a half line at its end is what a kill left
        } catch {}
      }
      const lines: Line[] = [...[...state.images].map((image) => ({ image })), ...[...state.guests.values()].map((guest) => ({ guest }))];
      writeFileSync(`${path}.new`, lines.map((line) => `${JSON.stringify(line)}\n`).join(''), { mode: 0o600 });
      renameSync(`${path}.new`, path);
      file = openSync(path, 'a', 0o600);
      return state;
    },
    write(line) {
      if (file !== undefined) appendFileSync(file, `${JSON.stringify(line)}\n`);
    },
    close,
  };
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return ''; // node's fs throws nothing else
    throw cause;
  }
}
