import { explain } from './explain.ts';
import type { LiveAsk } from './filter.ts';
import type { HostColumns } from './host-columns.ts';
import type { Rules } from './options.ts';
import type { Plugin } from './plugins/plugin.ts';
import { questions } from './questions.ts';
import type { Choice } from './select.ts';

/** The choice of a scheduler of one's own: it gets the hosts that placement would name, and orders them, or leaves some out. Filters and weighers are its
 *  business. Throws pluginFailed. */
export async function choiceOfDriver(driver: Plugin, columns: HostColumns, rules: Rules, ask: LiveAsk): Promise<Choice> {
  const bare = { ...rules, filters: [] };
  const asked = questions(columns, bare, ask);
  const fit = columns.hosts.filter((host) => asked.every((question) => question.judge(host).ok));
  if (fit.length === 0) return { hosts: [], reasons: explain(columns, bare, ask) };
  const byName = new Map(fit.map((host) => [host.facts.host, host]));
  const named = [...new Set(await driver.order(fit, ask))].flatMap((name) => byName.get(name) ?? []);
  const counts = [
    { name: 'Resources', before: columns.hosts.length, after: fit.length, reasons: [] },
    {
      name: driver.facts.name,
      before: fit.length,
      after: named.length,
      reasons: named.length > 0 ? [] : [{ why: 'it names no host', hosts: fit.length }],
    },
  ];
  return {
    hosts: named.slice(0, ask.request.limit).map((host, at) => ({ host, weight: -at })),
    reasons: { seen: columns.hosts.length, filters: counts, nearestMiss: null, smallestChange: null },
  };
}
