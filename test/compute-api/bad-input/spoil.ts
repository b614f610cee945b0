/** Bodies with one thing wrong, made from a good body and the shape it must have. */
export interface Spoilt {
  readonly kind: 'type' | 'missing' | 'unknown' | 'value';
  /** Where: `server.networks.0.uuid`. */
  readonly at: string;
  readonly body: unknown;
  /** Words of which an answer must hold one; empty when it can name no field. */
  readonly names: readonly string[];
}
// biome-ignore lint/suspicious/noExplicitAny: JSON schemas of any form
type Schema = any;
type Path = readonly (string | number)[];

const SAMPLES: Readonly<Record<string, unknown>> = {
  null: null,
  boolean: true,
  integer: 17,
  number: 1.5,
  string: 'words',
  array: [],
  object: {},
};
const typeOf = (value: unknown) =>
  value === null ? 'null' : Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : (typeof value as string);

/** JSON types that a schema lets in; undefined: any. */
function typesOf(schema: Schema): Set<string> | undefined {
  if (schema.type !== undefined) return new Set([schema.type].flat());
  if (schema.enum) return new Set(schema.enum.map(typeOf));
  const parts: Schema[] | undefined = schema.oneOf ?? schema.anyOf;
  if (!parts) return undefined;
  const all = parts.map(typesOf);
  return all.some((one) => one === undefined) ? undefined : new Set(all.flatMap((one) => [...(one ?? [])]));
}
const put = (body: unknown, path: Path, value: unknown): unknown => {
  const [head, ...rest] = path;
  if (head === undefined) return value;
  if (Array.isArray(body)) return body.map((item, at) => (at === head ? put(item, rest, value) : item));
  return { ...(body as object), [head]: put((body as Record<string, unknown>)?.[head], rest, value) };
};
const without = (body: unknown, path: Path): unknown => {
  const [head = '', ...rest] = path;
  if (rest.length > 0) return put(body, [head], without((body as Record<string | number, unknown>)[head], rest));
  const { [head]: _left, ...kept } = body as Record<string, unknown>;
  return kept;
};
const last = (path: Path) => path.filter((part) => typeof part === 'string').slice(-1) as string[];
const at = (path: Path) => path.join('.') || 'the body';

/** What a value of the schema may not be, though its type is right. */
function wrongValues(schema: Schema): unknown[] {
  if (schema.oneOf || schema.anyOf) return [];
  const types = typesOf(schema) ?? new Set();
  const wrong: unknown[] = [];
  if (schema.enum && types.has('string')) wrong.push('none of these');
  if (types.has('string')) {
    if (schema.minLength > 0 && !schema.enum) wrong.push('');
    if (schema.maxLength > 0 && schema.maxLength < 100_000) wrong.push('x'.repeat(schema.maxLength + 1));
    if (['uuid', 'ipv4', 'ipv6', 'date-time'].includes(schema.format)) wrong.push('no such form');
    if (schema.format === 'base64') wrong.push('***');
    if (schema.format === 'name') wrong.push(' blanks ', 'bell\u0007');
  }
  if (types.has('integer') || types.has('number')) {
    if (schema.minimum !== undefined) wrong.push(schema.minimum - 1);
    if (schema.maximum !== undefined && schema.maximum < 1e15) wrong.push(schema.maximum + 1);
    if (types.has('string') && schema.pattern && !new RegExp(schema.pattern, 'u').test('many')) wrong.push('many');
  }
  if (types.has('array') && schema.maxItems) wrong.push(Array.from({ length: schema.maxItems + 1 }, (_, n) => `i${n}`));
  if (types.has('array') && schema.minItems > 0) wrong.push([]);
  return wrong;
}

/** Every way in which one place of a good body can be wrong. `open` is told of objects and fields that take anything. */
export function* spoilt(schema: Schema, body: unknown, open: (what: string) => void): Generator<Spoilt> {
  yield* walk(schema, body, []);
  function* walk(here: Schema, value: unknown, path: Path): Generator<Spoilt> {
    const types = typesOf(here);
    const names = last(path);
    if (types === undefined) open(`${at(path)}: any value`);
    else
      for (const [type, sample] of Object.entries(SAMPLES)) {
        if (types.has(type) || (type === 'integer' && types.has('number'))) continue;
        yield { kind: 'type', at: `${at(path)} = ${JSON.stringify(sample)}`, body: put(body, path, sample), names };
      }
    for (const wrong of wrongValues(here))
      yield { kind: 'value', at: `${at(path)} = ${JSON.stringify(wrong).slice(0, 40)}`, body: put(body, path, wrong), names };
    const parts: Schema[] = here.oneOf ?? here.anyOf ?? [here];
    const fits = parts.find((part) => typesOf(part)?.has(typeOf(value))) ?? here;
    if (typesOf(fits)?.has('object') && value !== null && typeof value === 'object' && !Array.isArray(value))
      yield* fields(fits, value, path);
    else if (Array.isArray(value) && fits.items && value.length > 0) yield* walk(fits.items, value[0], [...path, 0]);
  }
  function* fields(here: Schema, value: object, path: Path): Generator<Spoilt> {
    for (const key of here.required ?? [])
      yield { kind: 'missing', at: at([...path, key]), body: without(body, [...path, key]), names: path.length ? [key] : [] };
    if (here.additionalProperties === false) {
      const key = here.patternProperties ? 'b/a/d' : 'kilonova_unknown';
      yield { kind: 'unknown', at: at([...path, key]), body: put(body, [...path, key], 'x'), names: path.length ? [key] : [] };
    } else open(`${at(path)}: other keys`);
    for (const [key, below] of Object.entries<Schema>(here.properties ?? {}))
      yield* walk(below, (value as Record<string, unknown>)[key], [...path, key]);
    for (const below of Object.values<Schema>(here.patternProperties ?? {})) {
      const key = Object.keys(value)[0];
      if (key !== undefined) yield* walk(below, (value as Record<string, unknown>)[key], [...path, key]);
    }
  }
}
