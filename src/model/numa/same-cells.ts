import type { GuestNuma } from './topology.ts';

/** Whether two wishes ask for the same cells, so that a place that holds one holds the other.  Spec: Nova's check of rebuilds. */
export const sameCells = (one: GuestNuma | null, other: GuestNuma | null): boolean => text(one) === text(other);

const text = (wish: GuestNuma | null) =>
  JSON.stringify(wish, (_key, value) => {
    if (value instanceof Set) return [...value].sort((a, b) => a - b);
    return value instanceof Map ? [...value] : value;
  });
