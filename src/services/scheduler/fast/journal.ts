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
/** What changed of hosts, backwards: each line holds what was before. */
export interface Journal {
  /** Brings it up to the newest change. Call before anything is marked. */
  follow(): void;
  /** `seed`: the decision's, which names it. */
  mark(seed: number, now: Micros, groupHosts: ReadonlyMap<string, number>, claimedOnly: boolean): void;
  /** The hosts as they were at a decision; undefined when that is past what is kept. */
  rewind(seed: number): { readonly columns: HostColumns; readonly mark: Mark } | undefined;
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
  const [seeds, lines, times] = [new Float64Array(MARKS).fill(-1), new Float64Array(MARKS), new Float64Array(MARKS)];
  const claimed = new Uint8Array(MARKS);
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
        for (let at = 0; at < hosts.length; at++) present(at);
        broken = next;
      } else for (let line = read; line < changes.next; line++) write(indexOf(changes, line));
      read = changes.next;
    },
    mark(seed, now, groupHosts, claimedOnly) {
      // Asked twice about one request, the second answer is the decision.
      if (marked > 0 && seeds[(marked - 1) % MARKS] === seed) marked--;
      const place = marked++ % MARKS;
      seeds[place] = seed;
      lines[place] = next;
      times[place] = now;
      claimed[place] = claimedOnly ? 1 : 0;
      if (groupHosts.size > 0) groups.set(place, groupHosts);
      else if (groups.size > 0) groups.delete(place);
    },
    rewind(seed) {
      const place = seeds.indexOf(seed);
      journal.follow();
      const made = lines[place];
      if (made === undefined || made < broken || made < next - room) return undefined;
      const mark: Mark = { now: times[place]!, groupHosts: groups.get(place) ?? new Map(), claimedOnly: claimed[place] === 1 };
      const then = { numbers: numbers.slice(), states: states.slice(), facts: facts.slice(), aggregates: aggregates.slice() };
      for (let line = next - 1; line >= made; line--) {
        const [at, place] = [oldHosts[line % room]!, line % room];
        then.numbers.set(oldNumbers.subarray(place * NUMBERS, (place + 1) * NUMBERS), at * NUMBERS);
        then.states[at] = oldStates[place]!;
        then.facts[at] = oldFacts[place]!;
        then.aggregates[at] = oldAggregates[place]!;
      }
      const old = emptyColumns();
      for (const [at, one] of then.facts.entries()) {
        const state = then.states[at]!;
        const lastSeenAt = state & UP ? mark.now : null;
        const host = putHost(
          old,
          old.byName,
          {
            ...one,
            disabled: (state & DISABLED) > 0,
            forcedDown: (state & FORCED_DOWN) > 0,
            lastSeenAt,
          },
          enforced,
        );
        host.aggregates = then.aggregates[at]!;
        // Which servers these were is not kept: what asks for more than their number may not come out the same, and then no table is shown.
        host.servers = hosts[at]!.servers;
        const [busy, standing, chosen] = then.numbers.subarray(at * NUMBERS + 6, at * NUMBERS + 9);
        const also = mark.claimedOnly ? 0 : chosen!;
        Object.defineProperties(host, { numIoOps: { value: busy! + also }, numInstances: { value: standing! + also } });
        for (const [of, name] of names.entries()) {
          old.used[name][at] = then.numbers[at * NUMBERS + of]!;
          old.pending[name][at] = mark.claimedOnly ? 0 : then.numbers[at * NUMBERS + 3 + of]!;
        }
      }
      return { columns: old, mark };
    },
  };
  return journal;
}
