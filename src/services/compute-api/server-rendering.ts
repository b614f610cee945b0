import { LRUCache } from 'lru-cache';
import { answerAt } from '../../lib/answer.ts';
import type { Version } from '../../lib/shape.ts';
import type { Server } from '../../model/server.ts';
import { type ServerDress, serverView } from './views/server-view.ts';

/** Which server, as it is now, on which host as it is now. A rendering is good as long as all of this stands. */
export interface RenderedRow {
  readonly id: number;
  readonly revision: number;
  readonly hostZone: string | null;
  readonly hostStatus: string | undefined;
}
/** What else a rendering depends on: alike for all rows of one list. */
export type ListDress = Omit<ServerDress, 'tags' | 'groups' | 'hostZone' | 'hostStatus'>;

/** Servers as JSON bytes with a comma behind, kept by everything the bytes depend on: a list then only puts together what is there. A change of a
 *  server, its tags included, raises its revision. Holds at most `maxBytes`. */
export function serverRendering(maxBytes = 24_000_000) {
  const kept = new LRUCache<string, Buffer>({ maxSize: maxBytes, sizeCalculation: (bytes, key) => bytes.length + key.length + 200 });
  const lists = new Map<string, number>();
  let count = 0;
  const keyOf = (row: RenderedRow, list: number) => `${row.id}:${row.revision}:${row.hostZone ?? ''}:${row.hostStatus ?? '-'}:${list}`;
  return {
    /** A short name for what all rows share. */
    listKey(version: Version, dress: ListDress): number {
      const { roots, extended, extraSpecs, admin } = dress;
      const text = `${version} ${roots.self} ${roots.bookmark} ${Number(extended)}${Number(extraSpecs)}${Number(admin)}`;
      const known = lists.get(text);
      if (known !== undefined) return known;
      if (lists.size >= 10_000) lists.clear(); // numbers are never used again, so what they named is only rendered once more
      lists.set(text, ++count);
      return count;
    },
    find: (row: RenderedRow, list: number): Buffer | undefined => kept.get(keyOf(row, list)),
    render(server: Server, row: RenderedRow, list: number, version: Version, dress: ListDress, tags: readonly string[]): Buffer {
      const view = serverView(server, { ...dress, tags, groups: undefined, hostZone: row.hostZone, hostStatus: row.hostStatus });
      const bytes = Buffer.from(`${JSON.stringify(answerAt(version, view))},`);
      // A row read after its key may already be newer: kept under its own revision.
      kept.set(keyOf({ ...row, revision: server.revision }, list), bytes);
      return bytes;
    },
  };
}
export type ServerRendering = ReturnType<typeof serverRendering>;

const OPEN = Buffer.from('{"servers":[');
/** The whole answer of renderings; `links` is what stands behind the list, without its brace. */
export function joinRendered(pieces: readonly Buffer[], links: string): Buffer {
  const end = Buffer.from(`]${links}}`);
  if (pieces.length === 0) return Buffer.concat([OPEN, end]);
  const whole = Buffer.concat([OPEN, ...pieces, end]);
  // The last comma makes way for the bracket.
  whole.copyWithin(whole.length - end.length - 1, whole.length - end.length);
  return whole.subarray(0, whole.length - 1);
}
