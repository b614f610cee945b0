/** A stream of choices that a seed determines. */
export interface Chance {
  /** From 0 to 1. */
  next(): number;
  below(count: number): number;
  pick<T>(list: readonly T[]): T;
  /** A stream of its own: what others draw does not shift it. */
  fork(name: string): Chance;
}

/** Mulberry32 over a seed that may hold words. */
export function chance(seed: string): Chance {
  let state = 2166136261;
  for (const sign of seed) state = Math.imul(state ^ sign.charCodeAt(0), 16777619) >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
  const below = (count: number) => Math.floor(next() * count);
  return {
    next,
    below,
    pick(list) {
      const one = list[below(list.length)];
      if (one === undefined) throw new Error('nothing to choose from');
      return one;
    },
    fork: (name) => chance(`${seed} ${name}`),
  };
}
