import type { HostFacts } from '../../../db/tables/compute/hosts.ts';
import type { Micros } from '../../../lib/clock.ts';
import { type Enforced, emptyColumns, type HostColumns, putHost } from '../host-columns.ts';
import type { Host } from '../live-host.ts';
import { indexOf, isMissed } from './host-changes.ts';
import { DISABLED, FORCED_DOWN, UP } from './liveness.ts';

/** What a decision leaves behind so that the clouds of its moment can be had again. */
export interface Mark {
  readonly now: Micros;
  /** Members of the request's group by host, as they counted then. */
  readonly groupHosts: ReadonlyMap<string, number>;
  /** Own choices that were not claimed yet did not count. */
  readonly claimedOnly: boolean;
}
/** A decision: its seed and its server name it. */
export interface Marked extends Mark {
  readonly seed: number;
  readonly server: string;
  /** How many lines there were. */
  readonly line: number;
}
/** Hosts at one moment, or lines of what hosts were before: one entry each. */
export interface HostRows {
  /** NUMBERS for each. */
  readonly numbers: Float32Array;
  readonly states: Uint8Array;
  readonly facts: readonly HostFacts[];
  readonly aggregates: readonly Host['aggregates'][];
}
/** All that a journal keeps. Needs no columns: it can be laid by, and written into a file. */
export interface Kept {
  readonly present: HostRows;
  /** The oldest first; `first` is its number. */
  readonly lines: HostRows & { readonly hosts: Int32Array; readonly first: number };
  readonly marks: readonly Marked[];
}
export interface Rewound {
  readonly columns: HostColumns;
  readonly mark: Mark;
}
/** What changed of hosts, backwards: each line holds what was before. */
export interface Journal {
  /** Brings it up to the newest change. Call before anything is marked. */
  follow(): void;
  mark(seed: number, server: string, now: Micros, groupHosts: ReadonlyMap<string, number>, claimedOnly: boolean): void;
  /** The hosts as they were at a decision; undefined when that is past what is kept. */
  rewind(seed: number, server: string): Rewound | undefined;
  kept(): Kept;
}

const names = ['VCPU', 'MEMORY_MB', 'DISK_GB'] as const;
/** So many lines, and decisions, are kept: the oldest go first. */
const LINES = 32_768;
const MARKS = 10_000;
/** A host's numbers: used and pending of each class; servers that keep it busy, that stand there, that are chosen for it. */
const NUMBERS = 9;

/** `stateOf`: what liveness.ts knows of a host's service. */
export function keepJournal(columns: HostColumns, stateOf: (at: number) => number, enforced: Enforced = null): Journal {
  const { hosts, changes } = columns;
  // Half the room: whole numbers up to 16 million are exact. What is not gives another choice, and then no table is shown.
  const numbers = new Float32Array(hosts.length * NUMBERS);
  const states = new Uint8Array(hosts.length);
  const facts: HostFacts[] = hosts.map((host) => host.facts);
  const aggregates: Host['aggregates'][] = hosts.map((host) => host.aggregates);
  /** Decisions, a ring; plain numbers, for one is written with each. */
  const [seeds, lineOf, times] = [new Float64Array(MARKS).fill(-1), new Float64Array(MARKS), new Float64Array(MARKS)];
  const claimed = new Uint8Array(MARKS);
  const servers: string[] = [];
  const groups = new Map<number, ReadonlyMap<string, number>>();
  let marked = 0;
  let room = 256;
  let oldHosts = new Int32Array(room);
  let oldNumbers = new Float32Array(room * NUMBERS);
  let oldStates = new Uint8Array(room);
  const oldFacts: HostFacts[] = [];
  const oldAggregates: Host['aggregates'][] = [];
  let next = 0;
  let read = changes.next;
  /** Lines from before this one say nothing of the present. */
  let broken = 0;

  const present = (at: number) => {
    const { used, pending } = columns;
    const from = at * NUMBERS;
    numbers[from] = used.VCPU[at]!;
    numbers[from + 1] = used.MEMORY_MB[at]!;
    numbers[from + 2] = used.DISK_GB[at]!;
    numbers[from + 3] = pending.VCPU[at]!;
    numbers[from + 4] = pending.MEMORY_MB[at]!;
    numbers[from + 5] = pending.DISK_GB[at]!;
    const host = hosts[at]!;
    numbers[from + 6] = host.busy;
    numbers[from + 7] = host.servers.size;
    numbers[from + 8] = host.chosen.size;
    states[at] = stateOf(at);
    facts[at] = host.facts;
    aggregates[at] = host.aggregates;
  };
  const grow = () => {
    const [hostsNow, numbersNow, statesNow] = [oldHosts, oldNumbers, oldStates];
    room *= 2;
    oldHosts = new Int32Array(room);
    oldNumbers = new Float32Array(room * NUMBERS);
    oldStates = new Uint8Array(room);
    oldHosts.set(hostsNow);
    oldNumbers.set(numbersNow);
    oldStates.set(statesNow);
  };
  const write = (at: number) => {
    if (next === room && room < LINES) grow();
    const line = next++ % room;
    oldHosts[line] = at;
    for (let of = 0; of < NUMBERS; of++) oldNumbers[line * NUMBERS + of] = numbers[at * NUMBERS + of]!;
    oldStates[line] = states[at]!;
    oldFacts[line] = facts[at]!;
    oldAggregates[line] = aggregates[at]!;
    present(at);
  };
  for (let at = 0; at < hosts.length; at++) present(at);

  const journal: Journal = {
    follow() {
      if (read === changes.next) return;
      if (isMissed(changes, read)) {
        for (let at = 0; at < facts.length; at++) present(at);
        broken = next;
      } else for (let line = read; line < changes.next; line++) if (indexOf(changes, line) < facts.length) write(indexOf(changes, line));
      read = changes.next;
    },
    mark(seed, server, now, groupHosts, claimedOnly) {
      // Asked twice about one request, the second answer is the decision.
      if (marked > 0 && seeds[(marked - 1) % MARKS] === seed) marked--;
      const place = marked++ % MARKS;
      seeds[place] = seed;
      servers[place] = server;
      lineOf[place] = next;
      times[place] = now;
      claimed[place] = claimedOnly ? 1 : 0;
      if (groupHosts.size > 0) groups.set(place, groupHosts);
      else if (groups.size > 0) groups.delete(place);
    },
    rewind(seed, server) {
      const place = seeds.indexOf(seed);
      if (place < 0 || servers[place] !== server) return undefined;
      // Which servers stood there is not kept: what asks for more than their number may not come out the same, and then no table is shown.
      return rewindKept(journal.kept(), seed, server, enforced, hosts);
    },
    kept() {
      journal.follow();
      const first = Math.max(broken, next - room, 0);
      const count = next - first;
      const lines = {
        first,
        hosts: new Int32Array(count),
        numbers: new Float32Array(count * NUMBERS),
        states: new Uint8Array(count),
        facts: [] as HostFacts[],
        aggregates: [] as Host['aggregates'][],
      };
      for (let at = 0; at < count; at++) {
        const line = (first + at) % room;
        lines.hosts[at] = oldHosts[line]!;
        lines.numbers.set(oldNumbers.subarray(line * NUMBERS, (line + 1) * NUMBERS), at * NUMBERS);
        lines.states[at] = oldStates[line]!;
        lines.facts.push(oldFacts[line]!);
        lines.aggregates.push(oldAggregates[line]!);
      }
      const marks: Marked[] = [];
      for (let at = Math.max(0, marked - MARKS); at < marked; at++) {
        const place = at % MARKS;
        const line = lineOf[place]!;
        if (line < first) continue;
        const [seed, server, now] = [seeds[place]!, servers[place]!, times[place]!];
        marks.push({ seed, server, line, now, groupHosts: groups.get(place) ?? new Map(), claimedOnly: claimed[place] === 1 });
      }
      return {
        present: { numbers: numbers.slice(), states: states.slice(), facts: facts.slice(), aggregates: aggregates.slice() },
        lines,
        marks,
      };
    },
  };
  return journal;
}

/** The hosts as they were at a decision that a journal kept. `standing`: the hosts now, whose servers count as those of then. */
export function rewindKept(
  { present, lines, marks }: Kept,
  seed: number,
  server: string,
  enforced: Enforced,
  standing: readonly Host[] = [],
): Rewound | undefined {
  const mark = marks.find((one) => one.seed === seed && one.server === server);
  if (!mark) return undefined;
  const then = {
    numbers: present.numbers.slice(),
    states: present.states.slice(),
    facts: present.facts.slice(),
    aggregates: present.aggregates.slice(),
  };
  for (let line = lines.hosts.length - 1; line >= mark.line - lines.first; line--) {
    const at = lines.hosts[line]!;
    then.numbers.set(lines.numbers.subarray(line * NUMBERS, (line + 1) * NUMBERS), at * NUMBERS);
    then.states[at] = lines.states[line]!;
    then.facts[at] = lines.facts[line]!;
    then.aggregates[at] = lines.aggregates[line]!;
  }
  const old = emptyColumns();
  for (const [at, one] of then.facts.entries()) {
    const state = then.states[at]!;
    const facts = {
      ...one,
      disabled: (state & DISABLED) > 0,
      forcedDown: (state & FORCED_DOWN) > 0,
      lastSeenAt: state & UP ? mark.now : null,
    };
    const host = putHost(old, old.byName, facts, enforced);
    host.aggregates = then.aggregates[at]!;
    const now = standing[at];
    if (now) [host.servers, host.held] = [now.servers, now.held];
    const [busy, there, chosen] = then.numbers.subarray(at * NUMBERS + 6, at * NUMBERS + 9);
    const also = mark.claimedOnly ? 0 : chosen!;
    Object.defineProperties(host, { numIoOps: { value: busy! + also }, numInstances: { value: there! + also } });
    for (const [of, name] of names.entries()) {
      old.used[name][at] = then.numbers[at * NUMBERS + of]!;
      old.pending[name][at] = mark.claimedOnly ? 0 : then.numbers[at * NUMBERS + 3 + of]!;
    }
  }
  return { columns: old, mark };
}
