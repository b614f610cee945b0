/** Which hosts changed of late, as numbered lines. Readers keep a number of their own; who fell behind what is kept looks at every host anew. */
export interface HostChanges {
  /** Number of the next line. */
  next: number;
  /** Rises when services were read anew: whether hosts are alive is asked again. */
  services: number;
  readonly lines: Int32Array;
}
const KEPT = 16_384; // a power of two

export const noChanges = (): HostChanges => ({ next: 0, services: 0, lines: new Int32Array(KEPT) });

/** Says that a host's amounts changed, or more than these. */
export function touch(changes: HostChanges, at: number, what: 'amounts' | 'facts'): void {
  changes.lines[changes.next & (KEPT - 1)] = at * 2 + (what === 'facts' ? 1 : 0);
  changes.next++;
}
export const isMissed = (changes: HostChanges, from: number) => from < changes.next - KEPT;
export const indexOf = (changes: HostChanges, line: number) => changes.lines[line & (KEPT - 1)]! >> 1;
export const isFacts = (changes: HostChanges, line: number) => (changes.lines[line & (KEPT - 1)]! & 1) === 1;
