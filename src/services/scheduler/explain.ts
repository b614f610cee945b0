import type { DecisionReasons } from '../../bus/contracts/scheduler.ts';
import { claimClasses } from '../../model/resources.ts';
import type { LiveAsk, Verdict } from './filter.ts';
import { freeOf, type HostColumns } from './host-columns.ts';
import type { Host } from './live-host.ts';
import type { Rules } from './options.ts';
import { isForced, stages } from './placement-fit.ts';
import { isAsked, judged } from './select.ts';

interface Stage {
  readonly name: string;
  judge(host: Host): Verdict;
}
/** Everything that is asked of a host, in order, stages and filters alike. */
export const questions = (columns: HostColumns, rules: Rules, ask: LiveAsk): Stage[] => [
  ...stages.map((stage) => ({ name: stage.name, judge: (host: Host) => stage.judge(columns, host, ask.request) })),
  ...[...rules.prefilters, ...(isForced(ask.request) ? [] : rules.filters)]
    .filter((filter) => isAsked(filter, ask))
    .map((filter) => ({ name: filter.name, judge: (host: Host) => judged(filter, host, ask) })),
];

/** Why nothing is left: counts and reasons per question, the host that came furthest, and what would fit. Costs one full pass with reasons. */
export function explain(columns: HostColumns, rules: Rules, ask: LiveAsk): DecisionReasons {
  const asked = questions(columns, rules, ask);
  let left = columns.hosts.slice();
  let nearestMiss: DecisionReasons['nearestMiss'] = null;
  const filters: DecisionReasons['filters'] = [];
  for (const question of asked) {
    if (left.length === 0) break;
    const whys = new Map<string, number>();
    const after: Host[] = [];
    for (const host of left) {
      const verdict = question.judge(host);
      if (verdict.ok) after.push(host);
      else {
        whys.set(verdict.why, (whys.get(verdict.why) ?? 0) + 1);
        nearestMiss = { host: nearest(columns, left, ask), why: verdict.why };
      }
    }
    const reasons = [...whys].map(([why, hosts]) => ({ why, hosts }));
    filters.push({ name: question.name, before: left.length, after: after.length, reasons });
    left = after;
  }
  return { seen: columns.hosts.length, filters, nearestMiss, smallestChange: smallestChange(columns, rules, ask) };
}

/** Of hosts that fell at one question, the one that lacks least. */
function nearest(columns: HostColumns, hosts: readonly Host[], { request }: LiveAsk): string {
  let [name, lack] = [hosts[0]?.facts.host ?? '', Number.POSITIVE_INFINITY];
  for (const host of hosts) {
    let sum = 0;
    for (const kind of claimClasses) {
      const wish = request.amounts[kind];
      if (wish > 0) sum += Math.max(0, wish - freeOf(columns, kind, host.index)) / wish;
    }
    if (sum < lack) [name, lack] = [host.facts.host, sum];
  }
  return name;
}

/** The least a request would have to give up: smaller sizes on some host that is fine otherwise, or else one condition less. */
function smallestChange(columns: HostColumns, rules: Rules, ask: LiveAsk): string | null {
  const { request } = ask;
  const others = questions(columns, rules, ask).filter((question) => question.name !== 'Resources');
  const fine = columns.hosts.filter((host) => others.every((question) => question.judge(host).ok));
  if (fine.length > 0) {
    const host = fine.find((one) => one.facts.host === nearest(columns, fine, ask)) ?? fine[0]!;
    // A class that claims do not cap has no end.
    const free = claimClasses.map((kind) => {
      const left = freeOf(columns, kind, host.index);
      return Number.isFinite(left) ? Math.max(0, left) : request.amounts[kind];
    });
    const [disk, memory, cpus] = [free[0] ?? 0, free[1] ?? 0, free[2] ?? 0];
    if (cpus === 0 || memory === 0) return 'No host has anything left: a server must be deleted or a host added first.';
    return `A flavor of at most ${cpus} VCPU, ${memory} MiB of memory and ${disk} GiB of disk would fit now.`;
  }
  if (request.availabilityZone !== null) {
    const free = others.filter((question) => question.name !== 'Availability zone');
    if (columns.hosts.some((host) => free.every((question) => question.judge(host).ok)))
      return 'Without the availability zone it could stand on another host.';
  }
  return null;
}
