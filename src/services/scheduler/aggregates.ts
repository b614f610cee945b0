import type { HostView } from './host-view.ts';

const stripped = (text: string) => text.split(',').map((part) => part.trim());

/** Everything the host's aggregates say, by key; values are lists separated by commas. With `only`: of the aggregates that have this key. */
export function aggregateMetadata(host: HostView, only?: string): Map<string, Set<string>> {
  const all = new Map<string, Set<string>>();
  for (const { metadata } of host.aggregates) {
    if (only !== undefined && !Object.hasOwn(metadata, only)) continue;
    for (const [key, value] of Object.entries(metadata)) {
      const known = all.get(key) ?? new Set();
      for (const part of stripped(value)) known.add(part);
      all.set(key, known);
    }
  }
  return all;
}

/** The values of one key, as they are written. */
export const aggregateValues = (host: HostView, key: string): string[] =>
  host.aggregates.flatMap(({ metadata }) => (Object.hasOwn(metadata, key) ? [metadata[key]!] : []));

/** The least of the numbers that aggregates give; `otherwise` when there are none, or one of them is no number. */
export function aggregateNumber<T extends number | null>(
  host: HostView,
  key: string,
  otherwise: T,
  parse: (text: string) => number,
): number | T {
  if (host.aggregates.length === 0) return otherwise;
  const values = aggregateValues(host, key);
  if (values.length === 0) return otherwise;
  try {
    return values.map(parse).reduce((least, value) => (value < least ? value : least));
  } catch {
    return otherwise;
  }
}
