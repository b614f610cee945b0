/** Brings values to 0..1 in place, between the ends given or else the values' own; equal ends make every value 0.  Spec: Nova's weights.normalize. */
export function normalize(values: Float64Array, minimum?: number, maximum?: number): void {
  let low = minimum ?? values[0] ?? 0;
  let high = maximum ?? values[0] ?? 0;
  for (let at = 1; at < values.length; at++) {
    if (minimum === undefined && values[at]! < low) low = values[at]!;
    if (maximum === undefined && values[at]! > high) high = values[at]!;
  }
  const range = high - low;
  for (let at = 0; at < values.length; at++) values[at] = high === low ? 0 : (values[at]! - low) / range;
}
