import type { Micros } from '../../lib/clock.ts';

const FORM = /^(\d{4})-(\d{1,2})-(\d{1,2})([T ])(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,6}))?$/;

/** A time of UTC as usage requests write it: '2026-01-31T10:00:00', with or without fractions; undefined for what is none. With a blank instead of the T
 *  it needs fractions in usage reports, and may have them in audit logs. */
export function readTime(text: string, blank: 'with fractions' | 'anyhow'): Micros | undefined {
  const [, year, month, day, sign, hour, minute, second, fraction] = FORM.exec(text) ?? [];
  if (year === undefined) return undefined;
  if (sign === 'T' ? blank === 'anyhow' : blank === 'with fractions' && fraction === undefined) return undefined;
  const fields = [year, month, day, hour, minute, second].map(Number) as [number, number, number, number, number, number];
  const [y, m, d, h, min, s] = fields;
  const date = new Date(0);
  date.setUTCFullYear(y, m - 1, d);
  date.setUTCHours(h, min, s);
  // What runs over, such as a 31st of April or a 25th hour, comes out as another time.
  const same = [
    date.getUTCFullYear(),
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ].every((value, at) => value === fields[at]);
  return same && y > 0 ? date.getTime() * 1000 + Number((fraction ?? '').padEnd(6, '0')) : undefined;
}
