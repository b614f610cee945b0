import { pythonFloat } from '../../model/python.ts';
import { aggregateNumber } from './aggregates.ts';
import type { HostView } from './host-view.ts';
import type { Weighing } from './weigher.ts';

/** The multiplier of one host. */
export function multiplierOf({ weigher, multiplier }: Weighing, host: HostView): number {
  const own =
    host.aggregates.length === 0 ? multiplier : aggregateNumber(host, weigher.aggregateKey ?? weigher.option, multiplier, pythonFloat);
  return weigher.negated ? -own : own;
}
