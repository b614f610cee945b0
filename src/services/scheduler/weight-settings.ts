import { pythonFloat } from '../../model/python.ts';

/** A list of name=number; entries that are none are left out.  Spec: Nova's metrics.weight_setting and its like. */
export function weightSettings(list: readonly string[]): [name: string, weight: number][] {
  return list.flatMap((entry) => {
    const at = entry.indexOf('=');
    if (at <= 0) return [];
    try {
      return [[entry.slice(0, at), pythonFloat(entry.slice(at + 1))]];
    } catch {
      return [];
    }
  });
}
