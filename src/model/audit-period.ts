/** How long a period of the usage audit is, and where in its unit it begins: 'month@15' begins on the 15th. */
export interface AuditUnit {
  readonly unit: 'hour' | 'day' | 'month' | 'year';
  readonly offset: number;
}
/** From and until, microseconds; one period's end is the next one's beginning. */
export interface AuditPeriod {
  readonly begin: number;
  readonly end: number;
}

const ranges = { hour: [0, 59], day: [0, 23], month: [1, 28], year: [1, 12] } as const;

/** Reads instance_usage_audit_period. Throws an Error with a sentence: a month begins on the 28th at the latest, since every month has that day.
 *  Spec: nova.conf instance_usage_audit_period. */
export function readAuditUnit(text: string): AuditUnit {
  const [, unit, given] = /^(hour|day|month|year)(?:@(\d+))?$/.exec(text.trim()) ?? [];
  if (unit === undefined)
    throw new Error(`instance_usage_audit_period is ${text}; it must be hour, day, month or year, maybe with an offset: month@15`);
  const [least, most] = ranges[unit as AuditUnit['unit']]; // one of the four by the expression
  const offset = Number(given ?? 0);
  // Nova takes a 0th day or month as the first one.
  const shown = Math.max(offset, least);
  if (shown > most) throw new Error(`instance_usage_audit_period is ${text}; the offset of a ${unit} must be from ${least} to ${most}`);
  return { unit: unit as AuditUnit['unit'], offset: shown };
}

/** The last whole period that ended before a moment (microseconds). One that ends at this very moment has not ended before it. */
export function lastPeriod({ unit, offset }: AuditUnit, before: number): AuditPeriod {
  const now = new Date(Math.floor(before / 1000));
  const [year, month, day, hour] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate(), now.getUTCHours()];
  /** The edge so many periods from the one in the unit that `now` is in. */
  const edge = (back: number): number => {
    if (unit === 'hour') return Date.UTC(year, month, day, hour - back, offset) * 1000;
    if (unit === 'day') return Date.UTC(year, month, day - back, offset) * 1000;
    if (unit === 'month') return Date.UTC(year, month - back, offset) * 1000;
    return Date.UTC(year - back, offset - 1) * 1000;
  };
  const back = edge(0) >= before ? 1 : 0;
  return { begin: edge(back + 1), end: edge(back) };
}
