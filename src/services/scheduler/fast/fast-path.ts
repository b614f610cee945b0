import { LRUCache } from 'lru-cache';
import type { DecisionReasons } from '../../../bus/contracts/scheduler.ts';
import { explain } from '../explain.ts';
import type { Filter, LiveAsk } from '../filter.ts';
import type { HostColumns } from '../host-columns.ts';
import type { Host } from '../live-host.ts';
import type { Rules } from '../options.ts';
import { isForced, stages } from '../placement-fit.ts';
import { seeded } from '../random.ts';
import { best, type Choice, inSubset, isAsked, judged, selectHosts } from '../select.ts';
import { weigh } from '../weigh.ts';
import type { Weighing } from '../weigher.ts';
import { ImagePropertiesWeigher } from '../weighers/image-properties-weigher.ts';
import { fewPassed, fewRefused, hostWeighers, type KeptForm, keptForms, keptPrefilters } from './forms.ts';
import { type Liveness, watchLiveness } from './liveness.ts';
import { keepValues, type RawValues } from './raw-values.ts';
import { keepKind, type Question, type RequestKind } from './request-kind.ts';
import { keepVerdicts, type Verdicts } from './verdicts.ts';

/** So many kinds of requests, and verdicts of so many questions, are kept; each takes some ten bytes, or one, a host. */
const KINDS = 32;
const QUESTIONS = 96;

/** Chooses as `selectHosts` does, with the same hosts, weights and reasons, without looking at every host again: verdicts, values and ranks are kept
 *  from one request to the next and brought up to date by the lines of `columns.changes`. Whoever writes into the columns writes these. */
export interface FastPath {
  select(rules: Rules, ask: LiveAsk, seed: number): Choice;
  /** What is known of a host's service since the last request: see liveness.ts. */
  stateOf(at: number): number;
}

const zoneStage = stages.find((stage) => stage.name === 'Availability zone')!;

/** For one set of columns and rules; made anew when the columns are replaced, or hosts come. */
export function createFastPath(columns: HostColumns, rules: Rules): FastPath {
  let kept = remember(columns, rules);
  return {
    select(own, ask, seed) {
      if (own !== rules) [kept, rules] = [remember(columns, own), own];
      if (kept.size !== columns.hosts.length) kept = remember(columns, rules);
      kept.alive.look(ask.now);
      return choose(columns, rules, kept, ask, seed) ?? selectHosts(columns, rules, ask, seed);
    },
    stateOf: (at) => kept.alive.stateOf(at),
  };
}

interface Kept {
  /** Prefilters and filters, in the order they are asked. */
  readonly filters: readonly Filter[];
  readonly size: number;
  readonly alive: Liveness;
  readonly raws: ReadonlyMap<Weighing, RawValues>;
  readonly verdicts: LRUCache<string, Verdicts>;
  readonly kinds: LRUCache<string, RequestKind>;
}
function remember(columns: HostColumns, rules: Rules): Kept {
  const { hosts, changes } = columns;
  const kept = rules.weighers.filter(({ weigher }) => hostWeighers.has(weigher));
  return {
    filters: [...rules.prefilters, ...rules.filters],
    size: hosts.length,
    alive: watchLiveness(hosts, changes, rules.serviceDownTime * 1_000_000),
    raws: new Map(kept.map((weighing) => [weighing, keepValues(hosts, changes, weighing)])),
    verdicts: new LRUCache({ max: QUESTIONS }),
    kinds: new LRUCache({ max: KINDS }),
  };
}

/** Undefined: this request is one for the plain code. */
function choose(columns: HostColumns, rules: Rules, kept: Kept, ask: LiveAsk, seed: number): Choice | undefined {
  const { request } = ask;
  if (isForced(request) || request.requestedHost !== null || request.requestedHypervisor !== null) return undefined;
  const raws = [...kept.raws.values()].filter((raw) => raw.weighing.weigher.concerns?.(ask) !== false);
  for (const raw of raws) raw.follow(ask);
  const later: { readonly filter: Filter; readonly place: number }[] = [];
  const asked: { readonly filter: Filter; readonly form: KeptForm; readonly place: number; readonly key: string }[] = [];
  for (const [place, filter] of kept.filters.entries()) {
    if (!isAsked(filter, ask)) continue;
    const form = keptForms.get(filter) ?? (place < rules.prefilters.length ? keptPrefilters.get(filter.name) : undefined);
    if (form) asked.push({ filter, form, place, key: form.key(ask) });
    else later.push({ filter, place });
  }
  const { amounts, availabilityZone } = request;
  const name = JSON.stringify([
    amounts.VCPU,
    amounts.MEMORY_MB,
    amounts.DISK_GB,
    availabilityZone,
    raws.length,
    ...asked.map(({ place, key }) => [place, key]),
  ]);
  let kind = kept.kinds.get(name);
  if (!kind || raws.some((raw, at) => raw.shape !== kind!.built[at])) {
    const verdictsOf = (key: string, make: () => Verdicts) => {
      const known = kept.verdicts.get(key) ?? make();
      kept.verdicts.set(key, known);
      return known;
    };
    const questions = asked.map(
      ({ filter, form, place, key }): Question => ({
        place,
        verdicts: verdictsOf(`${place} ${key}`, () =>
          keepVerdicts(columns.hosts, columns.changes, (host, one) => filter.judge(host, one), form.byAmounts ?? false),
        ),
      }),
    );
    const zone =
      availabilityZone === null
        ? null
        : verdictsOf(`zone ${availabilityZone}`, () =>
            keepVerdicts(columns.hosts, columns.changes, (host) => zoneStage.judge(columns, host as Host, request), false),
          );
    kind = keepKind(columns, amounts, zone, questions, kept.filters.length, raws);
    kept.kinds.set(name, kind);
  }
  kind.follow(ask);
  if (kind.threw) return undefined;
  const [only] = later;
  const names = only && later.length === 1 && request.excludedHosts.length === 0 ? fewPassed.get(only.filter)?.(ask) : undefined;
  if (names) return amongFew(columns, rules, kind, ask, seed, only!, names);
  const moved = refuseMore(columns, kind, ask, later);
  try {
    return settle(columns, rules, kept, kind, ask, seed);
  } finally {
    for (let at = moved.length - 1; at >= 0; at--) kind.move(moved[at]!.at, moved[at]!.fell);
  }
}

/** Asks what is not kept, of the hosts that come so far; those refused are taken out until the request is answered. */
function refuseMore(columns: HostColumns, kind: RequestKind, ask: LiveAsk, later: readonly { filter: Filter; place: number }[]) {
  const moved: { readonly at: number; readonly fell: number }[] = [];
  const refuse = (host: Host, fall: number) => {
    if (kind.falls[host.index]! > fall) moved.push({ at: host.index, fell: kind.move(host.index, fall) });
  };
  for (const name of ask.request.excludedHosts) {
    const host = columns.byName.get(name);
    if (host) refuse(host, 0);
  }
  try {
    for (const { filter, place } of later) {
      const few = fewRefused.get(filter);
      const judge = (host: Host) => {
        if (kind.falls[host.index]! > place + 1 && !judged(filter, host, ask).ok) refuse(host, place + 1);
      };
      const names = few?.(ask);
      if (names) {
        for (const name of names) {
          const host = columns.byName.get(name);
          if (host) judge(host);
        }
      } else for (const host of columns.hosts) judge(host);
    }
  } catch (cause) {
    for (let at = moved.length - 1; at >= 0; at--) kind.move(moved[at]!.at, moved[at]!.fell);
    throw cause;
  }
  return moved;
}

/** Only hosts that are named can pass a filter: these are asked, and how many others it refuses follows from the counts. */
function amongFew(
  columns: HostColumns,
  rules: Rules,
  kind: RequestKind,
  ask: LiveAsk,
  seed: number,
  { filter, place }: { readonly filter: Filter; readonly place: number },
  names: Iterable<string>,
): Choice {
  const named = [...new Set(names)].map((name) => columns.byName.get(name)).filter((host) => host !== undefined);
  const passing = named.filter((host) => kind.falls[host.index]! > place + 1 && judged(filter, host, ask).ok);
  const counts = kind.counts.slice();
  for (let fall = place + 2; fall <= kind.passed; fall++) {
    const here = passing.filter((host) => kind.falls[host.index] === fall).length;
    counts[place + 1] = counts[place + 1]! + counts[fall]! - here;
    counts[fall] = here;
  }
  const hosts = passing.filter((host) => kind.falls[host.index] === kind.passed).sort((a, b) => a.index - b.index);
  if (hosts.length === 0) return { hosts: [], reasons: explain(columns, rules, ask) };
  return chosen(columns, rules, ask, seed, plainOrder(rules, hosts, ask, seed), counts);
}

/** Weighs every host that is left, by the plain code. */
function plainOrder(rules: Rules, hosts: readonly Host[], ask: LiveAsk, seed: number) {
  const weights = weigh(rules.weighers, hosts, ask);
  const order = best(weights, Math.max(ask.request.limit, rules.subset), rules.shuffle ? seeded(seed ^ 0x5bd1e995) : undefined);
  return order.map((at) => ({ host: hosts[at]!, weight: weights[at]! }));
}

function chosen(
  columns: HostColumns,
  rules: Rules,
  ask: LiveAsk,
  seed: number,
  order: { host: Host; weight: number }[],
  counts: Int32Array,
): Choice {
  return {
    hosts: inSubset(order, rules.subset, seed).slice(0, ask.request.limit),
    reasons: {
      seen: columns.hosts.length,
      filters: countsOf(rules, counts, columns.hosts.length),
      nearestMiss: null,
      smallestChange: null,
    },
  };
}

function settle(columns: HostColumns, rules: Rules, kept: Kept, kind: RequestKind, ask: LiveAsk, seed: number): Choice {
  const { request } = ask;
  const left = kind.counts[kind.passed]!;
  if (left === 0) return { hosts: [], reasons: explain(columns, rules, ask) };
  const wanted = Math.max(request.limit, rules.subset);
  const order =
    rules.shuffle || left <= wanted || !isKept(rules, kept, ask)
      ? plainOrder(
          rules,
          columns.hosts.filter((host) => kind.falls[host.index] === kind.passed),
          ask,
          seed,
        )
      : kind.ranking.best(wanted).map(({ at, weight }) => ({ host: columns.hosts[at]!, weight }));
  return chosen(columns, rules, ask, seed, order, kind.counts);
}

/** Whether every weigher either has kept values, or gives all hosts the same for this request. */
function isKept(rules: Rules, kept: Kept, ask: LiveAsk): boolean {
  for (const weighing of rules.weighers) {
    const { weigher } = weighing;
    if (weigher.concerns?.(ask) === false) continue;
    const raw = kept.raws.get(weighing);
    if (raw) {
      if (raw.odd) return false;
    } else if (weigher === ImagePropertiesWeigher) {
      if (weighing.multiplier !== 0) return false;
    } else return false;
  }
  return true;
}

function countsOf(rules: Rules, fell: Int32Array, seen: number): DecisionReasons['filters'] {
  let left = seen - fell[0]!;
  const counts: DecisionReasons['filters'] = [{ name: 'Resources', before: seen, after: left, reasons: [] }];
  for (const [place, filter] of [...rules.prefilters, ...rules.filters].entries()) {
    const before = left;
    left -= fell[place + 1]!;
    counts.push({ name: filter.name, before, after: left, reasons: [] });
  }
  return counts;
}
