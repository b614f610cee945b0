import { readFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { HostFacts } from '../../db/tables/compute/hosts.ts';
import type { HostRows, Kept } from './fast/journal.ts';
import type { Host } from './live-host.ts';

const FORM = 1;
// biome-ignore lint/suspicious/noExplicitAny: what saveJournals wrote, in the same words
type Written = any;
const bytes = (list: Float32Array | Int32Array | Uint8Array) =>
  Buffer.from(list.buffer, list.byteOffset, list.byteLength).toString('base64');
const unpacked = (text: string) => {
  const { buffer, byteOffset, byteLength } = Buffer.from(text, 'base64');
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer; // a copy, which begins where every number may
};

/** Journals as one file. Facts and aggregates stand there once, however many lines have them: they are the same objects in memory. */
export async function saveJournals(path: string, journals: readonly Kept[]): Promise<void> {
  const [things, places] = [[] as unknown[], new Map<unknown, number>()];
  const placeOf = (thing: unknown) => {
    const known = places.get(thing);
    if (known !== undefined) return known;
    places.set(thing, things.length);
    return things.push(thing) - 1;
  };
  const rows = ({ numbers, states, facts, aggregates }: HostRows) => ({
    numbers: bytes(numbers),
    states: bytes(states),
    facts: facts.map(placeOf),
    aggregates: aggregates.map(placeOf),
  });
  const kept = journals.map(({ present, lines, marks }) => ({
    present: rows(present),
    lines: { ...rows(lines), hosts: bytes(lines.hosts), first: lines.first },
    marks: marks.map((mark) => ({ ...mark, groupHosts: [...mark.groupHosts] })),
  }));
  const temporary = `${path}.${process.pid}.tmp`;
  await writeFile(temporary, JSON.stringify({ form: FORM, things, kept }), { mode: 0o600 });
  await rename(temporary, path);
}

/** What `saveJournals` wrote; nothing where that is not there or cannot be read: then decisions of earlier cannot be made again. */
export function loadJournals(path: string): Kept[] {
  try {
    const { form, things, kept } = JSON.parse(readFileSync(path, 'utf8'));
    if (form !== FORM) return [];
    const rows = ({ numbers, states, facts, aggregates }: Written): HostRows => ({
      numbers: new Float32Array(unpacked(numbers)),
      states: new Uint8Array(unpacked(states)),
      facts: facts.map((at: number): HostFacts => things[at]),
      aggregates: aggregates.map((at: number): Host['aggregates'] => things[at]),
    });
    return kept.map(
      ({ present, lines, marks }: Written): Kept => ({
        present: rows(present),
        lines: { ...rows(lines), hosts: new Int32Array(unpacked(lines.hosts)), first: lines.first },
        marks: marks.map((mark: { groupHosts: [string, number][] }) => ({ ...mark, groupHosts: new Map(mark.groupHosts) })),
      }),
    );
  } catch {
    return [];
  }
}
