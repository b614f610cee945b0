import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FakeGuest } from '../../src/hypervisors/fake/fake-journal.ts';
import type { Entry } from '../../src/services/compute-agent/journal.ts';

/** What fake hosts run and remember, read from their files beside the living agents. */
export const hostFiles = (dataDir: (host: string) => string) => ({
  guestsOf(host: string): readonly FakeGuest[] {
    const guests = new Map<string, FakeGuest>();
    eachLine<{ guest?: FakeGuest; gone?: string }>(join(dataDir(host), 'agent', 'fake', 'fake-guests.jsonl'), (line) => {
      if (line.guest) guests.set(line.guest.spec.uuid, line.guest);
      else if (line.gone) guests.delete(line.gone);
    });
    return [...guests.values()];
  },
  journalOf(host: string): readonly Entry[] {
    const entries = new Map<string, Entry>();
    eachLine<Entry | { gone: string }>(join(dataDir(host), 'agent', 'journal.jsonl'), (line) => {
      if ('gone' in line) entries.delete(line.gone);
      else entries.set(line.uuid, line);
    });
    return [...entries.values()];
  },
});

function eachLine<T>(path: string, each: (line: T) => void): void {
  let text = '';
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return; // never started
  }
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) if (line !== '') each(JSON.parse(line) as T); // its agent wrote it
}
