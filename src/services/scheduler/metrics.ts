/** Shares of time, which monitors report as 0..1 and weighers see as whole percents. */
const PERCENTS = new Set(['cpu.percent', 'cpu.user.percent', 'cpu.kernel.percent', 'cpu.iowait.percent', 'cpu.idle.percent']);

export interface Metric {
  readonly name: string;
  readonly value: number;
}

/** Metrics as an agent reports them, a list or its JSON text. Percents are cut, not rounded: 0.57 is 56, as in Nova. Throws for what is neither.
 *  Spec: Nova's MonitorMetricList. */
export function readMetrics(report: unknown): Metric[] {
  const list: unknown = typeof report === 'string' ? (report === '' ? [] : JSON.parse(report)) : (report ?? []);
  if (!Array.isArray(list)) throw new Error('metrics are no list');
  return list.map((one: { name?: unknown; value?: unknown }) => {
    if (typeof one?.name !== 'string' || typeof one.value !== 'number') throw new Error('a metric has no name or value');
    return { name: one.name, value: Math.trunc(PERCENTS.has(one.name) ? one.value * 100 : one.value) };
  });
}
