import type { DecisionReasons } from '../../bus/contracts/scheduler.ts';
import { claimClasses } from '../../model/resources.ts';
import { advise } from './advise.ts';
import type { LiveAsk } from './filter.ts';
import { freeOf, type HostColumns } from './host-columns.ts';
import type { Host } from './live-host.ts';
import type { Rules } from './options.ts';
import { questions } from './questions.ts';

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
    const refused: Host[] = [];
    for (const host of left) {
      const verdict = question.judge(host);
      if (verdict.ok) after.push(host);
      else {
        whys.set(verdict.why, (whys.get(verdict.why) ?? 0) + 1);
        refused.push(host);
      }
    }
    const near = nearest(columns, refused, ask);
    const verdict = near && question.judge(near);
    if (verdict && !verdict.ok) nearestMiss = { host: near.facts.host, why: verdict.why };
    const reasons = [...whys].map(([why, hosts]) => ({ why, hosts }));
    filters.push({ name: question.name, before: left.length, after: after.length, reasons });
    left = after;
  }
  return { seen: columns.hosts.length, filters, nearestMiss, smallestChange: advise(columns, rules, ask).tenantText };
}

/** Of hosts that fell at one question, the one that lacks least. */
function nearest(columns: HostColumns, hosts: readonly Host[], { request }: LiveAsk): Host | undefined {
  let [found, lack]: [Host | undefined, number] = [undefined, Number.POSITIVE_INFINITY];
  for (const host of hosts) {
    let sum = 0;
    for (const kind of claimClasses) {
      const wish = request.amounts[kind];
      if (wish > 0) sum += Math.max(0, wish - freeOf(columns, kind, host.index)) / wish;
    }
    if (sum < lack) [found, lack] = [host, sum];
  }
  return found;
}
