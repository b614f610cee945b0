import type { Amounts } from '../../../model/resources.ts';
import type { LiveAsk } from '../filter.ts';
import type { HostColumns } from '../host-columns.ts';
import { indexOf, isMissed } from './host-changes.ts';
import { createRanking, type Ranking } from './ranking.ts';
import type { RawValues } from './raw-values.ts';
import { PASSED, REFUSED, type Verdicts } from './verdicts.ts';

/** A filter's place among the filters of the rules, and its verdicts for one kind of request. */
export interface Question {
  readonly place: number;
  readonly verdicts: Verdicts;
}
/** What requests that ask for the same have in common: at which question each host falls, how many fall at each, and the others by weight. */
export interface RequestKind {
  readonly ranking: Ranking;
  /** By host: 0 at the stages, 1 + the filter's place, `passed`. */
  readonly falls: Uint8Array;
  readonly counts: Int32Array;
  readonly passed: number;
  /** A filter threw for some host: only the plain code can answer. */
  readonly threw: boolean;
  /** `shape` of each of the raw values it was built on. */
  readonly built: readonly number[];
  follow(ask: LiveAsk): void;
  /** Lets a host fall elsewhere for the time being; answers where it fell. */
  move(at: number, fall: number): number;
}
const THROWS = 255;
/** Nobody was asked yet. */
const UNKNOWN = 254;

export function keepKind(
  columns: HostColumns,
  amounts: Amounts,
  zone: Verdicts | null,
  questions: readonly Question[],
  filters: number,
  raws: readonly RawValues[],
): RequestKind {
  const { changes } = columns;
  const size = columns.hosts.length;
  const passed = filters + 1;
  const falls = new Uint8Array(size).fill(UNKNOWN);
  const counts = new Int32Array(passed + 1);
  const ranking = createRanking(
    raws.filter((raw) => raw.multiplier !== 0 || raw.multipliers !== null),
    falls,
    passed,
  );
  let [read, threw] = [Number.NEGATIVE_INFINITY, 0];
  const { VCPU, MEMORY_MB, DISK_GB } = amounts;

  const fallOf = (at: number): number => {
    const { capacity, used, pending } = columns;
    if (VCPU > 0 && VCPU > capacity.VCPU[at]! - used.VCPU[at]! - pending.VCPU[at]!) return 0;
    if (MEMORY_MB > 0 && MEMORY_MB > capacity.MEMORY_MB[at]! - used.MEMORY_MB[at]! - pending.MEMORY_MB[at]!) return 0;
    if (DISK_GB > 0 && DISK_GB > capacity.DISK_GB[at]! - used.DISK_GB[at]! - pending.DISK_GB[at]!) return 0;
    if (zone !== null && zone.of[at] !== PASSED) return 0;
    for (const { place, verdicts } of questions) {
      const verdict = verdicts.of[at];
      if (verdict === PASSED) continue;
      return verdict === REFUSED ? place + 1 : THROWS;
    }
    return passed;
  };
  const count = (fall: number, by: 1 | -1) => {
    if (fall === UNKNOWN) return;
    if (fall === THROWS) threw += by;
    else counts[fall] = counts[fall]! + by;
  };
  const move = (at: number, fall: number): number => {
    const before = falls[at]!;
    if (before !== fall) {
      count(before, -1);
      count(fall, 1);
      falls[at] = fall;
    }
    if (fall === passed) ranking.changed(at, before === passed ? 0 : 1);
    else if (before === passed) ranking.changed(at, -1);
    return before;
  };
  return {
    ranking,
    falls,
    counts,
    passed,
    built: raws.map((raw) => raw.shape),
    get threw() {
      return threw > 0;
    },
    follow(ask) {
      zone?.follow(ask);
      for (const { verdicts } of questions) verdicts.follow(ask);
      if (read === changes.next) return;
      if (isMissed(changes, read)) for (let at = 0; at < size; at++) move(at, fallOf(at));
      else
        for (let line = read; line < changes.next; line++) {
          const at = indexOf(changes, line);
          if (line > read && at === indexOf(changes, line - 1)) continue;
          move(at, fallOf(at));
        }
      read = changes.next;
    },
    move,
  };
}
