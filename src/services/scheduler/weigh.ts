import type { Ask } from './filter.ts';
import type { HostView } from './host-view.ts';
import { multiplierOf } from './multiplier.ts';
import { normalize } from './normalize.ts';
import type { Weighing } from './weigher.ts';

/** One weigher's values for these hosts, before they are brought to scale. */
export function rawValues(weighing: Weighing, hosts: readonly HostView[], ask: Ask, values = new Float64Array(hosts.length)): Float64Array {
  const { weigher } = weighing;
  const { minimum } = weigher;
  if (weigher.offAtZero && weighing.multiplier === 0) return values.fill(0);
  for (let at = 0; at < hosts.length; at++) {
    const host = hosts[at]!;
    const value = weigher.weigh(host, ask, weighing);
    values[at] = minimum !== undefined && minimum > value ? minimum : value;
  }
  return values;
}

/** The sum of the weighers' values, each normalised over these hosts alone. One host weighs 0 and no weigher is asked, as in Nova. */
export function weigh(weighers: readonly Weighing[], hosts: readonly HostView[], ask: Ask): Float64Array {
  const sums = new Float64Array(hosts.length);
  if (hosts.length <= 1) return sums;
  const values = new Float64Array(hosts.length);
  for (const weighing of weighers) {
    if (weighing.weigher.concerns?.(ask) === false) continue;
    rawValues(weighing, hosts, ask, values);
    normalize(values, weighing.weigher.minimum);
    for (let at = 0; at < hosts.length; at++) sums[at] = sums[at]! + multiplierOf(weighing, hosts[at]!) * values[at]!;
  }
  return sums;
}
