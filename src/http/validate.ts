import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { edgeBelow, type Json, type Shape, type Version } from '../lib/shape.ts';
import { invalidInput } from '../model/errors.ts';
import { formats } from './formats.ts';
import type { Microversions } from './negotiate.ts';

const options = {
  allErrors: false,
  coerceTypes: false,
  removeAdditional: false,
  useDefaults: false,
  strict: false,
  verbose: true,
  // Half of the time until a first body is judged. That the shapes are good JSON schemas is told by a test.
  validateSchema: false,
  code: { optimize: false },
  formats,
} as const;
const ajv = new Ajv(options);
/** Takes out of a body what a closed object does not know, instead of refusing it. */
const legacyAjv = new Ajv({ ...options, removeAdditional: true });
// biome-ignore lint/suspicious/noExplicitAny: shapes of any body
type AnyShape = Shape<any>;
const compiled = new WeakMap<AnyShape, Map<string, ValidateFunction>>();

function validatorOf(shape: AnyShape, version: Version, legacy: boolean): ValidateFunction {
  const edge = `${edgeBelow(shape, version)}${legacy ? 'v2' : ''}`;
  const byEdge = compiled.get(shape) ?? new Map<string, ValidateFunction>();
  compiled.set(shape, byEdge);
  const ready = byEdge.get(edge);
  if (ready) return ready;
  const schema = shape.schema(version);
  const validate = ajv.compile(legacy ? loose(schema) : schema);
  if (legacy) strippers.set(validate, legacyAjv.compile(uncounted(loose(schema))));
  byEdge.set(edge, validate);
  return validate;
}

const strippers = new WeakMap<ValidateFunction, ValidateFunction>();
/** A schema that counts no keys: those that are to be taken out must not count. */
const uncounted = (schema: Json): Json =>
  JSON.parse(JSON.stringify(schema, (key, value: unknown) => (key === 'minProperties' || key === 'maxProperties' ? undefined : value)));

/** On the legacy API names may have blanks at their ends. */
function loose(schema: Json): Json {
  if (Array.isArray(schema)) return schema.map((item) => loose(item)) as unknown as Json;
  if (schema === null || typeof schema !== 'object') return schema;
  return Object.fromEntries(
    Object.entries(schema)
      .map(([key, value]) => (key === 'format' && value === 'name' ? [key, 'loose-name'] : [key, value]) as [string, unknown])
      .map(([key, value]) => [key, typeof value === 'object' && value !== null && key !== 'enum' ? loose(value as Json) : value]),
  );
}

/** Throws invalidInput (400) unless the value fits the shape at that version. The sentence names the field, its value and what is wrong;
 *  for a field that another microversion has, it names that version. On the legacy API fields that are not known are taken out of the value instead,
 *  as Nova does: no handler sees them. */
export function mustFit(
  shape: AnyShape,
  version: Version,
  value: unknown,
  more: { legacy: boolean; known: Microversions | undefined },
): void {
  const validate = validatorOf(shape, version, more.legacy);
  strippers.get(validate)?.(value);
  if (validate(value)) return;
  const error = deepest(validate.errors ?? []);
  throw invalidInput({ why: sentence(error, shape, version, more.known) });
}

const deepest = (errors: readonly ErrorObject[]) => [...errors].sort((a, b) => b.instancePath.length - a.instancePath.length)[0];

function sentence(error: ErrorObject | undefined, shape: AnyShape, version: Version, known: Microversions | undefined): string {
  if (!error) return 'Invalid input.';
  const place = placeOf(error.instancePath);
  const shown = show(error.data);
  if (error.keyword === 'additionalProperties') {
    const field = String(error.params.additionalProperty);
    return `Additional properties are not allowed ('${field.slice(0, 200)}' was unexpected)${whereWelcome(error, field, shape, version, known)}`;
  }
  if (error.keyword === 'required') return `'${String(error.params.missingProperty)}' is a required property`;
  const what = `${error.message ?? 'is not valid'}${error.keyword === 'enum' ? `: ${show(error.params.allowedValues)}` : ''}`;
  return place === undefined
    ? `Invalid input: ${what}. Value: ${shown}`
    : `Invalid input for field/attribute ${place.slice(0, 200)}. Value: ${shown}. It ${what}`;
}

/** The field that is wrong by its own name; an item of a list by the list's name and its number: `networks.0`. */
function placeOf(path: string): string | undefined {
  const parts = path.split('/').filter(Boolean);
  const name = parts.findLastIndex((part) => !/^\d+$/.test(part));
  return parts.length === 0 ? undefined : parts.slice(Math.max(name, 0)).join('.');
}

function whereWelcome(error: ErrorObject, field: string, shape: AnyShape, version: Version, known: Microversions | undefined): string {
  if (!known) return '';
  const welcome = known.all.map((other) => {
    const properties = schemaAt(shape.schema(other), error.instancePath)?.properties;
    return typeof properties === 'object' && properties !== null && Object.hasOwn(properties, field);
  });
  if (welcome[known.all.indexOf(version)]) return '';
  const ranges = known.all.flatMap((first, at) => {
    if (!welcome[at] || welcome[at - 1]) return [];
    const end = welcome.indexOf(false, at);
    return [`${first} to ${known.all.at(end < 0 ? -1 : end - 1)}`];
  });
  return ranges.length === 0 ? '' : `. Microversions ${ranges.join(' and ')} have it, this request asked for ${version}`;
}

function schemaAt(schema: Json, path: string): Json | undefined {
  let here: Json | undefined = schema;
  for (const part of path.split('/').filter(Boolean)) {
    const list = (here?.oneOf as readonly Json[] | undefined)?.find((one) => one.items); // one form of a field may be a list
    const properties: unknown = here?.properties;
    const items: unknown = here?.items ?? list?.items;
    here = /^\d+$/.test(part) && items ? (items as Json) : properties ? ((properties as Json)[part] as Json | undefined) : undefined;
  }
  return here;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 200 ? `${text.slice(0, 200)}...` : text;
}
