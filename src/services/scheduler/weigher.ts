import type { Ask } from './filter.ts';
import type { HostView } from './host-view.ts';

/** Says how good a host is; more is better. Values are brought to 0..1 over the hosts that are left, times the multiplier, and summed. */
export interface Weigher {
  readonly name: string;
  /** Option that holds its multiplier, and the multiplier without it. Aggregates may carry the same name. */
  readonly option: string;
  readonly multiplier: number;
  /** Name in aggregates, where it is not the option's. */
  readonly aggregateKey?: string;
  /** More is worse: the multiplier counts with the other sign. */
  readonly negated?: true;
  /** A multiplier of 0 in the config turns it off, whatever aggregates say. */
  readonly offAtZero?: true;
  /** The lowest value of the scale; without it the lowest of the hosts that are left. */
  readonly minimum?: number;
  /** False: every host has the same value for this request, and none need be weighed. */
  concerns?(ask: Ask): boolean;
  weigh(host: HostView, ask: Ask, weighing: Weighing): number;
}

/** A weigher as configured; a host's aggregates may say another multiplier. */
export interface Weighing {
  readonly weigher: Weigher;
  readonly multiplier: number;
}
