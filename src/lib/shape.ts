/** One description of a request body, each field with the microversions it lives in; a version is a slice of it. */
export type Json = { [key: string]: unknown };
export type Version = `${number}.${number}`;
/** Closed range of microversions, e.g. ['2.32', '2.36']; null means "still". */
export type Window = readonly [from: Version, to: Version | null];

const numbers = (version: Version) => {
  const dot = version.indexOf('.');
  return Number(version.slice(0, dot)) * 100_000 + Number(version.slice(dot + 1));
};
const known = new Map<Version, number>();
/** A version as one number, for comparing. */
export const order = (version: Version): number => {
  let value = known.get(version);
  if (value === undefined) {
    value = numbers(version);
    if (known.size < 1000) known.set(version, value);
  }
  return value;
};
export const atLeast = (version: Version, min: Version) => order(version) >= order(min);
export const inside = (version: Version, windows: readonly Window[]) =>
  windows.some(([from, to]) => atLeast(version, from) && (to === null || atLeast(to, version)));

export interface Shape<T> {
  readonly schema: (version: Version) => Json;
  readonly windows: readonly Window[];
  readonly requiredIn: readonly Window[];
  /** Where windows of this shape and of all below it begin or end: the versions at which its schema may change. */
  readonly edges: readonly Version[];
  readonly _type?: T;
}
export type Infer<S> = S extends Shape<infer T> ? T : never;
const ALWAYS: readonly Window[] = [['0.0', null]];
const next = (version: Version): Version => `${Number(version.split('.')[0])}.${Number(version.split('.')[1]) + 1}`;
const edgesOf = (windows: readonly Window[]): Version[] =>
  windows.flatMap(([from, to]) => [...(from === '0.0' ? [] : [from]), ...(to === null ? [] : [next(to)])]);

/** A part with the same JSON schema in every version. */
export const leaf = <T>(schema: Json): Shape<T> => ({ schema: () => schema, windows: ALWAYS, requiredIn: [], edges: [] });
export const during = <T>(windows: readonly Window[], shape: Shape<T>): Shape<T | undefined> => ({
  ...shape,
  windows,
  edges: [...shape.edges, ...edgesOf(windows)],
});
export const since = <T>(from: Version, shape: Shape<T>): Shape<T | undefined> => during([[from, null]], shape);
export const until = <T>(to: Version, shape: Shape<T>): Shape<T | undefined> => during([['0.0', to]], shape);
export type Needed<T> = Shape<T> & { readonly needed: true };
/** Required in every version in which the field exists. */
export const required = <T>(shape: Shape<T>): Needed<T> => ({ ...shape, requiredIn: ALWAYS, needed: true });
/** Required from a version on; the type stays optional. */
export const requiredSince = <T>(from: Version, shape: Shape<T>): Shape<T> => ({
  ...shape,
  requiredIn: [[from, null]],
  edges: [...shape.edges, from],
});
export const list = <T>(item: Shape<T>, more: Json = {}): Shape<T[]> => ({
  ...leaf<T[]>({}),
  edges: item.edges,
  schema: (version) => ({ type: 'array', items: item.schema(version), ...more }),
});
/** The form of a field changed at some version: the first alternative whose window holds wins. */
export const either = <A, B>(a: Shape<A>, b: Shape<B>): Shape<A | B> => ({
  ...leaf<A | B>({}),
  windows: [...a.windows, ...b.windows],
  edges: [...a.edges, ...b.edges],
  schema: (version) => (inside(version, a.windows) ? a : b).schema(version),
});
export const oneOf = <A, B>(a: Shape<A>, b: Shape<B>): Shape<A | B> => ({
  ...leaf<A | B>({}),
  edges: [...a.edges, ...b.edges],
  schema: (version) => ({ oneOf: [a.schema(version), b.schema(version)] }),
});

// biome-ignore lint/suspicious/noExplicitAny: a body holds fields of any type; Infer recovers each
type AnyShape = Shape<any>;
type IsNeeded<F> = F extends { readonly needed: true } ? true : false;
export type Body<F> = { [K in keyof F as IsNeeded<F[K]> extends true ? K : never]: Infer<F[K]> } & {
  [K in keyof F as IsNeeded<F[K]> extends true ? never : K]?: Infer<F[K]>;
};
/** An object with these fields; others are refused unless `more` says otherwise. */
export const body = <F extends Record<string, AnyShape>>(fields: F, more: Json = {}): Shape<Body<F>> => ({
  ...leaf<Body<F>>({}),
  edges: Object.values(fields).flatMap((field) => field.edges),
  schema(version) {
    const live = Object.entries(fields).filter(([, field]) => inside(version, field.windows));
    const needed = live.filter(([, field]) => inside(version, field.requiredIn)).map(([name]) => name);
    return {
      type: 'object',
      properties: Object.fromEntries(live.map(([name, field]) => [name, field.schema(version)])),
      ...(needed.length ? { required: needed } : {}),
      additionalProperties: false,
      ...more,
    };
  },
});

/** The newest edge at or below `version`: two versions with the same edge have the same schema. */
export function edgeBelow(shape: AnyShape, version: Version): Version {
  let best: Version = '0.0';
  for (const edge of shape.edges) if (atLeast(version, edge) && atLeast(edge, best)) best = edge;
  return best;
}

/** The versions at which the field named by a JSON path exists in a body: for a 400 that names where a field would be welcome. */
export function windowsOf(shape: AnyShape, field: string, versions: readonly Version[]): Version[] {
  return versions.filter((version) => {
    const properties = shape.schema(version).properties;
    return typeof properties === 'object' && properties !== null && field in properties;
  });
}
