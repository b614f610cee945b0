import type { DecisionTable } from '../../bus/contracts/scheduler.ts';
import type { LiveAsk } from './filter.ts';
import type { HostColumns } from './host-columns.ts';
import type { Host } from './live-host.ts';
import { multiplierOf } from './multiplier.ts';
import { normalize } from './normalize.ts';
import type { Rules } from './options.ts';
import { questions } from './questions.ts';
import { best } from './select.ts';
import { rawValues, weigh } from './weigh.ts';

/** Every host with the question that refused it and why, or with each weigher's part in its weight; best first, then the refused ones.
 *  At most `limit` hosts of the table are answered. */
export function explainTable(columns: HostColumns, rules: Rules, ask: LiveAsk, limit: number): DecisionTable {
  const asked = questions(columns, rules, ask);
  const left: Host[] = [];
  const refused: DecisionTable['refused'] = [];
  for (const host of columns.hosts) {
    let why: string | null = null;
    for (const question of asked) {
      const verdict = question.judge(host);
      if (verdict.ok) continue;
      why = verdict.why;
      if (refused.length < limit) refused.push({ host: host.host, filter: question.name, why });
      break;
    }
    if (why === null) left.push(host);
  }
  const weights = weigh(rules.weighers, left, ask);
  const shown = best(weights, Math.min(limit, left.length));
  const parts = rules.weighers
    .filter(({ weigher }) => left.length > 1 && weigher.concerns?.(ask) !== false)
    .map((weighing) => {
      const raw = rawValues(weighing, left, ask);
      const normalized = raw.slice();
      normalize(normalized, weighing.weigher.minimum);
      return { weighing, raw, normalized };
    });
  const ranked = shown.map((at) => ({
    host: left[at]!.host,
    weight: weights[at]!,
    weighers: parts.map(({ weighing, raw, normalized }) => {
      const multiplier = multiplierOf(weighing, left[at]!);
      return {
        name: weighing.weigher.name,
        raw: raw[at]!,
        normalized: normalized[at]!,
        multiplier,
        product: multiplier * normalized[at]!,
      };
    }),
  }));
  return { seen: columns.hosts.length, passed: left.length, ranked, refused: refused.slice(0, Math.max(0, limit - ranked.length)) };
}
