import type { RawValues } from './raw-values.ts';

/** Hosts in blocks of 32, these in rows of 32 blocks: what is known of a whole block or row saves looking into it. */
const BLOCK = 5;
const ROW = 10;

/** One weigher's part in the sum; plain fields, read in the innermost loops. */
interface Term {
  readonly values: Float64Array;
  readonly multiplier: number;
  readonly multipliers: Float64Array | null;
  /** Greatest size of a multiplier. */
  readonly most: number;
  readonly flat: boolean;
  readonly minimum: number | undefined;
  /** Least and greatest value of the ranked hosts, by block and by row. */
  readonly blockLow: Float64Array;
  readonly blockHigh: Float64Array;
  readonly rowLow: Float64Array;
  readonly rowHigh: Float64Array;
  /** Ends of the scale now, and when the scores were made. */
  now: Scale;
  former: Scale;
}
interface Scale {
  low: number;
  high: number;
}
export interface Ranked {
  readonly at: number;
  readonly weight: number;
}
/** The hosts that passed every question for one kind of request (those whose `falls` is `passed`), by weight. */
export interface Ranking {
  /** A host came in (1), went out (-1), or its values changed (0), as `falls` says by now. Effective with the next `best`. */
  changed(at: number, by: 1 | -1 | 0): void;
  /** The heaviest, best first; equal weights in the hosts' order. The weights are those of weigh.ts to the last bit. */
  best(count: number): Ranked[];
}

/** Values are brought to a scale that the best hosts set, and the best host changes with every choice: so sums cannot simply be kept. Kept are the sums
 *  of a former scale, and from these follows what a host can weigh at most now; only hosts that may be among the best are weighed anew. When that
 *  becomes many, the sums are made again. */
export function createRanking(raws: readonly RawValues[], falls: Uint8Array, passed: number): Ranking {
  const size = falls.length;
  const blocks = (size >> BLOCK) + 1;
  const rows = (size >> ROW) + 1;
  const score = new Float64Array(size).fill(Number.NEGATIVE_INFINITY);
  const blockTop = new Float64Array(blocks).fill(Number.NEGATIVE_INFINITY);
  const rowTop = new Float64Array(rows).fill(Number.NEGATIVE_INFINITY);
  const terms = raws.map((raw): Term => {
    const ends = (length: number, value: number) => new Float64Array(raw.flat ? 0 : length).fill(value);
    const scale = { low: 0, high: 0 };
    return {
      values: raw.values,
      multiplier: raw.multiplier,
      multipliers: raw.multipliers,
      most: Math.max(Math.abs(raw.multiplier), greatest(raw.multipliers)),
      flat: raw.flat,
      minimum: raw.weighing.weigher.minimum,
      blockLow: ends(blocks, Infinity),
      blockHigh: ends(blocks, -Infinity),
      rowLow: ends(rows, Infinity),
      rowHigh: ends(rows, -Infinity),
      now: scale,
      former: scale,
    };
  });
  /** Those whose ends must be found among the hosts. */
  const uneven = terms.filter((term) => !term.flat);
  /** Sum of the multipliers: what rounding may be of. */
  const weightOfAll = terms.reduce((sum, term) => sum + term.most, 1);
  let count = 0;
  let dirty: number[] = [];
  const isDirty = new Uint8Array(blocks);
  let stale = true;
  let wasted = 0;
  /** The most that terms below zero take from any host, in scores. */
  let mostTaken = 0;

  const part = ({ values, multiplier, multipliers }: Term, { low, high }: Scale, at: number): number =>
    low === high ? 0 : (multipliers === null ? multiplier : multipliers[at]!) * ((values[at]! - low) / (high - low));
  const weigh = (at: number): number => {
    let sum = 0;
    for (let of = 0; of < terms.length; of++) sum += part(terms[of]!, terms[of]!.now, at);
    return sum;
  };
  const scoreOf = (at: number): number => {
    let [sum, taken] = [0, 0];
    for (let of = 0; of < terms.length; of++) {
      const one = part(terms[of]!, terms[of]!.former, at);
      sum += one;
      if (one < 0) taken -= one;
    }
    if (taken > mostTaken) mostTaken = taken;
    return sum;
  };
  const measureBlock = (block: number) => {
    const [from, to] = [block << BLOCK, Math.min(size, (block + 1) << BLOCK)];
    for (const { values, minimum, blockLow, blockHigh } of uneven) {
      let most = -Infinity;
      for (let at = from; at < to; at++) if (falls[at] === passed && values[at]! > most) most = values[at]!;
      blockHigh[block] = most;
      if (minimum !== undefined) continue;
      let least = Infinity;
      for (let at = from; at < to; at++) if (falls[at] === passed && values[at]! < least) least = values[at]!;
      blockLow[block] = least;
    }
    blockTop[block] = topOf(score, from, to);
  };
  const measureRow = (row: number) => {
    const [from, to] = [row << (ROW - BLOCK), Math.min(blocks, (row + 1) << (ROW - BLOCK))];
    for (const { minimum, blockLow, blockHigh, rowLow, rowHigh } of uneven) {
      rowHigh[row] = topOf(blockHigh, from, to);
      if (minimum !== undefined) continue;
      let least = Infinity;
      for (let at = from; at < to; at++) if (blockLow[at]! < least) least = blockLow[at]!;
      rowLow[row] = least;
    }
    rowTop[row] = topOf(blockTop, from, to);
  };
  const measureDirty = () => {
    const dirtyRows = new Set<number>();
    for (const block of dirty) {
      measureBlock(block);
      isDirty[block] = 0;
      dirtyRows.add(block >> (ROW - BLOCK));
    }
    for (const row of dirtyRows) measureRow(row);
    dirty = [];
  };
  const scales = () => {
    for (const term of terms) {
      let [least, most] = [Infinity, -Infinity];
      if (term.flat) least = most = term.values[0] ?? 0;
      else
        for (let row = 0; row < rows; row++) {
          if (term.rowLow[row]! < least) least = term.rowLow[row]!;
          if (term.rowHigh[row]! > most) most = term.rowHigh[row]!;
        }
      term.now = { low: term.minimum ?? least, high: most };
    }
  };
  const scoreAll = () => {
    for (const term of terms) term.former = term.now;
    mostTaken = 0;
    for (let at = 0; at < size; at++) if (falls[at] === passed) score[at] = scoreOf(at);
    for (let block = 0; block < blocks; block++) blockTop[block] = topOf(score, block << BLOCK, Math.min(size, (block + 1) << BLOCK));
    for (let row = 0; row < rows; row++) rowTop[row] = topOf(blockTop, row << (ROW - BLOCK), Math.min(blocks, (row + 1) << (ROW - BLOCK)));
    [stale, wasted] = [false, 0];
  };
  /** How the scale moved: a score `s` is now at most `s * factor + more`. Null: scores say nothing of weights any more. */
  const drift = (): { factor: number; more: number } | null => {
    let [least, most, more, same] = [Infinity, 0, 0, true];
    for (const { multiplier, multipliers, most: size, now, former } of terms) {
      const [range, before] = [now.high - now.low, former.high - former.low];
      if ((range === 0) !== (before === 0)) return null;
      if (range === 0) continue;
      if (now.low !== former.low || now.high !== former.high) same = false;
      const ratio = before / range;
      least = Math.min(least, ratio);
      most = Math.max(most, ratio);
      const shift = (former.low - now.low) / range;
      more += multipliers ? size * Math.abs(shift) : multiplier * shift;
    }
    if (same) return { factor: 1, more: 0 };
    return { factor: most, more: more + (most - least) * mostTaken + weightOfAll * 1e-12 * Math.max(1, most) };
  };

  const best = (wanted: number): Ranked[] => {
    if (dirty.length > 0) measureDirty();
    if (count === 0) return [];
    scales();
    if (count === 1) return [{ at: falls.indexOf(passed), weight: 0 }];
    const moved = stale || wasted * 4 > count ? null : drift();
    if (moved === null) scoreAll();
    const { factor, more } = moved ?? { factor: 1, more: 0 };
    const exact = factor === 1 && more === 0;
    const weightOf = (at: number) => (exact ? score[at]! : weigh(at));
    /** What a host must have scored to weigh so much now. */
    const least = (weight: number) => (exact ? weight : (weight - more) / factor);
    let cut = least(floorOf(weightOf, wanted));
    const top: Ranked[] = [];
    for (let row = 0; row < rows; row++) {
      if (rowTop[row]! < cut) continue;
      const lastBlock = Math.min(blocks, (row + 1) << (ROW - BLOCK));
      for (let block = row << (ROW - BLOCK); block < lastBlock; block++) {
        if (blockTop[block]! < cut) continue;
        const to = Math.min(size, (block + 1) << BLOCK);
        for (let at = block << BLOCK; at < to; at++) {
          if (falls[at] !== passed || score[at]! < cut) continue;
          if (!exact) wasted++;
          const weight = weightOf(at);
          const full = top.length === wanted;
          if (full && weight <= top[wanted - 1]!.weight) continue;
          let place = top.length;
          while (place > 0 && top[place - 1]!.weight < weight) place--;
          top.splice(place, 0, { at, weight });
          if (top.length > wanted) top.pop();
          if (top.length === wanted) {
            const edge = top[wanted - 1]!.weight;
            // Who weighs as much and comes later is not taken: scores that say exactly this are passed over with their blocks.
            cut = Math.max(cut, exact ? justAbove(edge) : least(edge));
          }
        }
      }
    }
    return top;
  };
  /** A weight that at least `wanted` hosts reach: the best host of each of the best blocks. */
  const floorOf = (weightOf: (at: number) => number, wanted: number): number => {
    if (wanted > 32) return -Infinity;
    const tops: { block: number; top: number }[] = [];
    for (let row = 0; row < rows; row++) {
      if (tops.length === wanted && rowTop[row]! <= tops[wanted - 1]!.top) continue;
      const lastBlock = Math.min(blocks, (row + 1) << (ROW - BLOCK));
      for (let block = row << (ROW - BLOCK); block < lastBlock; block++) {
        const top = blockTop[block]!;
        if (top === -Infinity || (tops.length === wanted && top <= tops[wanted - 1]!.top)) continue;
        let place = tops.length;
        while (place > 0 && tops[place - 1]!.top < top) place--;
        tops.splice(place, 0, { block, top });
        if (tops.length > wanted) tops.pop();
      }
    }
    if (tops.length < wanted) return -Infinity;
    let floor = Infinity;
    for (const { block, top } of tops) floor = Math.min(floor, weightOf(score.indexOf(top, block << BLOCK)));
    return floor;
  };

  return {
    changed(at, by) {
      const block = at >> BLOCK;
      count += by;
      if (by === -1) score[at] = -Infinity;
      else if (!stale) score[at] = scoreOf(at);
      if (isDirty[block] === 0) {
        isDirty[block] = 1;
        dirty.push(block);
      }
    },
    best,
  };
}

const topOf = (values: Float64Array, from: number, to: number): number => {
  let top = -Infinity;
  for (let at = from; at < to; at++) if (values[at]! > top) top = values[at]!;
  return top;
};
const greatest = (values: Float64Array | null): number => {
  let most = 0;
  for (const value of values ?? []) if (Math.abs(value) > most) most = Math.abs(value);
  return most;
};
const bits = new BigInt64Array(1);
const number = new Float64Array(bits.buffer);
/** The next greater number. */
function justAbove(value: number): number {
  if (value === 0) return Number.MIN_VALUE;
  number[0] = value;
  bits[0] = bits[0]! + (value > 0 ? 1n : -1n);
  return number[0];
}
