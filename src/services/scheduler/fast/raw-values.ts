import type { Ask } from '../filter.ts';
import type { HostView } from '../host-view.ts';
import { multiplierOf } from '../multiplier.ts';
import type { Weighing } from '../weigher.ts';
import { type HostChanges, indexOf, isFacts, isMissed } from './host-changes.ts';

/** One weigher's value and multiplier for every host, kept up by the lines of changes. */
export interface RawValues {
  readonly weighing: Weighing;
  readonly values: Float64Array;
  /** Null: every host has the same one. */
  readonly multipliers: Float64Array | null;
  readonly multiplier: number;
  /** Every host has the same value: it is in `values[0]`. */
  readonly flat: boolean;
  /** A value or a multiplier is no finite number, or could not be had: only the plain code says what comes of that. */
  readonly odd: boolean;
  /** Changes when `flat` or `multipliers` do: whoever built on them builds anew. */
  readonly shape: number;
  follow(ask: Ask): void;
}

export function keepValues(hosts: readonly HostView[], changes: HostChanges, weighing: Weighing): RawValues {
  const { weigher } = weighing;
  const usual = weigher.negated ? -weighing.multiplier : weighing.multiplier;
  const values = new Float64Array(hosts.length);
  const own = new Map<number, number>();
  const strange = new Set<number>();
  let different = 0;
  let first = Number.NaN;
  let read = Number.NEGATIVE_INFINITY;
  let multipliers: Float64Array | null = null;
  let shape = 0;

  const one = (at: number, ask: Ask, facts: boolean) => {
    const host = hosts[at]!;
    let value = Number.NaN;
    let times = multipliers?.[at] ?? usual; // aggregates are facts: they do not change with what is used
    try {
      value = weigher.weigh(host, ask, weighing);
      if (weigher.minimum !== undefined && weigher.minimum > value) value = weigher.minimum;
      if (facts) times = multiplierOf(weighing, host);
    } catch {
      value = Number.NaN;
    }
    if (Number.isFinite(value) && Number.isFinite(times)) strange.delete(at);
    else strange.add(at);
    if (values[at] !== first) different--;
    values[at] = value;
    if (value !== first) different++;
    if (times !== usual) own.set(at, times);
    else own.delete(at);
    if (multipliers) multipliers[at] = times;
  };
  const all = (ask: Ask) => {
    own.clear();
    strange.clear();
    [first, different] = [Number.NaN, values.length]; // nothing equals NaN: each host counts as different until it is read
    for (let at = 0; at < values.length; at++) one(at, ask, true);
    const middle = values[0] ?? 0;
    [first, different] = [middle, 0];
    for (const value of values) if (value !== first) different++;
  };
  const settle = (before: boolean) => {
    if ((different === 0) !== before) shape++;
    if (own.size > 0 === (multipliers !== null)) return;
    multipliers = own.size > 0 ? new Float64Array(values.length).fill(usual) : null;
    for (const [at, times] of own) multipliers![at] = times;
    shape++;
  };
  return {
    weighing,
    values,
    multiplier: usual,
    get multipliers() {
      return multipliers;
    },
    get flat() {
      return different === 0;
    },
    get odd() {
      return strange.size > 0;
    },
    get shape() {
      return shape;
    },
    follow(ask) {
      if (read === changes.next) return;
      const flat = different === 0;
      if (isMissed(changes, read)) all(ask);
      else for (let line = read; line < changes.next; line++) one(indexOf(changes, line), ask, isFacts(changes, line));
      read = changes.next;
      settle(flat);
    },
  };
}
