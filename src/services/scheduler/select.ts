import type { DecisionReasons, HostRequest } from '../../bus/contracts/scheduler.ts';
import { CloudError } from '../../model/errors.ts';
import { filterFailed } from '../../model/errors-conductor.ts';
import { explain } from './explain.ts';
import type { Ask, Filter, LiveAsk } from './filter.ts';
import type { HostColumns } from './host-columns.ts';
import type { HostView } from './host-view.ts';
import type { Host } from './live-host.ts';
import type { Rules } from './options.ts';
import { isForced, isSimple, passesStages } from './placement-fit.ts';
import { seeded } from './random.ts';
import { weigh } from './weigh.ts';
import { isRebuild } from './wish.ts';

export interface Choice {
  /** Best first, at most `request.limit`. */
  readonly hosts: readonly { readonly host: Host; readonly weight: number }[];
  readonly reasons: DecisionReasons;
}

/** Chooses hosts for one request, filter by filter over all hosts: what `fast/` must equal, and its way for requests of no known kind. `plain-loop.ts`
 *  says the same one host at a time. Throws filterFailed. */
export function selectHosts(columns: HostColumns, rules: Rules, ask: LiveAsk, seed: number): Choice {
  const { request } = ask;
  const simple = isSimple(request);
  let left: Host[] = [];
  for (const host of columns.hosts) if (passesStages(columns, host, request, simple)) left.push(host);
  const counts: DecisionReasons['filters'] = [{ name: 'Resources', before: columns.hosts.length, after: left.length, reasons: [] }];
  for (const filter of filtersFor(rules, request)) {
    if (left.length === 0) break;
    const before = left.length;
    if (isAsked(filter, ask)) left = left.filter((host) => judged(filter, host, ask).ok);
    counts.push({ name: filter.name, before, after: left.length, reasons: [] });
  }
  if (left.length === 0) return { hosts: [], reasons: explain(columns, rules, ask) };
  const weights = weigh(rules.weighers, left, ask);
  const order = best(weights, Math.max(request.limit, rules.subset), rules.shuffle ? seeded(seed ^ 0x5bd1e995) : undefined);
  const hosts = inSubset(order, rules.subset, seed)
    .slice(0, request.limit)
    .map((at) => ({ host: left[at]!, weight: weights[at]! }));
  return { hosts, reasons: { seen: columns.hosts.length, filters: counts, nearestMiss: null, smallestChange: null } };
}

/** The filters of a request, in order. A forced host is taken as it is, as in Nova, but for what the claim would refuse; placement's answers count all the
 *  same. A server that stands somewhere and is moved by force asks for nothing but room. */
export function filtersFor({ prefilters, filters }: Rules, request: HostRequest): readonly Filter[] {
  if (!isForced(request)) return [...prefilters, ...filters];
  return request.rebuild ? [] : [...prefilters, ...filters.filter((filter) => filter.alsoForced)];
}

/** One of so many best, drawn by the seed, goes first. */
export function inSubset<T>(order: T[], subset: number, seed: number): T[] {
  if (subset > 1) order.unshift(...order.splice(Math.floor(seeded(seed)() * Math.min(subset, order.length)), 1));
  return order;
}

/** Whether a filter is asked about this request at all. */
export const isAsked = (filter: Filter, ask: Ask) =>
  (filter.runOnRebuild || !isRebuild(ask.wish)) && (!filter.concerns || filter.concerns(ask));

/** A filter's verdict. What it throws becomes the request's failure, with the filter's name. */
export function judged(filter: Filter, host: HostView, ask: Ask) {
  try {
    return filter.judge(host, ask);
  } catch (cause) {
    if (cause instanceof CloudError) throw cause;
    throw filterFailed({ filter: filter.name, why: cause instanceof Error ? cause.message : String(cause) }, { cause });
  }
}

/** Places of the heaviest, in order; equal weights keep their order, but the very best are shuffled when `random` is given.
 *  Spec: shuffle_best_same_weighed_hosts. */
export function best(weights: Float64Array, count: number, random?: () => number): number[] {
  if (random) {
    const top = weights.reduce((most, weight) => Math.max(most, weight), Number.NEGATIVE_INFINITY);
    const ties = Array.from(weights, (weight, at) => (weight === top ? random() : at));
    return Array.from(weights, (_, at) => at)
      .sort((a, b) => weights[b]! - weights[a]! || ties[a]! - ties[b]!)
      .slice(0, count);
  }
  const top: number[] = [];
  for (let at = 0; at < weights.length; at++) {
    const weight = weights[at]!;
    if (top.length === count && weight <= weights[top[count - 1]!]!) continue;
    let place = top.length;
    while (place > 0 && weights[top[place - 1]!]! < weight) place--;
    top.splice(place, 0, at);
    if (top.length > count) top.pop();
  }
  return top;
}
