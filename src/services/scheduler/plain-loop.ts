import type { LiveAsk } from './filter.ts';
import type { HostColumns } from './host-columns.ts';
import type { Host } from './live-host.ts';
import type { Rules } from './options.ts';
import { questions } from './questions.ts';
import { weigh } from './weigh.ts';

/** The scheduler in its plainest form, one host at a time, every question asked of every host that is left: what the fast path must equal. */
export function plainLoop(columns: HostColumns, rules: Rules, ask: LiveAsk): { host: Host; weight: number }[] {
  const asked = questions(columns, rules, ask);
  const left = columns.hosts.filter((host) => asked.every((question) => question.judge(host).ok));
  const weights = weigh(rules.weighers, left, ask);
  return left
    .map((host, at) => ({ host, weight: weights[at] ?? 0 }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, ask.request.limit);
}
