import { isDeepStrictEqual } from 'node:util';
import { guestNumaOf as constraintsOf } from '../../src/model/numa/constraints.ts';
import { matchesSpec } from '../../src/services/scheduler/extra-specs-match.ts';
import { type Filter, ok } from '../../src/services/scheduler/filter.ts';
import { filters } from '../../src/services/scheduler/filters/list.ts';
import { emptyHostState, updateHostState } from '../../src/services/scheduler/host-state.ts';
import { multiplierOf } from '../../src/services/scheduler/multiplier.ts';
import { normalize } from '../../src/services/scheduler/normalize.ts';
import { judged } from '../../src/services/scheduler/select.ts';
import { rawValues, weigh } from '../../src/services/scheduler/weigh.ts';
import type { Weighing } from '../../src/services/scheduler/weigher.ts';
import { weighers } from '../../src/services/scheduler/weighers/list.ts';
import { isRebuild } from '../../src/services/scheduler/wish.ts';
import { askOf, computeRecordOf, guestNumaOf, hostOf, timeOfVector } from './adapt.ts';
import { checkConsumed, checkFiltered, checkScenario, hostStateJson } from './states.ts';
import { type Json, numberOf, sameNumber, type VectorCase, type VectorFile } from './vector-file.ts';

/** What differs from the real Nova's answer; null: nothing. */
export type Checked = string | null;
type Check = (one: VectorCase) => Checked;

/** How a file's cases are checked; a text when this project has no such part yet. */
export function checkerOf(file: VectorFile): Check | string {
  const make = kinds[file.kind];
  return make ? make(file) : `cases of kind ${file.kind} are not run yet`;
}

const kinds: Readonly<Record<string, (file: VectorFile) => Check | string>> = {
  filter(file) {
    const filter = filters[file.subject];
    if (!filter) return `there is no filter ${file.subject} yet`;
    return (one) => checkFilter(file, filter, one);
  },
  weigher(file) {
    const weigher = weighers.find((item) => item.name === file.subject);
    if (!weigher) return `there is no weigher ${file.subject} yet`;
    return (one) => checkWeigher(file, weighingOf(weigher.name, one), one);
  },
  weigh_all: (file) => (one) => checkAll(file, one),
  match: () => (one) => {
    const found = tried(() => matchesSpec(one.value, one.req));
    return differs(found, verdict(one.expect.result));
  },
  normalize: () => (one) => {
    if (one.expect.error) return 'an error was expected';
    const values = Float64Array.from(one.weights, numberOf);
    normalize(values, bound(one.minval), bound(one.maxval));
    return differs([...values], one.expect.normalized.map(numberOf));
  },
  consume: (file) => (one) => checkConsumed(file, one),
  get_filtered_hosts: (file) => (one) => checkFiltered(file, one),
  e2e: (file) => (one) => checkScenario(file, one),
  host_state_update: () => (one) => {
    const state = emptyHostState(one.compute.host, one.compute.hypervisor_hostname, null);
    const before = one.previous_updated ?? null;
    const taken = tried(() => updateHostState(state, computeRecordOf(one.compute), timeOfVector(before)));
    if (one.expect.error || taken === 'error') return taken === 'error' && one.expect.error ? null : `${taken} came`;
    const updated = taken ? (one.compute.updated_at ?? null) : before;
    return differs({ ...hostStateJson(state), updated }, one.expect.host_state);
  },
};
const bound = (value: unknown) => (value === null || value === undefined ? undefined : numberOf(value));

function checkFilter(file: VectorFile, filter: Filter, one: VectorCase): Checked {
  const flags = file.filter;
  if (
    flags &&
    ((filter.oncePerRequest ?? false) !== flags.run_filter_once_per_request || (filter.runOnRebuild ?? false) !== flags.RUN_ON_REBUILD)
  )
    return `the filter's flags are not ${JSON.stringify(flags)}`;
  const ask = askOf(file, one);
  if (one.request?.numa_topology_from_flavor) {
    const { vcpus, memoryMiB } = ask.wish.flavor;
    const source = { vcpus, memoryMiB, extraSpecs: ask.wish.extraSpecs ?? {}, imageProperties: ask.wish.imageProperties };
    const difference = differs(constraintsOf(source), guestNumaOf(one.request.numa_topology));
    if (difference) return `cells of flavor and image: ${difference}`;
  }
  const hosts = (one.hosts as Json[]).map((host) => hostOf(file, host));
  const rebuild = tried(() => isRebuild(ask.wish) && !filter.runOnRebuild);
  const concerned = tried(() => !filter.concerns || filter.concerns(ask));
  const verdicts = hosts.map((host) => {
    try {
      if (rebuild === 'error' && !filter.runOnRebuild) return rebuild;
      return rebuild === true ? ok : judged(filter, host, ask);
    } catch {
      return 'error' as const;
    }
  });
  const passes = verdicts.map((item) => (item === 'error' ? item : item.ok));
  if (concerned === false && !passes.every((pass) => pass === true))
    return 'the filter says it need not be asked, and does not pass every host';
  const limits = (one.hosts as Json[]).map((host, at) => {
    const item = verdicts[at]!;
    return { ...(file.host_defaults?.limits ?? {}), ...host.limits, ...(item === 'error' ? {} : item.limits) };
  });
  return (
    differs(passes, one.expect.passes.map(verdict)) ??
    (one.expect.limits ? differs(limits, (one.expect.limits as Json[]).map(limitsOf)) : null) ??
    (one.expect.allocation_candidates_left
      ? differs(
          verdicts.map((item, at) => (item === 'error' ? 0 : (item.candidates ?? hosts[at]!.candidates).length)),
          one.expect.allocation_candidates_left,
        )
      : null)
  );
}

const limitsOf = (limits: Json) =>
  Object.fromEntries(
    Object.entries(limits).map(([key, value]) => [
      key,
      key === 'numa_topology' ? { cpuRatio: value.cpu_allocation_ratio, ramRatio: value.ram_allocation_ratio } : numberOf(value),
    ]),
  );

export const weighingOf = (name: string, one: VectorCase): Weighing => {
  const weigher = weighers.find((item) => item.name === name);
  if (!weigher) throw new Error(`there is no weigher ${name} yet`);
  const set = weigher.name === 'MetricsWeigher' ? one.config?.metrics?.weight_multiplier : one.config?.filter_scheduler?.[weigher.option];
  return { weigher, multiplier: set ?? weigher.multiplier };
};

function checkWeigher(file: VectorFile, weighing: Weighing, one: VectorCase): Checked {
  const hosts = (one.hosts as Json[]).map((host) => hostOf(file, host, one.unknown_cells));
  const { expect } = one;
  const found = tried(() => {
    const raw = rawValues(weighing, hosts, askOf(file, one));
    const normalized = raw.slice();
    normalize(normalized, weighing.weigher.minimum);
    const multipliers = hosts.map((host) => multiplierOf(weighing, host));
    return { raw: [...raw], normalized: [...normalized], multipliers, scores: multipliers.map((times, at) => times * normalized[at]!) };
  });
  if (expect.error || found === 'error')
    return found === 'error' && expect.error ? null : `${found === 'error' ? 'an error' : 'no error'} came`;
  for (const key of ['raw', 'normalized', 'multipliers', 'scores'] as const) {
    const difference = differs(found[key], expect[key].map(numberOf));
    if (difference) return `${key}: ${difference}`;
  }
  return null;
}

function checkAll(file: VectorFile, one: VectorCase): Checked {
  const hosts = (one.hosts as Json[]).map((host) => hostOf(file, host));
  const found = tried(() => {
    const weights = weigh(
      (one.weighers as string[]).map((name) => weighingOf(name, one)),
      hosts,
      askOf(file, one),
    );
    const order = hosts.map((_, at) => at).sort((a, b) => weights[b]! - weights[a]!);
    return { order, weights: order.map((at) => weights[at]!) };
  });
  if (one.expect.error || found === 'error')
    return found === 'error' && one.expect.error ? null : `${found === 'error' ? 'an error' : 'no error'} came`;
  return differs(found.weights, one.expect.weights.map(numberOf)) ?? differs(found.order, one.expect.order);
}

/** An answer of the real code: true, false or an error of any name (names are advisory). */
const verdict = (value: unknown) => (typeof value === 'string' && value.startsWith('error:') ? 'error' : value);
export function tried<T>(work: () => T): T | 'error' {
  try {
    return work();
  } catch {
    return 'error';
  }
}
export function differs(found: unknown, expected: unknown): Checked {
  if (Array.isArray(found) && Array.isArray(expected) && found.length === expected.length)
    if (found.every((item, at) => (typeof item === 'number' ? sameNumber(item, expected[at]) : isDeepStrictEqual(item, expected[at]))))
      return null;
  return isDeepStrictEqual(found, expected) ? null : `${JSON.stringify(found)} instead of ${JSON.stringify(expected)}`;
}
