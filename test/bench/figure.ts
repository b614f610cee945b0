/** One measured figure, as a JSON line on standard output. */
export function figure(name: string, value: number, unit: string, conditions: object): void {
  console.log(JSON.stringify({ figure: name, value: Number(value.toPrecision(4)), unit, conditions }));
}

export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}
