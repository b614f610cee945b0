import type { LiveAsk, Verdict } from './filter.ts';
import type { HostColumns } from './host-columns.ts';
import type { Host } from './live-host.ts';
import type { Rules } from './options.ts';
import { stages } from './placement-fit.ts';
import { filtersFor, isAsked, judged } from './select.ts';

interface Stage {
  readonly name: string;
  judge(host: Host): Verdict;
}
/** Everything that is asked of a host, in order, stages and filters alike. */
export const questions = (columns: HostColumns, rules: Rules, ask: LiveAsk): Stage[] => [
  ...stages.map((stage) => ({ name: stage.name, judge: (host: Host) => stage.judge(columns, host, ask.request) })),
  ...filtersFor(rules, ask.request)
    .filter((filter) => isAsked(filter, ask))
    .map((filter) => ({ name: filter.name, judge: (host: Host) => judged(filter, host, ask) })),
];
