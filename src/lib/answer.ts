import { atLeast, type Version } from './shape.ts';

/** A value that exists only between two versions, or changed its form at one. Settled by `answerAt`. */
class Timed {
  readonly at: (version: Version) => unknown;
  constructor(at: (version: Version) => unknown) {
    this.at = at;
  }
}
const open = (value: unknown) => (typeof value === 'function' ? (value as () => unknown)() : value); // thunks: costly values, run only when kept

/** In answers from this version on. */
export const from = (version: Version, value: unknown) => new Timed((at) => (atLeast(at, version) ? open(value) : undefined));
/** In answers before this version. */
export const before = (version: Version, value: unknown) => new Timed((at) => (atLeast(at, version) ? undefined : open(value)));
/** One form before this version, another from it on. */
export const turned = (old: unknown, version: Version, now: unknown) => new Timed((at) => open(atLeast(at, version) ? now : old));

/** The view as a version may see it: timed values settled at any depth, absent ones dropped. */
export function answerAt(version: Version, value: unknown): unknown {
  if (value instanceof Timed) return answerAt(version, value.at(version));
  if (Array.isArray(value)) return value.map((item) => answerAt(version, item));
  if (value === null || typeof value !== 'object') return value;
  const kept: Record<string, unknown> = {};
  for (const key of Object.keys(value)) {
    const settled = answerAt(version, (value as Record<string, unknown>)[key]);
    if (settled !== undefined) kept[key] = settled;
  }
  return kept;
}
